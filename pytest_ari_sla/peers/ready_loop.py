"""Waits for sockets and deadlines: the event loop of the echo server and of the relay.

Both work by readiness, since what they hold up becomes part of somebody's round trip. At thousands of packets a
second that would mean a wake-up per packet. So the loop rests between two wake-ups: until :data:`GATHER_NS` after the
last one, and as long as its work took (up to :data:`MOST_REST_NS`). The more there is to do, the larger the batches,
and the less each packet costs.

It wakes up at least every :data:`LONGEST_WAIT_NS`, so that it notices by itself when it stood still.
"""

from __future__ import annotations

import os
import selectors
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pytest_ari_sla.errors import PortsExhausted, SlaError
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.peers.control import ControlLink, Reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

    from pytest_ari_sla.peers.control import AnyRequest

__all__ = ["GATHER_NS", "LONGEST_WAIT_NS", "MOST_REST_NS", "REST_NS", "STALL_NS", "ControlSession", "ReadyLoop"]

GATHER_NS = 250_000
"""Least time between two wake-ups."""

MOST_REST_NS = 750_000
"""Longest rest: what a packet may have to wait for under load."""

LONGEST_WAIT_NS = 100_000_000

REST_NS = 200_000_000
"""How long a socket is left alone that is ready and cannot be served."""

STALL_NS = 250_000_000
"""Standing still for so long is told by name."""

_MILLISECOND_NS = 1_000_000


class ReadyLoop:
    """Waits for sockets and deadlines, and calls those who wait for them; a context manager that closes it.

    Stopping takes at most one batch and one millisecond, whatever the load.

    Attributes
    ----------
    stalls
        How long it stood still, each time that it did so for `STALL_NS`.
    """

    def __init__(self, gather_ns: int = GATHER_NS) -> None:
        self._gather_ns = gather_ns
        self._selector = selectors.DefaultSelector()
        self._woken_ns = 0
        self.stalls = Histogram()
        self._running = True
        # A signal alone does not end the wait: Python goes on with select() after the handler (PEP 475).
        self._wake_reader, self._wake_writer = os.pipe()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._ready: dict[FileDescriptorLike, Callable[[], None]] = {}
        self._resting: dict[socket.socket, tuple[int, Callable[[], None]]] = {}

    def watch(self, watched: socket.socket, ready: Callable[[], None], *, also_writing: bool = False) -> None:
        """Call ``ready`` whenever ``watched`` can be read, or also written; replaces an earlier call for it."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if also_writing else 0)
        if watched in self._ready:
            self._selector.modify(watched, events)
        else:
            self._selector.register(watched, events)
        self._ready[watched] = ready

    def forget(self, watched: socket.socket) -> None:
        """Watch a socket no longer; to be called before it is closed."""
        if self._resting.pop(watched, None) is None:
            self._selector.unregister(watched)
            del self._ready[watched]

    def rest(self, watched: socket.socket) -> None:
        """Watch a socket again after `REST_NS`, in the same way: what is ready and cannot be served would spin."""
        ready = self._ready[watched]
        self.forget(watched)
        self._resting[watched] = time.monotonic_ns() + REST_NS, ready

    def run(self, deadline: Callable[[], int | None], act: Callable[[], None]) -> None:
        """Run until :meth:`stop`.

        Parameters
        ----------
        deadline
            Asked before each wait: when ``act`` is to be called (``time.monotonic_ns``); None: not before somebody has
            been ready.
        act
            What to do at the deadline.
        """
        self._woken_ns = time.monotonic_ns()  # what it took to start is not a stall
        while self._running:
            due_ns = deadline()
            self._take_rested_back()
            for watched in self._wait(due_ns):
                # Whoever was called before may have ended the watching, and have closed the socket.
                if watched in self._ready:
                    self._ready[watched]()
            if due_ns is not None and time.monotonic_ns() >= due_ns:
                act()

    def close(self) -> None:
        """Free what the loop itself holds; the watched sockets stay open."""
        # First: a signal that comes now must not write to a closed pipe.
        self._running = False
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Let :meth:`run` return; may be called from a signal handler."""
        if self._running:
            self._running = False
            os.write(self._wake_writer, b"\0")

    def _take_rested_back(self) -> None:
        now_ns = time.monotonic_ns()
        for watched, (until_ns, ready) in list(self._resting.items()):
            if now_ns >= until_ns:
                del self._resting[watched]
                self.watch(watched, ready)

    def _wait(self, due_ns: int | None) -> list[FileDescriptorLike]:
        now_ns = time.monotonic_ns()
        rest_ns = min(now_ns - self._woken_ns, MOST_REST_NS)
        _sleep_until(max(self._woken_ns + self._gather_ns, now_ns + rest_ns))
        timeout_s = LONGEST_WAIT_NS / 1e9
        if due_ns is not None:
            left_ns = min(due_ns - time.monotonic_ns(), LONGEST_WAIT_NS)
            # epoll counts in milliseconds: the last one before a deadline is slept through, without looking.
            if left_ns < _MILLISECOND_NS:
                _sleep_until(due_ns)
                timeout_s = 0.0
            else:
                timeout_s = left_ns // _MILLISECOND_NS / 1000
        ready = [key.fileobj for key, _ in self._selector.select(timeout_s)]
        self._wake_up(time.monotonic_ns())
        return ready

    def _wake_up(self, now_ns: int) -> None:
        # Less the longest wait that was asked for: the rest is what nobody wanted.
        stood_ns = now_ns - self._woken_ns - LONGEST_WAIT_NS
        if stood_ns >= STALL_NS:
            self.stalls.record_one(stood_ns)
        self._woken_ns = now_ns


def _sleep_until(deadline_ns: int) -> None:
    left_ns = deadline_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns / 1e9)


class ControlSession:
    """Serves one control connection on a loop.

    Parameters
    ----------
    loop
        Where the connection is watched.
    stream
        The connection; closed together with the session.
    answer
        Carries a request out and returns its result as plain built-ins; what it raises as :class:`SlaError` or
        ``OSError`` is told to the other side.
    closed
        Called once, when the connection has ended.
    """

    def __init__(
        self,
        loop: ReadyLoop,
        stream: socket.socket,
        answer: Callable[[AnyRequest], Any],
        closed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._link = ControlLink(stream)
        self._answer = answer
        self._closed = closed
        loop.watch(stream, self._ready)

    def greet(self, result: Any) -> None:
        """Tell the other side that all is ready."""
        with suppress(ConnectionError):  # it has gone already, which the next reading finds and deals with
            self._link.write(Reply(0, result))

    def _ready(self) -> None:
        try:
            for request in self._link.read():
                self._link.write(self._reply(request))
            is_flushed = self._link.flush()
        except ConnectionError:
            self._loop.forget(self._link.stream)
            self._link.stream.close()
            self._closed()
            return
        self._loop.watch(self._link.stream, self._ready, also_writing=not is_flushed)

    def _reply(self, request: AnyRequest) -> Reply:
        try:
            return Reply(request.number, self._answer(request))
        except PortsExhausted as error:
            return Reply(request.number, error=str(error), leased=error.leased, resting=error.resting)
        except (SlaError, OSError) as error:
            return Reply(request.number, error=str(error))
