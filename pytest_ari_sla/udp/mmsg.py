"""Many datagrams per system call: ``sendmmsg`` and ``recvmmsg`` through cffi, and ``timerfd`` beside them.

The only module that speaks to C. Structures are NumPy records laid out as the kernel wants them on 64-bit Linux
(:data:`MMSGHDR` is 64 bytes, its ``msghdr`` part 56); a test asserts the layout. Pointers are taken once, from arrays
that their owner keeps alive and never resizes.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from cffi import FFI

from pytest_ari_sla.udp.datagrams import CONTROL, SOCKADDR_IN, DatagramMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IOVEC", "MMSGHDR", "MmsgBurst", "MmsgReceiver", "MmsgSender", "TimerFd", "is_available"]

_ffi = FFI()
_ffi.cdef(
    """
    int sendmmsg(int sockfd, void *msgvec, unsigned int vlen, int flags);
    int recvmmsg(int sockfd, void *msgvec, unsigned int vlen, int flags, void *timeout);
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

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_CLOEXEC = 0o2000000


def _load() -> Any:
    """Open the C library, or return None where it lacks one of the calls."""
    if sys.platform != "linux" or sys.maxsize <= 2**32:
        return None
    library = _ffi.dlopen(None)
    try:
        for name in ("sendmmsg", "recvmmsg", "timerfd_create", "timerfd_settime"):
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
        spec = np.array([*divmod(period_ns, billion), *divmod(first_ns, billion)], np.int64)
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
        self._chosen[: len(rows)] = self._headers[rows]
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
    """

    def __init__(self, memory: DatagramMemory, before: bytearray, after: bytearray, sending: socket.socket) -> None:
        self._descriptor = sending.fileno()
        rows = len(memory)
        self._shared = [np.frombuffer(part, np.uint8) for part in (before, after)]
        self._iovecs = np.zeros((rows, 3), IOVEC)
        for column, part in zip((0, 2), self._shared, strict=True):
            self._iovecs["base"][:, column] = part.ctypes.data
            self._iovecs["length"][:, column] = len(part)
        self._iovecs["base"][:, 1] = memory.data.ctypes.data + np.arange(rows) * memory.data.strides[0]
        self._iovecs["length"][:, 1] = memory.data.shape[1]
        self._headers = _headers_for(memory, self._iovecs, parts=3)
        self._first = _pointer(self._headers)

    def send(self, count: int, first: int = 0) -> int:
        """Send the packets of the rows from ``first`` to ``count``; return how many were taken before a refusal."""
        pointer = self._first + first * MMSGHDR.itemsize if first else self._first
        sent: int = _libc.sendmmsg(self._descriptor, pointer, count - first, 0)
        return max(sent, 0)


def _headers_for(memory: DatagramMemory, iovecs: NDArray[np.void], parts: int) -> NDArray[np.void]:
    """Return headers that send each row's parts to the row's address."""
    rows = np.arange(len(memory))
    headers = np.zeros(len(memory), MMSGHDR)
    headers["name"] = memory.address.ctypes.data + rows * SOCKADDR_IN.itemsize
    headers["name_length"] = SOCKADDR_IN.itemsize
    headers["iov"] = iovecs.ctypes.data + rows * IOVEC.itemsize * parts
    headers["iov_length"] = parts
    return headers
