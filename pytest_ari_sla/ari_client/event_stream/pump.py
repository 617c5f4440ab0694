"""A program that reads one connection as its bytes come, and passes them on with the times at which they came.

The kernel joins segments that wait to be read, and keeps the stamp of the last one, so a stream of messages has to be
read by somebody who does nothing else. Measured with 30 calls at once on two busy cores,
against a capture (mean of ``setup``): timed by the loop that makes the calls it was 27 ms too long; by a thread of its
own, which waits for the interpreter's lock, 0.03 to 1 ms; by this process, 0.02 to 0.3 ms.

It is run by its path and imports the standard library only, so that it starts fast. It ends with the
connection, and when nobody reads what it passes on.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress

__all__ = ["ANCILLARY_BYTES", "HEADER", "arrival_ns", "ask_for_stamps", "monotonic_ns"]

#: What precedes bytes that are passed on: their number, when the last one came (monotonic), and how much later they
#: were read.
HEADER = struct.Struct("=Qqq")

_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
ANCILLARY_BYTES = socket.CMSG_SPACE(_STAMP.size)

#: Below that of the media loops, whose packets cannot wait at all.
_PRIORITY = 1
_MOST_BYTES = 65_536
_STAMP_TO_QUEUE_NS = 50_000_000  # the kernel stamps bytes before it queues them, and may be interrupted in between
_OFFSET_ATTEMPTS = 5
_OFFSET_ERROR_NS = 10_000


def ask_for_stamps(connection: socket.socket) -> None:
    """Have the kernel tell when bytes came."""
    connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def arrival_ns(ancillary: list[tuple[int, int, bytes]], read_ns: int, since_ns: int = 0) -> int:
    """Return when the last of the bytes came that were read at ``read_ns``; none of them came before ``since_ns``.

    All three are on the monotonic clock.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            came_ns = monotonic_ns(data)
            # A clock that was set meanwhile has made the stamp one of another day.
            return min(read_ns, came_ns) if came_ns >= since_ns - _STAMP_TO_QUEUE_NS else read_ns
    # The kernel begins to stamp a moment after the first socket of the machine has asked for it.
    return read_ns


def monotonic_ns(stamp: bytes) -> int:
    """Return a stamp of the kernel, which is of the wall clock, on the monotonic clock."""
    seconds, ns = _STAMP.unpack_from(stamp)
    return int(seconds) * 1_000_000_000 + int(ns) - _clock_offset_ns()


def _clock_offset_ns() -> int:
    """Return how far the wall clock is ahead of the monotonic one; another program may run between two readings."""
    for _ in range(_OFFSET_ATTEMPTS):
        before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after_ns - before_ns < _OFFSET_ERROR_NS:
            break
    return wall_ns - (before_ns + after_ns) // 2


def _pump(connection: socket.socket, out: socket.socket) -> None:
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    waiting.register(out, 0)  # tells when the other end is closed
    emptied_ns = 0
    while all(descriptor == connection.fileno() for descriptor, _ in waiting.poll()):
        looked_ns = time.monotonic_ns()
        data, ancillary, _, _ = connection.recvmsg(_MOST_BYTES, ANCILLARY_BYTES)
        read_ns = time.monotonic_ns()
        received_ns = arrival_ns(ancillary, read_ns, emptied_ns)
        if len(data) < _MOST_BYTES:
            emptied_ns = looked_ns
        out.sendall(HEADER.pack(len(data), received_ns, read_ns - received_ns) + data)
        if not data:
            return


def _main(connection: int, out: int, scheduling: str) -> None:
    if scheduling == "realtime":
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    with suppress(OSError):  # the connection broke, or nobody listens: both are told by the end of what is passed on
        _pump(socket.socket(fileno=connection), socket.socket(fileno=out))
    os._exit(0)


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
