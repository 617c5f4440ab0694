"""The portable twin of :mod:`~pytest_ari_sla.udp.mmsg`: one system call a datagram, through ``socket`` alone.

Slower, and as exact as the system allows: where the kernel gives no time of arrival, a datagram's time is when it was
read.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.udp.datagrams import DatagramMemory

__all__ = [
    "PythonBurst",
    "PythonReceiver",
    "PythonSender",
    "PythonStreamReader",
    "PythonStreamWriter",
    "PythonTimer",
]

_SCM_TIMESTAMPNS = 35
_ANCILLARY_BYTES = 128


class PythonTimer:
    """Fires at absolute multiples of a period, by sleeping; same interface as :class:`~.mmsg.TimerFd`."""

    def __init__(self, first_ns: int, period_ns: int) -> None:
        self._next_ns = first_ns
        self._period_ns = period_ns

    def wait(self) -> None:
        """Block until the next expiry; return at once when one has passed since the last call."""
        time.sleep(max(0, self._next_ns - time.monotonic_ns()) / 1e9)
        # As with timerfd, missed ones are one wake-up, and later ones stay on the grid.
        expiries = 1 + (time.monotonic_ns() - self._next_ns) // self._period_ns
        self._next_ns += expiries * self._period_ns

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
            _note(self._memory, row, ancillary)
        return count


def _note(memory: DatagramMemory, row: int, ancillary: list[tuple[int, int, bytes]]) -> None:
    """Note when a row came: as the kernel tells, else now."""
    # CLOCK_REALTIME, which the kernel's own stamps are of.
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == _SCM_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("@qq", value[:16])
    memory.control["seconds"][row] = seconds
    memory.control["nanoseconds"][row] = nanoseconds


class PythonStreamReader:
    """Reads connections, once each; same interface as :class:`~.mmsg.MmsgStreamReader`."""

    def __init__(self, memory: DatagramMemory) -> None:
        self._memory = memory
        self._rows = [row.data for row in memory.data]

    def read(self, descriptors: Sequence[int]) -> NDArray[np.int64]:
        """Read each connection into a row of its own; return the bytes of each: 0 at its end, -1 where it failed."""
        return np.array([self._read(row, descriptor) for row, descriptor in enumerate(descriptors)], np.int64)

    def _read(self, row: int, descriptor: int) -> int:
        with _borrowed(descriptor) as tcp:
            try:
                length, ancillary, _, _ = tcp.recvmsg_into([self._rows[row]], _ANCILLARY_BYTES)
            except OSError:
                return -1
        _note(self._memory, row, ancillary)
        return length


class PythonStreamWriter:
    """Writes rows of a matrix to connections, once each; same interface as :class:`~.mmsg.MmsgStreamWriter`."""

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self._rows = [row.data for row in rows]

    def write(self, descriptors: Sequence[int], clock: Callable[[], int]) -> tuple[list[int], list[int]]:
        """Write a row to each connection; -1 is none."""
        handed_ns: list[int] = []
        taken: list[int] = []
        for descriptor, row in zip(descriptors, self._rows, strict=False):
            handed_ns.append(clock())
            try:
                taken.append(os.write(descriptor, row))
            except OSError:
                taken.append(-1)
        return handed_ns, taken


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Give a socket of a descriptor that is somebody else's."""
    tcp = socket.socket(fileno=descriptor)
    try:
        yield tcp
    finally:
        tcp.detach()  # not closed: the descriptor is its owner's


class PythonSender:
    """Sends rows of a memory; same interface as :class:`~.mmsg.MmsgSender`."""

    def __init__(self, memory: DatagramMemory) -> None:
        self._memory = memory
        self._rows = [row.data for row in memory.data]
        self._addresses = _Addresses(memory)

    def send_rows(self, sending: socket.socket, rows: NDArray[np.intp]) -> int:
        """Send chosen rows in their order; return how many the kernel took before it refused one."""
        lengths = self._memory.length
        for sent, row in enumerate(rows.tolist()):
            try:
                sending.sendto(self._rows[row][: int(lengths[row])], self._addresses.of(row))
            except OSError:
                return sent
        return len(rows)


class PythonBurst:
    """Sends packets that differ in their middle only; same interface as :class:`~.mmsg.MmsgBurst`."""

    def __init__(self, memory: DatagramMemory, before: bytearray, after: bytearray, sending: socket.socket) -> None:
        self._socket = sending
        self._rows = [row.data for row in memory.data]
        self._before, self._after = before, after
        self._addresses = _Addresses(memory)

    def send(self, count: int, first: int = 0) -> int:
        """Send the packets of the rows from ``first`` to ``count``; return how many were taken before a refusal."""
        for row in range(first, count):
            try:
                self._socket.sendmsg([self._before, self._rows[row], self._after], [], 0, self._addresses.of(row))
            except OSError:
                return row - first
        return count - first

    def ask_for_stamps(self, wanted: bool) -> None:
        """Do nothing: there are none."""

    def stamps_ns(self) -> list[int]:
        """Return nothing: Python's own calls would cost more than these stamps are worth."""
        return []


class _Addresses:
    """The addresses of a memory's rows in the form that ``socket`` takes; each is written out once."""

    def __init__(self, memory: DatagramMemory) -> None:
        self._memory = memory
        self._known: dict[tuple[int, int], Address] = {}

    def of(self, row: int) -> Address:
        """Return where a row goes."""
        host, port = int(self._memory.address["host"][row]), int(self._memory.address["port"][row])
        if (host, port) not in self._known:
            self._known[host, port] = (socket.inet_ntoa(host.to_bytes(4)), port)
        return self._known[host, port]
