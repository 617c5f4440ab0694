"""What the echo server and the relay share: moving RTP packets in batches, and timing themselves while they do.

The time that a packet is held, from the kernel's time of arrival until it has left, is measured and reported.
"""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.transport.batched_udp import make_receiver, make_sender
from pytest_ari_sla.transport.datagrams import DatagramMemory

if TYPE_CHECKING:
    import socket

    from numpy.typing import NDArray

    from pytest_ari_sla.transport.datagrams import Sender

__all__ = ["BATCH", "PACKET_WIDTH", "PacketMover", "TurnaroundMeter", "send_stamped"]

BATCH = 256
"""Datagrams per receive call; at the top rate about what comes in a few milliseconds."""

PACKET_WIDTH = 1601
"""Bytes per row: one more than the longest packet that is passed on."""

_RTP_VERSION = 2
_RTP_HEADER_BYTES = 12
_WRITABLE_WAIT_S = 0.001


class PacketMover:
    """Receives batches of RTP packets, and sends rows of them on without copying.

    Attributes
    ----------
    memory
        The rows of the last batch; half of them stay free, so that each received one can be sent twice in one call.
    invalid
        Datagrams received that were no RTP packets, or longer than a row.
    """

    def __init__(self) -> None:
        self.memory = DatagramMemory.allocate(2 * BATCH, PACKET_WIDTH)
        self.invalid = 0
        self._receiver = make_receiver(self.memory)
        self._sender = make_sender(self.memory)

    def receive(self, udp: socket.socket) -> NDArray[np.intp]:
        """Receive a batch; return the rows that hold RTP packets."""
        count = self._receiver.receive(udp, 0, BATCH)
        lengths = self.memory.length[:count]
        is_rtp = self.memory.data[:count, 0] >> 6 == _RTP_VERSION
        is_rtp &= (lengths >= _RTP_HEADER_BYTES) & (lengths < PACKET_WIDTH)
        rows = np.flatnonzero(is_rtp)
        self.invalid += count - len(rows)
        return rows

    def arrival_ns(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """When the kernel received these rows: (n,) int64 ns since the Unix epoch."""
        control = self.memory.control[rows]
        arrival: NDArray[np.int64] = control["seconds"] * 1_000_000_000 + control["nanoseconds"]
        return arrival

    def send(self, udp: socket.socket, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Send rows in their order; return when each left ((n,) ns since the Unix epoch), 0 where it was refused."""
        return send_stamped(self._sender, udp, rows)


def send_stamped(sender: Sender, udp: socket.socket, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Send rows of a sender's memory in their order, getting past those that the kernel refuses.

    A refusal may mean that the send buffer is full: it is given a millisecond to drain. A packet that is refused even
    then (no route, a port of 0) is skipped.

    Returns
    -------
    (n,) int64: when each row left, ns since the Unix epoch, spread evenly over the system call; 0 where it was refused.
    """
    sent_ns = np.zeros(len(rows), np.int64)
    done = 0
    waited = False
    while done < len(rows):
        before_ns = time.time_ns()
        left = sender.send_rows(udp, rows[done:])
        if left:
            steps = np.arange(1, left + 1)
            sent_ns[done : done + left] = before_ns + (time.time_ns() - before_ns) * steps // left
            done += left
            waited = False
        elif waited:
            done += 1
            waited = False
        else:
            _wait_until_writable(udp)
            waited = True
    return sent_ns


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
