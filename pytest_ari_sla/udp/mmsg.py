"""Many datagrams per system call: ``sendmmsg`` and ``recvmmsg`` through cffi, and ``timerfd`` beside them.

Connections know of no batches: they take a call each, by the shortest way that there is from Python.

The only module that speaks to C. Structures are NumPy records laid out as the kernel wants them on 64-bit Linux
(:data:`MMSGHDR` is 64 bytes, its ``msghdr`` part 56); a test asserts the layout. Pointers are taken once, from arrays
that their owner keeps alive and never resizes.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from cffi import FFI

from pytest_ari_sla.udp.datagrams import (
    CONTROL,
    SO_TIMESTAMPING,
    SO_TIMESTAMPNS,
    SOCKADDR_IN,
    TX_SOFTWARE,
    DatagramMemory,
    prepare_send_stamps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "IOVEC",
    "MMSGHDR",
    "MmsgBurst",
    "MmsgReceiver",
    "MmsgSender",
    "MmsgStreamReader",
    "MmsgStreamWriter",
    "TimerFd",
    "is_available",
]

_ffi = FFI()
_ffi.cdef(
    """
    int sendmmsg(int sockfd, void *msgvec, unsigned int vlen, int flags);
    int recvmmsg(int sockfd, void *msgvec, unsigned int vlen, int flags, void *timeout);
    ssize_t recvmsg(int sockfd, void *msg, int flags);
    ssize_t send(int sockfd, const void *buf, size_t len, int flags);
    int timerfd_create(int clockid, int flags);
    int timerfd_settime(int fd, int flags, void *new_value, void *old_value);
    """
)

MMSGHDR = np.dtype(
    {
        "names": ["name", "name_length", "iov", "iov_length", "control", "control_length", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
"""``struct mmsghdr``: a ``msghdr`` and, at offset 56, the number of bytes moved."""

IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
"""``struct iovec``."""

_STAMP_REQUEST = np.dtype(
    {"names": ["length", "level", "kind", "flags"], "formats": ["u8", "i4", "i4", "u4"], "itemsize": 24}
)

_STAMPS = (SO_TIMESTAMPNS, SO_TIMESTAMPING)
"""Ancillary data that begin with a time; a socket that stamps what it receives tells both of what it has sent."""

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_CLOEXEC = 0o2000000


def _load() -> Any:
    """Open the C library, or return None where it lacks one of the calls."""
    # The structures here have pointers of 64 bits.
    if sys.platform != "linux" or sys.maxsize <= 2**32:
        return None
    # None: the C library that this Python has loaded already, whatever its name.
    library = _ffi.dlopen(None)
    try:
        # cffi looks a name up when it is first used: what is missing shall be known now, not in mid-load.
        for name in ("sendmmsg", "recvmmsg", "recvmsg", "send", "timerfd_create", "timerfd_settime"):
            getattr(library, name)
    except AttributeError:
        return None
    return library


_libc = _load()


def is_available() -> bool:
    """Whether this system has the calls (64-bit Linux)."""
    return _libc is not None


def _check(result: int) -> int:
    if result < 0:
        code = _ffi.errno
        raise OSError(code, os.strerror(code))
    return result


def _pointer(array: NDArray[Any]) -> Any:
    """Return the address of an array's memory; adding k to it moves on by k bytes."""
    return _ffi.cast("char *", array.ctypes.data)


class TimerFd:
    """A timer of the kernel that fires at absolute multiples of a period (CLOCK_MONOTONIC).

    Parameters
    ----------
    first_ns
        Time of the first expiry, on the clock of ``time.monotonic_ns``.
    period_ns
        Time between two expiries.
    """

    def __init__(self, first_ns: int, period_ns: int) -> None:
        self._fd = _check(_libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_CLOEXEC))
        billion = 1_000_000_000
        # struct itimerspec: it_interval stands before it_value (timerfd_create(2)).
        spec = np.array([*divmod(period_ns, billion), *divmod(first_ns, billion)], np.int64)
        # Absolute: expiries stay on the grid, however late one of them was served.
        _check(_libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, _pointer(spec), _ffi.NULL))

    def wait(self) -> None:
        """Block until the next expiry; return at once when one has passed since the last call."""
        os.read(self._fd, 8)

    def close(self) -> None:
        """Free the timer."""
        os.close(self._fd)


