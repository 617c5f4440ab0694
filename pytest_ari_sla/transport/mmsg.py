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

from pytest_ari_sla.transport.datagrams import CONTROL, SOCKADDR_IN, DatagramMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IOVEC", "MMSGHDR", "MmsgReceiver", "MmsgSender", "TimerFd", "is_available"]

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

    def wait(self) -> int:
        """Block until the next expiry; return how many have passed since the last call."""
        return int.from_bytes(os.read(self._fd, 8), sys.byteorder)

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
        self._control_length = self._headers["control_length"]
        self._length = self._headers["length"]

    def receive(self, receiving: socket.socket, first: int, count: int) -> int:
        """Receive at most ``count`` datagrams into the rows from ``first`` on; return how many, at once, 0 if none."""
        end = first + count
        self._name_length[first:end] = SOCKADDR_IN.itemsize
        self._control_length[first:end] = CONTROL.itemsize
        received: int = _libc.recvmmsg(
            receiving.fileno(), self._first + first * MMSGHDR.itemsize, count, socket.MSG_DONTWAIT, _ffi.NULL
        )
        if received <= 0:
            if received < 0 and _ffi.errno not in (11, 111):  # EAGAIN: empty; ECONNREFUSED: an old ICMP error
                _check(received)
            return 0
        self._memory.length[first : first + received] = self._length[first : first + received]
        return received


class MmsgSender:
    """Sends rows of a :class:`DatagramMemory`, each to the address in its row.

    Parameters
    ----------
    memory
        What to send: ``length`` bytes of each row's ``data``.
    tails
        Whether every row has a second part, in memory that :meth:`point_tails` names, so that audio is never copied
        into a packet.
    """

    def __init__(self, memory: DatagramMemory, *, tails: bool = False) -> None:
        rows = len(memory)
        self._memory = memory
        self._parts = 2 if tails else 1
        self._iovecs = np.zeros((rows, self._parts), IOVEC)
        self._iovecs["base"][:, 0] = memory.data.ctypes.data + np.arange(rows) * memory.data.strides[0]
        self._headers = np.zeros(rows, MMSGHDR)
        self._headers["name"] = memory.address.ctypes.data + np.arange(rows) * SOCKADDR_IN.itemsize
        self._headers["name_length"] = SOCKADDR_IN.itemsize
        self._headers["iov"] = self._iovecs.ctypes.data + np.arange(rows) * IOVEC.itemsize * self._parts
        self._headers["iov_length"] = self._parts
        self._first = _pointer(self._headers)
        self._chosen = np.zeros(rows, MMSGHDR)
        self._first_chosen = _pointer(self._chosen)
        self._store: NDArray[np.uint8] | None = None
        self._store_address = 0
        if tails:
            self._tail_base = self._iovecs["base"][:, 1]

    def lay_out(self, row: int, tail_bytes: int = 0) -> None:
        """Take over the length of a row's own part, and set that of its tail; after every change of them."""
        self._iovecs["length"][row, 0] = self._memory.length[row]
        if tail_bytes:
            self._iovecs["length"][row, 1] = tail_bytes

    def lay_out_like(self, row: int, other: int) -> None:
        """Give a row the lengths of another one."""
        self._iovecs["length"][row] = self._iovecs["length"][other]

    def point_tails(self, count: int, store: NDArray[np.uint8], offset: int) -> None:
        """Let the tails of the first ``count`` rows begin at this offset of ``store``, which stays where it is."""
        if self._store is not store:
            self._store, self._store_address = store, store.ctypes.data
        self._tail_base[:count] = self._store_address + offset

    def send(self, sending: socket.socket, count: int, first: int = 0) -> int:
        """Send the laid-out rows from ``first`` to ``count``; return how many were taken before one was refused."""
        return self._send(sending, self._first + first * MMSGHDR.itemsize, count - first)

    def send_rows(self, sending: socket.socket, rows: NDArray[np.intp]) -> int:
        """Send chosen rows, by their present lengths; return how many were taken before one was refused."""
        self._iovecs["length"][rows, 0] = self._memory.length[rows]
        self._chosen[: len(rows)] = self._headers[rows]
        return self._send(sending, self._first_chosen, len(rows)) if len(rows) else 0

    @staticmethod
    def _send(sending: socket.socket, pointer: Any, count: int) -> int:
        sent: int = _libc.sendmmsg(sending.fileno(), pointer, count, 0)
        return max(sent, 0)
