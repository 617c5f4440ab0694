"""The memory that datagrams are received into and sent from, and the socket options that measuring needs."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from pytest_ari_sla.arguments import Address

    Allocate = Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]

__all__ = [
    "CONTROL",
    "RECEIVE_BUFFER_BYTES",
    "SOCKADDR_IN",
    "SO_TIMESTAMPING",
    "SO_TIMESTAMPNS",
    "TX_SOFTWARE",
    "Burst",
    "DatagramMemory",
    "ReceiveOptions",
    "Receiver",
    "Sender",
    "StreamReader",
    "StreamWriter",
    "host_number",
    "open_udp_socket",
    "prepare_send_stamps",
    "prepare_socket",
    "receive_drops",
]


SOCKADDR_IN = np.dtype([("family", "u2"), ("port", ">u2"), ("host", ">u4"), ("zero", "u8")])
"""``struct sockaddr_in``."""

CONTROL = np.dtype({"names": ["seconds", "nanoseconds"], "formats": ["i8", "i8"], "offsets": [16, 24], "itemsize": 32})
"""Ancillary data of a received datagram: the kernel's time of arrival (SO_TIMESTAMPNS), after a header of 16 bytes."""

RECEIVE_BUFFER_BYTES = 4 << 20
"""Receive buffer of a socket for batches: some 5,000 small packets, as the kernel counts them."""

# Python's socket module names none of these: the numbers are those of asm-generic/socket.h (x86_64, aarch64).
_SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SO_TIMESTAMPING = 37
TX_SOFTWARE = 1 << 1
"""Stamp a datagram when it is handed to the device."""
# SOF_TIMESTAMPING_SOFTWARE; SOF_TIMESTAMPING_OPT_TSONLY: no copy of the packet comes with its stamp.
_TELL_SOFTWARE, _STAMP_ONLY = 1 << 4, 1 << 11
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8  # SK_MEMINFO_DROPS of linux/sock_diag.h


def host_number(host: str) -> int:
    """Return an IPv4 address in dotted form as the number that ``SOCKADDR_IN`` holds."""
    return int.from_bytes(socket.inet_aton(host))


@dataclass(frozen=True, eq=False)
class DatagramMemory:
    """Rows of datagrams as a structure of arrays, all of length ``rows``.

    Attributes
    ----------
    data
        uint8, (rows, width). The datagrams; make ``width`` one byte more than the longest that is wanted, so that a
        longer one is known by filling its row.
    length
        uint32. Bytes of each datagram.
    address
        SOCKADDR_IN. Where each came from, or goes to.
    control
        CONTROL. Of received ones: the kernel's time of arrival.
    """

    data: NDArray[np.uint8]
    length: NDArray[np.uint32]
    address: NDArray[np.void]
    control: NDArray[np.void]

    @classmethod
    def allocate(cls, rows: int, width: int, allocate: Allocate | None = None) -> DatagramMemory:
        """Make room for ``rows`` datagrams of ``width`` bytes, in memory from ``allocate`` (default: this process's).

        All pages are touched, so that none is faulted in while packets wait.
        """
        take = allocate or np.zeros
        memory = cls(
            take((rows, width), np.uint8),
            take((rows,), np.uint32),
            take((rows,), SOCKADDR_IN),
            take((rows,), CONTROL),
        )
        memory.data.fill(0)
        memory.address["family"] = socket.AF_INET
        return memory

    def __len__(self) -> int:
        return len(self.length)

    def set_address(self, row: int, address: Address) -> None:
        """Let a row go to ``address``."""
        self.address["family"][row] = socket.AF_INET
        self.address["host"][row] = host_number(address[0])
        self.address["port"][row] = address[1]

    def arrival_ns(self, rows: slice) -> NDArray[np.int64]:
        """When the kernel received these rows: (n,) int64 ns since the Unix epoch."""
        control = self.control[rows]
        arrival: NDArray[np.int64] = control["seconds"] * 1_000_000_000 + control["nanoseconds"]
        return arrival


