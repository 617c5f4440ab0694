"""The memory that the media loop shares with the process that measures.

One process moves packets, another measures them, and neither ever waits for the other. Every field has one writer:

* the loop writes the send log, the receive ring up to its head, the slot log and its own health;
* the measuring side writes the ring's tail and the audio frames.

Heads and tails are counted, never wrapped, and are written after what they announce. Python puts thousands of
instructions and a system call between the two, which is more ordering than any processor needs.
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

__all__ = ["SLOT_RECORD", "Gauge", "MediaLayout", "MediaMemory"]

SLOT_RECORD = np.dtype([("first_late_ns", "i8"), ("last_late_ns", "i8"), ("packets", "i8"), ("skipped", "i8")])
"""One batch of sends: how late its first and its last packet left, and how many left, or were skipped as too late."""

_ALIGNMENT = 64


class Gauge(IntEnum):
    """What the loop tells of itself: places in :attr:`MediaMemory.gauges`."""

    RING_HEAD = 0
    """Rows ever written to the receive ring."""
    RING_TAIL = auto()
    """Rows ever taken out of it; the only gauge that the measuring side writes."""
    SLOT_HEAD = auto()
    """Records ever written to the slot log."""
    COMMANDS_DONE = auto()
    """Commands carried out."""
    CPU_NS = auto()
    """Processor time that the loop has used."""
    WAKES = auto()
    """Times the loop woke up."""
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
    probe_window
        Probes per leg that the send log remembers; a power of two.
    ring_rows
        Rows of the receive ring.
    packet_width
        Bytes of a ring row: one more than the longest packet.
    frame_bytes
        Bytes of encoded audio to send.
    slot_records
        Records of the slot log.
    """

    legs: int
    probe_window: int
    ring_rows: int
    packet_width: int
    frame_bytes: int
    slot_records: int = 1 << 14

    def bytes_per_leg(self) -> int:
        """Return the memory that each leg takes here."""
        return self.probe_window * 16 + 3 * 8


class MediaMemory:
    """Arrays in a file that two processes map.

    Attributes
    ----------
    gauges
        int64, indexed by :class:`Gauge`.
    sent_ns, intended_ns
        int64, (legs, probe_window). When each probe was sent (0: it was not) and when it should have been: ns since
        the Unix epoch. Probe k is in column ``k % probe_window``.
    due, sent
        int64, (legs,). Packets that the schedule has called for, and those that left.
    started_ns
        int64, (legs,). When a leg's first packet was due; 0 before.
    ring, ring_socket
        The receive ring, and int16 (ring_rows,): the number of the socket each row came by.
    slots
        SLOT_RECORD, (slot_records,). The slot log.
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
        self.sent_ns: NDArray[np.int64] = self._take((layout.legs, layout.probe_window), np.int64)
        self.intended_ns: NDArray[np.int64] = self._take((layout.legs, layout.probe_window), np.int64)
        self.due: NDArray[np.int64] = self._take((layout.legs,), np.int64)
        self.sent: NDArray[np.int64] = self._take((layout.legs,), np.int64)
        self.started_ns: NDArray[np.int64] = self._take((layout.legs,), np.int64)
        self.slots: NDArray[np.void] = self._take((layout.slot_records,), SLOT_RECORD)
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
        """Fault all pages in, so that none is missing while packets wait."""
        for array in (self.sent_ns, self.intended_ns, self.slots, self.ring_socket):
            array.fill(0)

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
