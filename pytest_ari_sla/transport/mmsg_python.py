"""The portable twin of :mod:`~pytest_ari_sla.transport.mmsg`: one system call a datagram, through ``socket`` alone.

Slower, and as exact as the system allows: where the kernel gives no time of arrival, a datagram's time is when it was
read.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.transport.datagrams import Address, DatagramMemory

__all__ = ["PythonReceiver", "PythonSender", "PythonTimer"]

_SCM_TIMESTAMPNS = 35
_ANCILLARY_BYTES = 128


class PythonTimer:
    """Fires at absolute multiples of a period, by sleeping; same interface as :class:`~.mmsg.TimerFd`."""

    def __init__(self, first_ns: int, period_ns: int) -> None:
        self._next_ns = first_ns
        self._period_ns = period_ns

    def wait(self) -> int:
        """Block until the next expiry; return how many have passed since the last call."""
        time.sleep(max(0, self._next_ns - time.monotonic_ns()) / 1e9)
        expiries = 1 + (time.monotonic_ns() - self._next_ns) // self._period_ns
        self._next_ns += expiries * self._period_ns
        return expiries

    def close(self) -> None:
        """Free the timer."""


class PythonReceiver:
    """Receives datagrams into the rows of a memory; same interface as :class:`~.mmsg.MmsgReceiver`."""

    def __init__(self, memory: DatagramMemory) -> None:
        self._memory = memory
        self._rows = [row.data for row in memory.data]

    def receive(self, receiving: socket.socket, first: int, count: int) -> int:
        """Receive at most ``count`` datagrams into the rows from ``first`` on; return how many, at once, 0 if none."""
        for received in range(count):
            row = first + received
            try:
                length, ancillary, _, source = receiving.recvmsg_into([self._rows[row]], _ANCILLARY_BYTES)
            except (BlockingIOError, ConnectionRefusedError):
                return received
            self._memory.length[row] = length
            self._memory.set_address(row, source)
            self._note(row, ancillary)
        return count

    def _note(self, row: int, ancillary: list[tuple[int, int, bytes]]) -> None:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SCM_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("@qq", value[:16])
        self._memory.control["seconds"][row] = seconds
        self._memory.control["nanoseconds"][row] = nanoseconds


class PythonSender:
    """Sends rows of a memory; same interface as :class:`~.mmsg.MmsgSender`."""

    def __init__(self, memory: DatagramMemory, *, tails: bool = False) -> None:
        self._memory = memory
        self._rows = [row.data for row in memory.data]
        self._tail = memoryview(b"")
        self._tail_bytes = [0] * len(memory)
        self._addresses: dict[tuple[int, int], Address] = {}

    def lay_out(self, row: int, tail_bytes: int = 0) -> None:
        """Take over the length of a row's own part, and set that of its tail; after every change of them."""
        self._tail_bytes[row] = tail_bytes

    def lay_out_like(self, row: int, other: int) -> None:
        """Give a row the lengths of another one."""
        self._tail_bytes[row] = self._tail_bytes[other]

    def point_tails(self, count: int, store: NDArray[np.uint8], offset: int) -> None:
        """Let the tails of the first ``count`` rows begin at this offset of ``store``, which stays where it is."""
        self._tail = store.data[offset:]

    def send(self, sending: socket.socket, count: int, first: int = 0) -> int:
        """Send the laid-out rows from ``first`` to ``count``; return how many were taken before one was refused."""
        return self.send_rows(sending, np.arange(first, count))

    def send_rows(self, sending: socket.socket, rows: NDArray[np.intp]) -> int:
        """Send chosen rows, by their present lengths; return how many were taken before one was refused."""
        lengths = self._memory.length
        for sent, row in enumerate(rows.tolist()):
            parts = [self._rows[row][: int(lengths[row])], self._tail[: self._tail_bytes[row]]]
            try:
                sending.sendmsg(parts, [], 0, self._address(row))
            except OSError:
                return sent
        return len(rows)

    def _address(self, row: int) -> Address:
        host, port = int(self._memory.address["host"][row]), int(self._memory.address["port"][row])
        if (host, port) not in self._addresses:
            self._addresses[host, port] = (socket.inet_ntoa(host.to_bytes(4)), port)
        return self._addresses[host, port]
