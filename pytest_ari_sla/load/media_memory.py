"""The memory that the media loop shares with the process that measures.

One process moves packets, another measures them, and neither ever waits for the other. Every field has one writer:

* the loop writes the send log, the receive ring up to its head, and its own health;
* the measuring side writes the ring's tail and the audio frames.

Heads and tails are counted, never wrapped, and are written after what they announce. Python puts thousands of
instructions and a system call between the two, which is more ordering than any processor needs.

Time is counted in *turns*: in every cycle of slots each slot has one turn, in which all legs of that slot send one
packet. A packet carries the number of its turn, so a send costs the loop no work per leg but its time stamp; which
packet of its leg that was follows from the turn that the leg began in.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pytest_ari_sla.transport.datagrams import DatagramMemory

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["LEG", "Gauge", "MediaLayout", "MediaMemory"]

LEG = np.dtype([("slot", "i8"), ("first_turn", "i8"), ("end_turn", "i8"), ("unsent", "i8")])
"""A leg's part of the schedule: its slot in the cycle, the turns from the first to before the end, and how many of them
passed without its packet; all zero where there is no leg."""

_ALIGNMENT = 64


class Gauge(IntEnum):
    """What the loop tells of itself: places in :attr:`MediaMemory.gauges`."""

    RING_HEAD = 0
    """Rows ever written to the receive ring."""
    RING_TAIL = auto()
    """Rows ever taken out of it; the only gauge that the measuring side writes, apart from COMMANDS_SENT."""
    COMMANDS_SENT = auto()
    """Commands waiting in the socket, or carried out."""
    COMMANDS_DONE = auto()
    """Commands carried out."""
    ORIGIN_NS = auto()
    """When slot 0 began, ns since the Unix epoch by the clock of now."""
    CPU_NS = auto()
    """Processor time that the loop has used since its beginning, every second and at its end."""
    CLOCK_STEPS = auto()
    """Times CLOCK_REALTIME jumped against CLOCK_MONOTONIC."""
    REALTIME_PRIORITY = auto()
    """1 where the loop runs under SCHED_FIFO."""
    RING_FULL = auto()
    """Times a socket was left undrained because the measuring side was behind."""


class MediaLayout(msgspec.Struct, frozen=True):
    """Sizes of a :class:`MediaMemory`; crosses to the loop's process as JSON.

    Attributes
    ----------
    legs
        Most legs at one time.
    cycle
        Slots per cycle: the packet time in ms.
    probe_window
        Turns that the send log remembers; a power of two.
    ring_rows
        Rows of the receive ring.
    packet_width
        Bytes of a ring row: one more than the longest packet.
    frame_bytes
        Bytes of encoded audio to send.
    """

    legs: int
    cycle: int
    probe_window: int
    ring_rows: int
    packet_width: int
    frame_bytes: int

    def bytes_per_leg(self) -> int:
        """Return the memory that each leg takes here."""
        return self.probe_window * 8 + LEG.itemsize


class MediaMemory:
    """Arrays in a file that two processes map.

    Attributes
    ----------
    gauges
        int64, indexed by :class:`Gauge`.
    legs
        LEG, (legs,).
    sent_ns
        int64, (probe_window, legs). When each leg's packet of a turn left, ns since the Unix epoch; 0: it did not.
        Turn k is in row ``k % probe_window``.
    due_ns
        int64, (cycle, probe_window). When each slot's turn was due, ns since the Unix epoch.
    turns
        int64, (cycle,). Turns that each slot has had.
    ring, ring_socket
        The receive ring, and int16 (ring_rows,): the number of the socket each row came by.
    frames
        uint8, (frame_bytes,). Encoded audio.
    """

    def __init__(self, layout: MediaLayout, descriptor: int | None = None) -> None:
        """Map the file behind ``descriptor``, or a new one; the descriptor is duplicated."""
        self.layout = layout
        self._used = 0
        self._buffer: mmap.mmap | None = None
        self._arrange()
        self.descriptor = _new_file(self._used) if descriptor is None else os.dup(descriptor)
        self._buffer = mmap.mmap(self.descriptor, self._used)
        self._used = 0
        self._arrange()

    def _arrange(self) -> None:
        """Lay the arrays out; without a buffer yet, only to learn how much room they take."""
        layout = self.layout
        self.gauges: NDArray[np.int64] = self._take((len(Gauge),), np.int64)
        self.legs: NDArray[np.void] = self._take((layout.legs,), LEG)
        self.sent_ns: NDArray[np.int64] = self._take((layout.probe_window, layout.legs), np.int64)
        self.due_ns: NDArray[np.int64] = self._take((layout.cycle, layout.probe_window), np.int64)
        self.turns: NDArray[np.int64] = self._take((layout.cycle,), np.int64)
        self.ring_socket: NDArray[np.int16] = self._take((layout.ring_rows,), np.int16)
        self.ring = DatagramMemory.allocate(layout.ring_rows, layout.packet_width, self._take)
        self.frames: NDArray[np.uint8] = self._take((layout.frame_bytes,), np.uint8)

    def _take(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        offset = self._used
        self._used += -(-size // _ALIGNMENT) * _ALIGNMENT
        if self._buffer is None:
            return np.zeros((0,) * len(shape), kind)
        return np.ndarray(shape, kind, self._buffer, offset)

    def touch(self) -> None:
        """Fault all pages in, so that none is missing while packets wait; changes nothing."""
        for array in (self.sent_ns, self.due_ns, self.ring_socket):
            array |= 0

    def close(self) -> None:
        """Give up the descriptor; the mapping goes with the last array that refers to it."""
        os.close(self.descriptor)


def _new_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("ari-sla-media")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
