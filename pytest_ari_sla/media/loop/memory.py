"""The memory that a media loop shares with the process that measures, as far as all transports have it in common.

Neither process ever waits for the other. Every field has one writer:

* the loop writes the send log, the receive ring up to its head, and its own health;
* the measuring side writes the ring's tail and the audio frames.

Heads and tails are counted, never wrapped, and are written after what they announce. Python puts thousands of
instructions and a system call between the two, which is more ordering than any processor needs.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from abc import ABC, abstractmethod
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_ari_sla.clock import epoch_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from pytest_ari_sla.clock import Clock

__all__ = ["NONE", "Gauge", "LoopLayout", "LoopMemory"]

NONE = -1
"""A turn or slot that is none."""

_ALIGNMENT = 64  # a cache line, so that no array shares one with an array that the other process writes


class Gauge(IntEnum):
    """What the loop tells of itself: places in :attr:`LoopMemory.gauges`."""

    RING_HEAD = 0
    """Rows ever written to the receive ring."""
    RING_TAIL = auto()
    """Rows ever taken out of it; the only gauge that the measuring side writes, apart from COMMANDS_SENT."""
    COMMANDS_SENT = auto()
    """Commands waiting in the socket, or carried out."""
    COMMANDS_DONE = auto()
    """Commands carried out."""
    NOT_SENT = auto()
    """Packets ever whose turn passed without them."""
    EPOCH_NS = auto()
    """What CLOCK_MONOTONIC lacked to CLOCK_REALTIME when the memory was made. The sum of both is the clock of all times
    here: ns since the Unix epoch, and nobody sets it."""
    ORIGIN_NS = auto()
    """When slot 0 began, ns since the Unix epoch."""
    CPU_NS = auto()
    """Processor time that the loop has used since its beginning, every second and at its end."""
    CLOCK_STEPS = auto()
    """Times CLOCK_REALTIME jumped against CLOCK_MONOTONIC."""
    REALTIME_PRIORITY = auto()
    """1 where the loop runs under SCHED_FIFO."""
    RING_FULL = auto()
    """Times a socket was left undrained because the measuring side was behind."""
    LOOP_STALLS = auto()
    """Times the loop stood still for longer than STALL_NS, and"""
    LOOP_STALLED_NS = auto()
    """for how long in all."""


class LoopLayout(Protocol):
    """What all layouts have; they cross to the loop's process as JSON.

    Attributes
    ----------
    legs
        Most legs at one time.
    cycle
        Slots per cycle: the packet time in ms.
    ring_rows
        Rows of the receive ring.
    frame_bytes
        Bytes of encoded audio to send.
    """

    @property
    def legs(self) -> int:
        """Most legs at one time."""

    @property
    def cycle(self) -> int:
        """Slots per cycle: the packet time in ms."""

    @property
    def ring_rows(self) -> int:
        """Rows of the receive ring."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of encoded audio to send."""


class LoopMemory(ABC):
    """Arrays in a file that two processes map.

    Attributes
    ----------
    gauges
        int64, indexed by :class:`Gauge`.
    legs
        (legs,). Each leg's part of the schedule: at least ``slot``, ``first_turn``, ``end_turn`` and ``unsent``, int64.
    turns
        int64, (cycle,). Turns that each slot has had.
    voice_turns
        int64, (legs,). The turn in which each leg began to say what it was last told to play; 0: nothing yet.
    frames
        uint8, (frame_bytes,). Encoded audio.
    """

    gauges: NDArray[np.int64]
    legs: NDArray[np.void]
    turns: NDArray[np.int64]
    voice_turns: NDArray[np.int64]
    frames: NDArray[np.uint8]

    def __init__(
        self, layout: Any, descriptor: int | None = None, *, epoch_ns: int | None = None, clock: Clock = time
    ) -> None:
        """Map the file behind ``descriptor``, or a new one; the descriptor is duplicated."""
        self.layout = layout
        self._monotonic_ns = clock.monotonic_ns
        self._used = 0
        self._buffer: mmap.mmap | None = None
        self._arrange()
        self.descriptor = _new_file() if descriptor is None else os.dup(descriptor)
        try:
            if descriptor is None:
                os.ftruncate(self.descriptor, self._used)
            self._buffer = mmap.mmap(self.descriptor, self._used)
        except BaseException:
            self.close()
            raise
        self._used = 0
        self._arrange()
        if descriptor is None:
            self.gauges[Gauge.EPOCH_NS] = epoch_of(clock) if epoch_ns is None else epoch_ns

    @abstractmethod
    def _arrange(self) -> None:
        """Lay the arrays out; without a buffer yet, only to learn how much room they take."""

    @abstractmethod
    def touch(self) -> None:
        """Fault all pages in, so that none is missing while frames wait; changes nothing."""

    @abstractmethod
    def arrival_ns(self, rows: slice) -> NDArray[np.int64]:
        """Return when rows of the ring arrived: (n,) int64."""

    @abstractmethod
    def known_until_ns(self) -> int:
        """Return a time: what came before it is in the ring, unless it was stamped and not queued yet."""

    def _take(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        offset = self._used
        self._used += -(-size // _ALIGNMENT) * _ALIGNMENT
        if self._buffer is None:
            return np.zeros((0,) * len(shape), kind)
        return np.ndarray(shape, kind, self._buffer, offset)

    def now_ns(self) -> int:
        """Return the time, ns since the Unix epoch, as all times here are counted: without steps."""
        return self._monotonic_ns() + int(self.gauges[Gauge.EPOCH_NS])

    def close(self) -> None:
        """Give up the descriptor; the mapping goes with the last array that refers to it."""
        os.close(self.descriptor)


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        # It has no name in any file system: nothing is left behind, however we end.
        return os.memfd_create("ari-sla-media")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
