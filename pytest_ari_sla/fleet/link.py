"""A worker's connection to the controller of its fleet: an execnet channel beside xdist's own.

execnet delivers what comes in on its receiver thread; tests and their event loops live on the main thread. What is
waited for is therefore a :class:`concurrent.futures.Future`, and a running load is told through its event loop.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_ari_sla.errors import ShardLost, error_of
from pytest_ari_sla.fleet import messages as messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_ari_sla.errors import SlaError

__all__ = ["ControllerLink", "RunningLoad"]

_CONTROLLER_GONE = "the controller of the fleet is gone"
_TARGET = ("", "target")


class RunningLoad(Protocol):
    """What a load in progress can be told."""

    test: str
    number: int

    def end_early(self, reason: str, *, hurried: bool) -> None:
        """End all calls; hurried: without waiting for packets that are still on their way."""

    def target_died(self, crash: SlaError) -> None:
        """End all calls: there is nothing any more that they could be put on."""

    def interrupt(self, reason: str) -> None:
        """End all calls, and then pytest."""


class ControllerLink:
    """The worker's end.

    Parameters
    ----------
    channel
        The execnet channel that the controller put into ``workerinput``.

    Attributes
    ----------
    stop_reason
        Why no more tests shall run; empty as long as they shall.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], Future[Any]] = {}
        self._running: dict[tuple[str, int], tuple[RunningLoad, Callable[..., object]]] = {}
        self._gone = False
        self.stop_reason = ""
        channel.setcallback(self._hear, endmarker=None)

    # --- the main thread ---

    def send(self, message: messages.ToController) -> None:
        """Tell the controller something.

        Raises
        ------
        ShardLost
            If it is gone.
        """
        try:
            self._channel.send(messages.encode(message))
        except OSError as error:
            raise ShardLost(_CONTROLLER_GONE) from error

    def ask_target(self, timeout_s: float, *, other: bool = False) -> messages.TargetIs:
        """Ask for the target, or the other one that loads are compared against, and wait.

        Raises
        ------
        ShardLost
            If the controller is gone, or does not answer in time.
        """
        with self._expecting(_TARGET) as answer:
            self.send(messages.NeedTarget(other))
            try:
                return answer.result(timeout_s)  # type: ignore[no-any-return]
            except TimeoutError:
                raise ShardLost(f"the controller did not tell the target within {timeout_s:g} s") from None

    async def meet(self, test: str, step: str, payload: bytes, *, needs_all: bool) -> messages.Together:
        """Come to a step of a test and wait for the other shards.

        Raises
        ------
        ShardLost
            If one of them is missing for good: who, and why.
        Skipped
            If the session is being stopped, and this is the beginning of a load.
        """
        if self.stop_reason and needs_all and not self._gone:  # then `_expecting` says so
            raise _skipped(self.stop_reason)
        with self._expecting((test, step)) as answer:
            self.send(messages.Arrive(test, step, payload, needs_all))
            return await asyncio.wrap_future(answer)

    def meet_now(
        self, test: str, step: str, payload: bytes, cut_off: str, timeout_s: float
    ) -> messages.Together | None:
        """Bring what there is of a load that was cut off, and wait for the other shards without an event loop.

        Return None if they do not come in time, or never will.
        """
        try:
            with self._expecting((test, step)) as answer:
                self.send(messages.Arrive(test, step, payload, False, cut_off))
                return answer.result(timeout_s)  # type: ignore[no-any-return]
        except (ShardLost, TimeoutError):
            return None

    @contextmanager
    def in_load(self, load: RunningLoad) -> Iterator[None]:
        """Let a load hear when it shall end, while this lasts."""
        key = load.test, load.number
        tell = asyncio.get_running_loop().call_soon_threadsafe
        with self._lock:
            self._running[key] = load, tell
        try:
            yield
        finally:
            with self._lock:
                del self._running[key]

    @contextmanager
    def _expecting(self, key: tuple[str, str]) -> Iterator[Future[Any]]:
        answer: Future[Any] = Future()
        with self._lock:
            if self._gone:  # under the lock: an end that comes later finds us among those who wait
                raise ShardLost(_CONTROLLER_GONE)
            self._waiting[key] = answer
        try:
            yield answer
        finally:
            with self._lock:
                del self._waiting[key]

    # --- execnet's receiver thread ---

    def _hear(self, data: bytes | None) -> None:
        with self._lock:
            if data is None:
                self._gone = True
                self._stop(_CONTROLLER_GONE)
            else:
                self._act(messages.worker_reads(data))

    def _act(self, message: messages.ToWorker) -> None:
        match message:
            case messages.TargetIs():
                self._answer(_TARGET, message)
            case messages.Together():
                self._answer((message.test, message.step), message)
            case messages.TestBroken(test, reason):
                self._fail_waiting(ShardLost(reason), test)
                self._end_loads(reason, hurried=True, test=test)
            case messages.EndLoad(test, number, reason, ""):
                self._end_loads(reason, hurried=False, test=test, number=number)
            case messages.EndLoad(test, number, reason, culprit):
                self._tell_of_death(error_of(culprit, reason), test, number)
            case messages.StopSession(reason):
                self._stop(reason)
            case messages.Interrupt(reason):
                self._interrupt(reason)

    def _answer(self, key: tuple[str, str], message: messages.ToWorker) -> None:
        answer = self._waiting.get(key)
        if answer is not None and not answer.done():  # a test that broke has answered already
            answer.set_result(message)

    def _stop(self, reason: str) -> None:
        """Let nothing more begin, and end what is under way."""
        self.stop_reason = self.stop_reason or reason  # the first is the cause of those that follow
        self._fail_waiting(ShardLost(reason) if self._gone else _skipped(reason))
        self._end_loads(reason, hurried=True)

    def _interrupt(self, reason: str) -> None:
        """Let what runs end as at Ctrl-C: judged by what there is of it."""
        self.stop_reason = self.stop_reason or reason
        self._fail_waiting(pytest.exit.Exception(reason))
        for load, tell in self._running.values():
            tell(load.interrupt, reason)

    def _fail_waiting(self, error: BaseException, test: str | None = None) -> None:
        for key, answer in self._waiting.items():
            is_result = key[1].endswith("result")  # that comes, with or without the others
            if (test is None or key[0] == test) and not answer.done() and (self._gone or not is_result):
                answer.set_exception(error)

    def _end_loads(self, reason: str, *, hurried: bool, test: str | None = None, number: int | None = None) -> None:
        for load, tell in self._running.values():
            if test in (None, load.test) and number in (None, load.number):
                # Bound now: it is called later, by another thread.
                tell(lambda load=load: load.end_early(reason, hurried=hurried))

    def _tell_of_death(self, crash: SlaError, test: str, number: int) -> None:
        for load, tell in self._running.values():
            if (test, number) == (load.test, load.number):
                tell(load.target_died, crash)


def _skipped(reason: str) -> BaseException:
    return pytest.skip.Exception(f"the session ends: {reason}")
