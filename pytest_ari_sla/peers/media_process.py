"""A media process of ours that answers requests: started, asked, and ended."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import msgspec

from pytest_ari_sla.children.child import STOP_GRACE_S, Child
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.peers.control import decode_reply, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.peers.control import Reply, Request

__all__ = ["MediaProcess"]

START_TIMEOUT_S = 15.0
REPLY_TIMEOUT_S = 5.0


class MediaProcess:
    """A child that greets when it is ready, and answers requests.

    Its language is that of a relay on another host (:mod:`.control`), and its replies may be long: so they are lines
    of a stream, not messages of a :class:`~pytest_ari_sla.children.channel.Channel`.

    Parameters
    ----------
    module
        What ``python -m`` runs.
    arguments
        Its command line.
    name
        What it is called in errors; by default the module.
    stop_grace_s
        How long :meth:`stop` waits before it kills: longer only where the child has something to write.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], name: str = "", stop_grace_s: float = STOP_GRACE_S
    ) -> None:
        self._module = module
        self._name = name or module
        self._arguments = list(arguments)
        self._stop_grace_s = stop_grace_s
        self._child: Child | None = None
        self._received = b""
        # Replies are taken in order: two requests at a time would read each other's.
        self._asking = threading.Lock()
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._child.pid if self._child else None

    @property
    def stopped_by(self) -> str:
        """Which signal has stopped it, as the end of a sentence; empty: none has."""
        return self._child.stopped_by if self._child else ""

    def launch(self) -> Any:
        """Start the process and wait until it is ready; return what it says of itself.

        Raises
        ------
        MediaLoopFailed
            When it ends or is silent instead.
        """
        self._child = Child(self._module, self._arguments, kind=socket.SOCK_STREAM, grace_s=self._stop_grace_s)
        try:
            return _result_of(self._receive(self._child, START_TIMEOUT_S))
        # A child that is silent still runs.
        except MediaLoopFailed:
            self.stop()
            raise

    def ensure_alive(self) -> None:
        """Find out whether the process ended by itself.

        Raises
        ------
        MediaLoopFailed
            When it did; says how.
        """
        if self._child is not None and self._child.has_ended:
            raise MediaLoopFailed(f"{self._name} {self._child.ending()}; its own words, if any, are on stderr")

    def request(self, request: Request) -> Any:
        """Send a request and return its result; from any thread.

        Raises
        ------
        MediaLoopFailed
            When the process does not run (any more), refuses, or does not answer in time.
        """
        with self._asking:
            child = self._running()
            numbered = msgspec.structs.replace(request, number=next(self._numbers))
            try:
                child.control.sendall(encode(numbered))
            except OSError as error:
                raise self._gone(child) from error
            # One that comes after its time-out answers an earlier request.
            while (reply := self._receive(child, REPLY_TIMEOUT_S)).number < numbered.number:
                pass
            return _result_of(reply)

    def _receive(self, child: Child, timeout_s: float) -> Reply:
        """Return the next reply."""
        child.control.settimeout(timeout_s)
        while b"\n" not in self._received:
            try:
                data = child.control.recv(1 << 16)
            except TimeoutError as error:
                message = f"{self._name} did not answer within {timeout_s:g} s{child.stopped_by}"
                raise MediaLoopFailed(message) from error
            except OSError as error:
                raise self._gone(child) from error
            if not data:
                raise self._gone(child)
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        try:
            return decode_reply(line)
        except msgspec.DecodeError as error:
            message = f"{self._name} answered what is not a reply: {error}"
            raise MediaLoopFailed(message) from error

    def _gone(self, child: Child) -> MediaLoopFailed:
        # The connection ends a moment before the process does: without a wait there is no exit code to tell.
        ending = child.ending(STOP_GRACE_S)
        ended = ending if child.has_ended else "closed its control connection"
        return MediaLoopFailed(f"{self._name} {ended}; its own words are on stderr")

    def _running(self) -> Child:
        if self._child is None:
            message = f"{self._name} is not running"
            raise MediaLoopFailed(message)
        return self._child

    def share_control(self) -> socket.socket:
        """Return a duplicate of the control connection for a client, which from then on is the only one to read it.

        Raises
        ------
        MediaLoopFailed
            When there is none.
        """
        return self._running().control.dup()

    def stop(self) -> int:
        """End the process, within 100 ms unless it was given more; return its exit code.

        A code of 0 says that it ended by itself, in order (or did not run), a negative one that it had to be killed.
        """
        if self._child is None:
            return 0
        # First of all, so that a second stop finds nothing to end.
        child, self._child = self._child, None
        self._received = b""
        return child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _result_of(reply: Reply) -> Any:
    if reply.error:
        raise MediaLoopFailed(reply.error)
    return reply.result