class MmsgReceiver:
    """Receives datagrams straight into the rows of a :class:`DatagramMemory`."""

    def __init__(self, memory: DatagramMemory) -> None:
        self._memory = memory
        rows = len(memory)
        self._iovecs = np.zeros(rows, IOVEC)
        self._iovecs["base"] = memory.data.ctypes.data + np.arange(rows) * memory.data.strides[0]
        self._iovecs["length"] = memory.data.shape[1]
        self._headers = np.zeros(rows, MMSGHDR)
        self._headers["name"] = memory.address.ctypes.data + np.arange(rows) * SOCKADDR_IN.itemsize
        self._headers["iov"] = self._iovecs.ctypes.data + np.arange(rows) * IOVEC.itemsize
        self._headers["iov_length"] = 1
        self._headers["control"] = memory.control.ctypes.data + np.arange(rows) * CONTROL.itemsize
        self._first = _pointer(self._headers)
        self._name_length = self._headers["name_length"]
        self._name_length.fill(SOCKADDR_IN.itemsize)
        self._control_length = self._headers["control_length"]
        self._control_length.fill(CONTROL.itemsize)
        self._length = self._headers["length"]

    def receive(self, receiving: socket.socket, first: int, count: int) -> int:
        """Receive at most ``count`` datagrams into the rows from ``first`` on; return how many, at once, 0 if none."""
        # No timeout: recvmmsg looks at it only after a datagram, so that it may block for ever (recvmmsg(2), BUGS).
        received: int = _libc.recvmmsg(
            receiving.fileno(), self._first + first * MMSGHDR.itemsize, count, socket.MSG_DONTWAIT, _ffi.NULL
        )
        if received <= 0:
            if received < 0 and _ffi.errno not in (11, 111):  # EAGAIN: empty; ECONNREFUSED: an old ICMP error
                _check(received)
            return 0
        rows = slice(first, first + received)
        self._memory.length[rows] = self._length[rows]
        # The kernel wrote what it used of these: they shall be offered whole again.
        self._name_length[rows] = SOCKADDR_IN.itemsize
        self._control_length[rows] = CONTROL.itemsize
        return received


class MmsgStreamReader:
    """Reads connections, once each, into the rows of a :class:`DatagramMemory`."""

    def __init__(self, memory: DatagramMemory) -> None:
        rows = len(memory)
        self._iovecs = np.zeros(rows, IOVEC)
        self._iovecs["base"] = memory.data.ctypes.data + np.arange(rows) * memory.data.strides[0]
        self._iovecs["length"] = memory.data.shape[1]
        self._headers = np.zeros(rows, MMSGHDR)
        self._headers["iov"] = self._iovecs.ctypes.data + np.arange(rows) * IOVEC.itemsize
        self._headers["iov_length"] = 1
        self._headers["control"] = memory.control.ctypes.data + np.arange(rows) * CONTROL.itemsize
        self._control_length = self._headers["control_length"]
        self._control_length.fill(CONTROL.itemsize)
        first = _pointer(self._headers)
        self._rows = [first + row * MMSGHDR.itemsize for row in range(rows)]

    def read(self, descriptors: Sequence[int]) -> NDArray[np.int64]:
        """Read each connection into a row of its own; return the bytes of each: 0 at its end, -1 where it failed."""
        receive, flags = _libc.recvmsg, socket.MSG_DONTWAIT
        lengths = [receive(descriptor, row, flags) for descriptor, row in zip(descriptors, self._rows, strict=False)]
        # The kernel wrote what it used of it: it shall be offered whole again.
        self._control_length[: len(lengths)] = CONTROL.itemsize
        return np.array(lengths, np.int64)


class MmsgStreamWriter:
    """Writes rows of a matrix to connections, once each.

    Parameters
    ----------
    rows
        uint8, (rows, width). What is written; stays where it is.
    """

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self._memory = rows
        first = _pointer(rows)
        self._rows = [first + row * rows.strides[0] for row in range(len(rows))]

    def write(self, descriptors: Sequence[int], clock: Callable[[], int]) -> tuple[list[int], list[int]]:
        """Write a row to each connection; -1 is none.

        Returns
        -------
        When each was handed over, by the clock, and how many bytes were taken; -1 where that failed.
        """
        send, width, flags = _libc.send, self._memory.shape[1], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        handed_ns: list[int] = []
        taken: list[int] = []
        for descriptor, row in zip(descriptors, self._rows, strict=False):
            # Before the call: on loopback the other end may have the data when send() returns.
            handed_ns.append(clock())
            taken.append(send(descriptor, row, width, flags))
        return handed_ns, taken


class MmsgSender:
    """Sends rows of a :class:`DatagramMemory`, ``length`` bytes of each to the address in it."""

    def __init__(self, memory: DatagramMemory) -> None:
        rows = len(memory)
        self._memory = memory
        self._iovecs = np.zeros(rows, IOVEC)
        self._iovecs["base"] = memory.data.ctypes.data + np.arange(rows) * memory.data.strides[0]
        self._headers = _headers_for(memory, self._iovecs, parts=1)
        self._chosen = np.zeros(rows, MMSGHDR)
        self._first_chosen = _pointer(self._chosen)

    def send_rows(self, sending: socket.socket, rows: NDArray[np.intp]) -> int:
        """Send chosen rows in their order; return how many the kernel took before it refused one."""
        self._iovecs["length"][rows] = self._memory.length[rows]
        # sendmmsg takes headers that lie in a row: those of the chosen rows are put side by side.
        self._chosen[: len(rows)] = self._headers[rows]
        # -1: the first one was refused; an error behind it shows as a smaller count alone (sendmmsg(2)).
        sent: int = _libc.sendmmsg(sending.fileno(), self._first_chosen, len(rows), 0) if len(rows) else 0
        return max(sent, 0)


