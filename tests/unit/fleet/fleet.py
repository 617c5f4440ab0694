"""A controller's fleet in one process: channels that hand messages over at once, workers that only answer."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_ari_sla.fleet import messages as messages

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Channel", "Node", "wait_until"]

_TIMEOUT_S = 10.0
T = TypeVar("T")


class Channel:
    """An execnet channel, both ends of it: what is sent is kept, what is said arrives at the callback."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.callback: Callable[[Any], object] = self.sent.append
        self.endmarker: Any = None
        self.closed = False

    def setcallback(self, callback: Callable[[Any], object], endmarker: Any = None) -> None:
        """Deliver what is said from now on."""
        self.callback = callback
        self.endmarker = endmarker

    def send(self, data: bytes) -> None:
        """Keep what was sent."""
        if self.closed:
            raise OSError("cannot send (already closed?)")
        self.sent.append(data)

    def say(self, message: messages.ToController | messages.ToWorker) -> None:
        """Let the other end say something."""
        self.callback(messages.encode(message))

    def close(self) -> None:
        """Let the other end be gone."""
        self.closed = True
        self.callback(self.endmarker)

    @property
    def heard(self) -> list[messages.ToWorker]:
        """What the controller has sent."""
        return [messages.worker_reads(data) for data in self.sent]


class Node:
    """Xdist's side of a worker."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.killed = False
        connection = SimpleNamespace(kill=lambda: setattr(self, "killed", True))
        self.gateway = SimpleNamespace(newchannel=lambda: self.channel, _io=connection)
        self.workeroutput: dict[str, Any] = {}

    def heard(self, kind: type[Any], count: int = 1) -> list[Any]:
        """Wait until the controller has sent so many messages of a kind; return them."""
        return wait_until(
            lambda: [message for message in self.channel.heard if isinstance(message, kind)],
            lambda found: len(found) >= count,
        )


def wait_until(get: Callable[[], T], enough: Callable[[T], object]) -> T:
    """Return what ``get`` gives as soon as it is enough."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not enough(found := get()):
        assert time.monotonic() < deadline_s, f"still {found!r} after {_TIMEOUT_S:g} s"
        time.sleep(0.005)
    return found
