"""What the echo server and the relay share: moving RTP packets in batches, and timing themselves while they do.

The time that a packet is held, from the kernel's time of arrival until it has left, is measured and reported.
"""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.rtp.header import HEADER_BYTES
from pytest_ari_sla.udp.batched import make_receiver, make_sender
from pytest_ari_sla.udp.datagrams import DatagramMemory
from pytest_ari_sla.udp.stamp_clock import StampClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.clock import Clock

__all__ = ["BATCH", "MOST_BATCHES", "PACKET_WIDTH", "Departures", "PacketMover", "TurnaroundMeter", "send_stamped"]

BATCH = 256
"""Datagrams per receive call; at the top rate about what comes in a few milliseconds."""

MOST_BATCHES = 4
"""Batches that one wake-up deals with at most, so that no socket, and no order to stop, has to wait for long."""

PACKET_WIDTH = 1601
"""Bytes per row: one more than the longest packet that is passed on."""

_RTP_VERSION = 2
_WRITABLE_WAIT_S = 0.001


class PacketMover:
    """Receives batches of RTP packets, and sends rows of them on without copying.

    Attributes
    ----------
    memory
        The rows of the last batch; half of them stay free, so that each received one can be sent twice in one call.
    clock
        Of all times here: nobody sets it, so that nothing that waits is lost by that.
    """

    def __init__(self, clock: Clock = time) -> None:
        self.clock = StampClock(clock=clock)
        self.memory = DatagramMemory.allocate(2 * BATCH, PACKET_WIDTH)
        self._arrival_ns = np.zeros(2 * BATCH, np.int64)
        self._receiver = make_receiver(self.memory)
        self._sender = make_sender(self.memory)

    def batches(self, udp: socket.socket) -> Iterator[tuple[NDArray[np.intp], int]]:
        """Receive batch after batch until nothing is left, or it is the others' turn.

        Yields
        ------
        The rows that hold RTP packets, and how many others there were that hold none (or one that is too long).
        """
        for _ in range(MOST_BATCHES):
            rows, invalid = self._receive(udp)
            yield rows, invalid
            if len(rows) + invalid < BATCH:
                return

    def _receive(self, udp: socket.socket) -> tuple[NDArray[np.intp], int]:
        count = self._receiver.receive(udp, 0, BATCH)
        self._arrival_ns[:count] = self.clock.arrivals_ns(self.memory.arrival_ns(slice(count)))
        lengths = self.memory.length[:count]
        # Two bits tell RTP from STUN and DTLS (RFC 7983, 7).
        is_rtp = self.memory.data[:count, 0] >> 6 == _RTP_VERSION
        # A row that is full was cut off by the kernel.
        is_rtp &= (lengths >= HEADER_BYTES) & (lengths < PACKET_WIDTH)
        rows = np.flatnonzero(is_rtp)
        return rows, count - len(rows)

    def arrival_ns(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """When the kernel received these rows: (n,) int64 ns since the Unix epoch."""
        return self._arrival_ns[rows]

    def send(self, udp: socket.socket, rows: NDArray[np.intp]) -> Departures:
        """Send rows in their order."""
        return send_stamped(self._sender, udp, rows, self.clock)


class RowSender(Protocol):
    """The part of a :class:`~pytest_ari_sla.udp.datagrams.Sender` that is needed here."""

    def send_rows(self, sending: socket.socket, rows: NDArray[np.intp]) -> int:
        """Send chosen rows in their order; return how many the kernel took before it refused one."""


class Departures(NamedTuple):
    """When packets left: ns since the Unix epoch, one system call's time spread evenly over its packets.

    A packet can be answered before the call that sends it returns; so a round trip is measured from its beginning,
    while the time that a packet was held lasts until its end.

    Attributes
    ----------
    began_ns, ended_ns
        (n,) int64. When its sending began and ended; 0 where the kernel refused it.
    """

    began_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]

    @property
    def is_sent(self) -> NDArray[np.bool_]:
        """(n,) bool. Whether it left at all."""
        is_sent: NDArray[np.bool_] = self.ended_ns != 0
        return is_sent


def send_stamped(sender: RowSender, udp: socket.socket, rows: NDArray[np.intp], clock: StampClock) -> Departures:
    """Send rows of a sender's memory in their order, getting past those that the kernel refuses.

    A refusal may mean that the send buffer is full: it is given a millisecond to drain. A packet that is refused even
    then (no route, a port of 0) is skipped.
    """
    departures = Departures(np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64))
    done = 0
    waited = False
    while done < len(rows):
        # By the clock that times of arrival are on: their difference is the time held.
        before_ns = clock.now_ns()
        left = sender.send_rows(udp, rows[done:])
        if left:
            bounds_ns = before_ns + (clock.now_ns() - before_ns) * np.arange(left + 1) // left
            departures.began_ns[done : done + left] = bounds_ns[:-1]
            departures.ended_ns[done : done + left] = bounds_ns[1:]
            done += left
            waited = False
        elif waited:
            done += 1
            waited = False
        else:
            _wait_until_writable(udp)
            waited = True
    return departures


def _wait_until_writable(udp: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(udp, selectors.EVENT_WRITE)
        selector.select(_WRITABLE_WAIT_S)


class TurnaroundMeter:
    """Gathers how long packets were held, and puts them into a histogram in large portions, which is cheaper."""

    def __init__(self, portion: int = 4096) -> None:
        self._held_ns = np.zeros(portion, np.int64)
        self._count = 0
        self._histogram = Histogram()

    def record(self, held_ns: NDArray[np.int64]) -> None:
        """Take in (n,) times in ns."""
        if self._count + len(held_ns) > len(self._held_ns):
            self._flush()
        if len(held_ns) > len(self._held_ns):
            self._histogram.record(held_ns)
            return
        self._held_ns[self._count : self._count + len(held_ns)] = held_ns
        self._count += len(held_ns)

    def histogram(self) -> Histogram:
        """Return all that was recorded."""
        self._flush()
        return self._histogram

    def _flush(self) -> None:
        self._histogram.record(self._held_ns[: self._count])
        self._count = 0