class MmsgBurst:
    """Sends packets that differ in their middle only: each is ``before``, a whole row of the memory, and ``after``.

    What is shared is written once for all packets, between two sends, and never copied into them.

    Parameters
    ----------
    memory
        The rows, and where each goes.
    before, after
        What all packets begin and end with; may be rewritten, not resized.
    sending
        The socket to send by; stays open as long as this is used.
    stamp_every
        Ask the kernel when every so many-th row leaves, from the first on.
    """

    def __init__(
        self, memory: DatagramMemory, before: bytearray, after: bytearray, sending: socket.socket, stamp_every: int
    ) -> None:
        self._descriptor = sending.fileno()
        rows = len(memory)
        self._shared = [np.asarray(memoryview(part)) for part in (before, after)]  # frombuffer() takes no empty one
        self._iovecs = np.zeros((rows, 3), IOVEC)
        for column, part in zip((0, 2), self._shared, strict=True):
            self._iovecs["base"][:, column] = part.ctypes.data
            self._iovecs["length"][:, column] = len(part)
        self._iovecs["base"][:, 1] = memory.data.ctypes.data + np.arange(rows) * memory.data.strides[0]
        self._iovecs["length"][:, 1] = memory.data.shape[1]
        self._headers = _headers_for(memory, self._iovecs, parts=3)
        self._first = _pointer(self._headers)
        self._stamps = _SendStamps(rows // stamp_every + 1) if prepare_send_stamps(sending) else None
        if self._stamps is not None:
            # The pointer stays; with a control length of 0 the kernel does not look at it.
            self._headers["control"][::stamp_every] = self._stamps.request.ctypes.data
        self._asking = self._headers["control_length"][::stamp_every]
        self._asks = False
        self.ask_for_stamps(wanted=True)

    def send(self, count: int, first: int = 0) -> int:
        """Send the packets of the rows from ``first`` to ``count``; return how many were taken before a refusal."""
        pointer = self._first + first * MMSGHDR.itemsize if first else self._first
        sent: int = _libc.sendmmsg(self._descriptor, pointer, count - first, 0)
        return max(sent, 0)

    def ask_for_stamps(self, wanted: bool) -> None:
        """Let the kernel stamp from the next send on, or not: each stamp costs as much as sending a packet."""
        if self._stamps is not None and wanted is not self._asks:
            self._asking[:] = self._stamps.request.nbytes if wanted else 0
            self._asks = wanted

    def stamps_ns(self) -> list[int]:
        """Return when the stamped rows that have left since the last time did, as far as the kernel has told."""
        return [] if self._stamps is None else self._stamps.take(self._descriptor)


class _SendStamps:
    """Asks for the kernel's time of sending, and takes it out of a socket's error queue.

    Attributes
    ----------
    request
        The ancillary data of a datagram that is to be stamped.
    """

    # The stamp comes first; of what follows (IP_RECVERR) the end may be cut off.
    _CONTROL_BYTES = 128
    _STAMP = struct.Struct("@QiiQQ")
    _MSG_ERRQUEUE = 0x2000

    def __init__(self, most: int) -> None:
        self._most = most
        # CMSG_LEN counts header and flags, 16 + 4 bytes; CMSG_SPACE is the whole record of 24.
        self.request = np.array([(20, socket.SOL_SOCKET, SO_TIMESTAMPING, TX_SOFTWARE)], _STAMP_REQUEST)
        self._control = np.zeros((most, self._CONTROL_BYTES), np.uint8)
        self._bytes = self._control.reshape(-1).data
        self._headers = np.zeros(most, MMSGHDR)
        # No room for data: the stamps come without their packets (OPT_TSONLY).
        self._headers["control"] = self._control.ctypes.data + np.arange(most) * self._CONTROL_BYTES
        self._control_length = self._headers["control_length"]
        self._control_length.fill(self._CONTROL_BYTES)
        self._first = _pointer(self._headers)
        self._flags = self._MSG_ERRQUEUE | socket.MSG_DONTWAIT

    def take(self, descriptor: int) -> list[int]:
        """Return the stamps in a socket's error queue, ns since the Unix epoch."""
        received = _libc.recvmmsg(descriptor, self._first, self._most, self._flags, _ffi.NULL)
        if received <= 0:
            return []
        self._control_length[:received] = self._CONTROL_BYTES
        read, width = self._STAMP.unpack_from, self._CONTROL_BYTES
        told = (read(self._bytes, row * width) for row in range(received))
        return [seconds * 1_000_000_000 + ns for _, _, kind, seconds, ns in told if kind in _STAMPS]


def _headers_for(memory: DatagramMemory, iovecs: NDArray[np.void], parts: int) -> NDArray[np.void]:
    """Return headers that send each row's parts to the row's address."""
    rows = np.arange(len(memory))
    headers = np.zeros(len(memory), MMSGHDR)
    headers["name"] = memory.address.ctypes.data + rows * SOCKADDR_IN.itemsize
    headers["name_length"] = SOCKADDR_IN.itemsize
    headers["iov"] = iovecs.ctypes.data + rows * IOVEC.itemsize * parts
    headers["iov_length"] = parts
    return headers
