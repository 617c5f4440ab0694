"""The memory that the loop of stream media shares with the process that measures.

What all transports have of it, and who writes what, is :mod:`pytest_ari_sla.media.loop.memory`.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pytest_ari_sla.media.loop.memory import Gauge, LoopMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DEPARTURE", "LEG", "RING", "STATUS", "StreamGauge", "StreamLayout", "StreamMemory"]

LEG = np.dtype([(name, "i8") for name in ("slot", "first_turn", "end_turn", "unsent")])
"""A leg's part of the schedule; all zero where there is no leg."""

RING = np.dtype([("arrival_ns", "i8"), ("place", "i8"), ("leg", "i4"), ("length", "i4")])
"""A frame that a leg has received: when, the how-manieth of the leg it is (from 0), and its bytes."""

DEPARTURE = np.dtype([("due_ns", "i8"), ("sent_ns", "i8")])
"""When a frame was due, and when it was handed to the kernel (0: it was not), ns since the Unix epoch."""

STATUS = np.dtype([("at_ns", "i8"), ("leg", "i4"), ("queued", "i4")])
"""What Asterisk has said of a leg's queue: how many frames wait in it."""


class StreamGauge(IntEnum):
    """What this loop tells of itself beside :class:`~pytest_ari_sla.media.loop.memory.Gauge`: places in ``streams``."""

    DEPARTURES = 0
    """Rows ever written to the log of departures."""
    STATUSES = auto()
    """Rows ever written to the log of queues."""
    DRAINED_NS = auto()
    """What came before that time is in the ring. Written after the ring's head."""
    FOREIGN = auto()
    """Connections that no leg expects."""
    MALFORMED = auto()
    """What came for a leg and is not a frame, by the parsers' faults; and frames longer than a row."""
    UNWRITTEN_FRAMES = auto()
    """Frames that were not sent since the connection took no more bytes."""
    HELD_FRAMES = auto()
    """Frames that were not sent since Asterisk had said MEDIA_XOFF."""
    MERGED_READS = auto()
    """Reads that gave several frames, which share the last one's time of arrival."""
    CLOSED = auto()
    """Connections that the other side has closed."""
    DIGITS = auto()
    """DTMF digits that Asterisk has told."""
    NO_ROOM = auto()
    """Frames that the ring could not take, since the measuring side was behind."""
    NO_FILES = auto()
    """Times that a connection could not be accepted or made, since there were no more open files or local ports."""


class StreamLayout(msgspec.Struct, frozen=True):
    """Sizes of a :class:`StreamMemory`; crosses to the loop's process as JSON.

    Attributes
    ----------
    transport
        Name of the transport.
    legs
        Most legs at one time.
    cycle
        Slots per cycle: the frame time in ms.
    window
        Turns whose frames are remembered; a power of two.
    ring_rows
        Rows of the receive ring.
    frame_width
        Bytes of a row's frame: the longest one.
    log_rows
        Rows of the log of departures.
    frame_bytes
        Bytes of encoded audio to send.
    """

    transport: str
    legs: int
    cycle: int
    window: int
    ring_rows: int
    frame_width: int
    log_rows: int
    frame_bytes: int


class StreamMemory(LoopMemory):
    """Arrays in a file that two processes map.

    Attributes
    ----------
    legs
        LEG, (legs,).
    sent_ns
        int64, (window, legs). When each leg's frame of a turn left, turn k in row ``k % window``; 0: it did not.
    departures
        DEPARTURE, (log_rows,). The same in the order of time, for all legs.
    statuses
        STATUS, (log_rows,).
    ring, ring_data
        RING, (ring_rows,), and the frames: uint8, (ring_rows, frame_width).
    streams
        int64, indexed by :class:`StreamGauge`.
    """

    layout: StreamLayout

    def _arrange(self) -> None:
        """Lay the arrays out; without a buffer yet, only to learn how much room they take."""
        layout = self.layout
        self.gauges = self._take((len(Gauge),), np.int64)
        self.streams: NDArray[np.int64] = self._take((len(StreamGauge),), np.int64)
        self.legs = self._take((layout.legs,), LEG)
        self.turns = self._take((layout.cycle,), np.int64)
        self.voice_turns = self._take((layout.legs,), np.int64)
        self.sent_ns: NDArray[np.int64] = self._take((layout.window, layout.legs), np.int64)
        self.departures: NDArray[np.void] = self._take((layout.log_rows,), DEPARTURE)
        self.statuses: NDArray[np.void] = self._take((layout.log_rows,), STATUS)
        self.ring: NDArray[np.void] = self._take((layout.ring_rows,), RING)
        self.ring_data: NDArray[np.uint8] = self._take((layout.ring_rows, layout.frame_width), np.uint8)
        self.frames = self._take((layout.frame_bytes,), np.uint8)

    def arrival_ns(self, rows: slice) -> NDArray[np.int64]:
        """Return when rows of the ring arrived: (n,) int64."""
        arrival: NDArray[np.int64] = self.ring["arrival_ns"][rows]
        return arrival

    def known_until_ns(self) -> int:
        """Return the time of the last look into all connections."""
        return int(self.streams[StreamGauge.DRAINED_NS])

    def touch(self) -> None:
        """Fault all pages in, so that none is missing while frames wait; changes nothing."""
        for array in (self.sent_ns, self.departures.view(np.int64), self.ring.view(np.int64), self.ring_data):
            array |= 0