class Receiver(Protocol):
    """Receives datagrams into a memory: :class:`~.mmsg.MmsgReceiver` or its portable twin."""

    def receive(self, receiving: socket.socket, first: int, count: int) -> int:
        """Receive at most ``count`` datagrams into the rows from ``first`` on; return how many, at once."""


class Sender(Protocol):
    """Sends datagrams from a memory: :class:`~.mmsg.MmsgSender` or its portable twin."""

    def send_rows(self, sending: socket.socket, rows: NDArray[np.intp]) -> int:
        """Send chosen rows in their order; return how many the kernel took before it refused one."""


class Burst(Protocol):
    """Sends packets that differ in their middle only: :class:`~.mmsg.MmsgBurst` or its portable twin."""

    def send(self, count: int, first: int = 0) -> int:
        """Send the packets of the rows from ``first`` to ``count``; return how many were taken before a refusal."""

    def ask_for_stamps(self, wanted: bool) -> None:
        """Let the kernel stamp from the next send on, or not: each stamp costs as much as sending a packet."""

    def stamps_ns(self) -> list[int]:
        """Return when the stamped rows that have left since the last time did, as far as the kernel has told.

        ns since the Unix epoch, by CLOCK_REALTIME, in the order in which they left.
        """


class StreamReader(Protocol):
    """Reads connections into a memory: :class:`~.mmsg.MmsgStreamReader` or its portable twin."""

    def read(self, descriptors: Sequence[int]) -> NDArray[np.int64]:
        """Read each connection into a row of its own; return the bytes of each: 0 at its end, -1 where it failed."""


class StreamWriter(Protocol):
    """Writes rows to connections: :class:`~.mmsg.MmsgStreamWriter` or its portable twin."""

    def write(self, descriptors: Sequence[int], clock: Callable[[], int]) -> tuple[list[int], list[int]]:
        """Write a row to each connection (-1: none); return when, and the bytes that each took, -1 where it failed."""


@dataclass(frozen=True)
class ReceiveOptions:
    """What the kernel granted a receiving socket.

    Attributes
    ----------
    buffer_bytes
        Size of the receive buffer, as the kernel counts it.
    kernel_time
        Whether datagrams carry the kernel's time of arrival.
    """

    buffer_bytes: int
    kernel_time: bool


def prepare_socket(udp: socket.socket, buffer_bytes: int = RECEIVE_BUFFER_BYTES) -> ReceiveOptions:
    """Ask for a large receive buffer and the kernel's time of arrival; say what was granted."""
    try:
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
    except OSError:  # only root may pass the system's maximum; others get as much as it allows
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    # Linux doubles what is asked for, for its own book-keeping, and caps it at net.core.rmem_max (socket(7)).
    granted = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return ReceiveOptions(granted, kernel_time=False)
    return ReceiveOptions(granted, kernel_time=True)


def prepare_send_stamps(udp: socket.socket) -> bool:
    """Let the kernel put its stamps of datagrams that ask for one, without them, into the error queue (Linux 4.0)."""
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, _TELL_SOFTWARE | _STAMP_ONLY)
    except OSError:
        return False
    return True


def receive_drops(udp: socket.socket) -> int:
    """Return how many datagrams found this socket's receive buffer full, ever; 0 where the system does not count.

    The counter is asked for (SO_MEMINFO, Linux 4.12), not read off the next datagram (SO_RXQ_OVFL): the last drops of
    a run have no next datagram.
    """
    try:
        values = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_MEMINFO_DROPS + 1))
    except OSError:
        return 0
    # The kernel fills in as many 32-bit counters as there is room for: the last one here is the drops.
    return int.from_bytes(values[4 * _MEMINFO_DROPS :], sys.byteorder)


def open_udp_socket(address: Address, buffer_bytes: int = RECEIVE_BUFFER_BYTES) -> socket.socket:
    """Open a non-blocking UDP socket for batches, bound to ``address``.

    Raises
    ------
    OSError
        If the address cannot be bound.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind(address)
        udp.setblocking(False)
        prepare_socket(udp, buffer_bytes)
    except OSError:
        udp.close()
        raise
    return udp
