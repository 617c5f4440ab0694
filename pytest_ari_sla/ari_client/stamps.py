"""When requests to ARI and its answers passed the kernel, not when an event loop came round to them.

With 30 requests at once an event loop is many ms behind its sockets, and so are the times at which it sends a
request and hears of an answer. The kernel stamps both (SO_TIMESTAMPING, SO_TIMESTAMPNS): the last byte of a request as
it goes to the network interface, and the last byte of an answer as it comes from there. An answer is one message on its
connection, so that its stamp is its own; for events see :mod:`pytest_ari_sla.ari_client.event_stream.pump`.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.ari_client.event_stream.pump import arrival_ns, ask_for_stamps, monotonic_ns

if TYPE_CHECKING:
    from aiohttp import AddrInfoType
    from typing_extensions import Buffer

__all__ = ["StampedSocket", "WireTimes", "stamp_exchange", "stamped_socket"]

_SO_TIMESTAMPING = 37  # asm-generic/socket.h; socket has no name for it
_MSG_ERRQUEUE = 0x2000
_SENT_STAMPS_ONLY = 1 << 1 | 1 << 4 | 1 << 11
"""SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE and _OPT_TSONLY (linux/net_tstamp.h): stamps, without the bytes."""

_ANCILLARY_BYTES = 256

_CLOCK_ERROR_NS = 1_000_000
"""More than the two clocks are ever read apart; a stamp that is further off is one of a clock that has been set."""


@dataclass
class WireTimes:
    """The times of one request and its answer, on the monotonic clock; None until something has passed.

    Attributes
    ----------
    sent_ns
        When the last bytes were sent.
    sending_ns
        How much too early ``sent_ns`` may be: 0 where it is the kernel's stamp, else what the system call took.
    received_ns
        When the last bytes that were read had arrived.
    """

    sent_ns: int | None = None
    sending_ns: int = 0
    received_ns: int | None = None

    def sent(self, began_ns: int, ended_ns: int) -> tuple[int, int]:
        """Return when the last bytes were sent, and how much later it may have been; parameters as for `took_ns`."""
        return (began_ns, ended_ns - began_ns) if self.sent_ns is None else (self.sent_ns, self.sending_ns)

    def took_ns(self, began_ns: int, ended_ns: int) -> tuple[int, int]:
        """Return how long it took from the last bytes sent until the last ones received, and how far off that may be.

        Parameters
        ----------
        began_ns, ended_ns
            When the caller began, and when it had the answer: all that is known where an event loop moves bytes past
            Python's sockets, as uvloop does.
        """
        if self.sent_ns is None or self.received_ns is None:
            return ended_ns - began_ns, ended_ns - began_ns
        return max(0, self.received_ns - self.sent_ns), self.sending_ns


_current: ContextVar[WireTimes | None] = ContextVar("_current", default=None)


def stamp_exchange() -> WireTimes:
    """Return the times of whatever this task, and those that it starts, will send, and of the answers to it."""
    times = WireTimes()
    _current.set(times)
    return times


class StampedSocket(socket.socket):
    """A TCP socket of an asyncio transport that tells when its bytes passed.

    Times go to the exchange in whose context something was sent last: a connection carries one request at a time. Under
    TLS these are the times of records, whose last byte makes the last byte of the message readable.
    """

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        super().__init__(family, type, proto, fileno)
        self._times = WireTimes()
        ask_for_stamps(self)
        self.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SENT_STAMPS_ONLY)

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send, and take the time."""
        before_ns = time.monotonic_ns()
        sent = super().send(data, flags)
        self._sent(before_ns)
        return sent

    def sendmsg(self, *arguments: Any) -> int:
        """Send, and take the time; asyncio uses this from Python 3.12 on."""
        before_ns = time.monotonic_ns()
        sent = super().sendmsg(*arguments)
        self._sent(before_ns)
        return sent

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive, and take the kernel's time."""
        self._look_for_stamp()
        data, ancillary, _, _ = self.recvmsg(size, _ANCILLARY_BYTES, flags)
        self._received(bool(data), ancillary)
        return data

    def recv_into(self, buffer: Buffer, size: int = 0, flags: int = 0) -> int:
        """Receive, and take the kernel's time; TLS uses this."""
        self._look_for_stamp()
        room = memoryview(buffer)[: size or None]  # 0 stands for all the room there is, as in socket.recv_into
        count, ancillary, _, _ = self.recvmsg_into([room], _ANCILLARY_BYTES, flags)
        self._received(bool(count), ancillary)
        return count

    def _sent(self, before_ns: int) -> None:
        self._times = _current.get() or WireTimes()
        self._times.sent_ns, self._times.sending_ns = before_ns, time.monotonic_ns() - before_ns
        self._look_for_stamp()

    def _look_for_stamp(self) -> None:
        """Take the kernel's time of what was sent: as a rule it is there when the system call returns."""
        with suppress(BlockingIOError):
            _, ancillary, _, _ = self.recvmsg(0, _ANCILLARY_BYTES, _MSG_ERRQUEUE)
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
                    self._take_stamp(monotonic_ns(data))

    def _take_stamp(self, sent_ns: int) -> None:
        began_ns = self._times.sent_ns or 0
        if began_ns - _CLOCK_ERROR_NS <= sent_ns <= time.monotonic_ns() + _CLOCK_ERROR_NS:
            self._times.sent_ns, self._times.sending_ns = sent_ns, 0

    def _received(self, came: bool, ancillary: list[tuple[int, int, bytes]]) -> None:
        if came:
            # An answer does not come before its request was sent.
            self._times.received_ns = arrival_ns(ancillary, time.monotonic_ns(), self._times.sent_ns or 0)


def stamped_socket(address: AddrInfoType) -> socket.socket:
    """Return a socket for an address, as aiohttp's connector wants it."""
    family, kind, protocol, _, _ = address
    return StampedSocket(family, kind, protocol)
