"""The memory that the media loop shares with the process that measures.

What all transports have of it, and who writes what, is :mod:`pytest_ari_sla.media.loop.memory`.

Time is counted in *turns*: in every cycle of slots each slot has one turn, in which all legs of that slot send one
packet. A packet carries the number of its turn; which packet of its leg that was follows from the turn that the leg
began in. Legs that leave together are a *group*, and one record tells of all their packets of a turn: the kernel takes
them one after the other, so when a packet left follows from its leg's place in the group. A send costs the loop no work
per leg.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pytest_ari_sla.media.loop.memory import NONE, Gauge, LoopMemory
from pytest_ari_sla.udp.datagrams import DatagramMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.clock import Clock

__all__ = ["BURST", "BURST_PART", "BURST_PARTS", "BURST_RECORD", "LEG", "NONE", "Gauge", "MediaLayout", "MediaMemory"]

LEG = np.dtype(
    [
        (name, "i8")
        for name in (
            *("slot", "first_turn", "end_turn", "unsent"),
            *("group", "place", "moved_turn", "old_group", "old_place"),
        )
    ]
)
"""A leg's part of the schedule; all zero where there is no leg.

Its slot in the cycle, the turns from the first to before the end, and how many of them passed without its packet. Its
group and its place in that from turn ``moved_turn`` on, and those before (a leg takes the place of one that ends, and
another group says something else; one move is remembered, since nothing older than a round trip is asked for).
"""

BURST_PART = 32
"""Of so many packets in a row, the first is stamped by the kernel."""

BURST_PARTS = 4
"""Most of these parts in one turn of a group."""

BURST = np.dtype(
    [
        *(("turn", "i8"), ("due_ns", "i8"), ("began_ns", "i8"), ("count", "i4"), ("unsent", "i4")),
        *(("pace_ns", "i8"), ("part_ns", "u4", (BURST_PARTS,))),
    ]
)
"""What became of a group's packets of a turn: how many there were, how many of them did not leave; when they were due,
when they were handed to the kernel (ns since the Unix epoch), the least time that each takes, and how much later than
that the first packet of each part left."""

BURST_RECORD = struct.Struct(f"=qqqiiq{BURST_PARTS}I")
"""Writes a BURST at once: several times faster than a NumPy record."""

_UNSENT_TURN = np.dtype("u4")


class MediaLayout(msgspec.Struct, frozen=True):
    """Sizes of a :class:`MediaMemory`; crosses to the loop's process as JSON.

    Attributes
    ----------
    legs
        Most legs at one time.
    groups
        Most groups.
    cycle
        Slots per cycle: the packet time in ms.
    probe_window
        Turns whose packets are awaited; a power of two.
    burst_window
        Turns that the send log remembers; a power of two. What the measuring side reads late was sent so long before.
    sockets
        Number of sockets.
    ring_rows
        Rows of the receive ring.
    packet_width
        Bytes of a ring row: one more than the longest packet.
    frame_bytes
        Bytes of encoded audio to send.
    """

    legs: int
    groups: int
    cycle: int
    probe_window: int
    burst_window: int
    sockets: int
    ring_rows: int
    packet_width: int
    frame_bytes: int

    def bytes_per_leg(self) -> int:
        """Return the memory that each leg takes here, besides the receive ring."""
        of_a_group = self.burst_window * BURST.itemsize + 8
        of_a_voice = np.dtype(np.int64).itemsize
        return (
            self.burst_window * _UNSENT_TURN.itemsize
            + LEG.itemsize
            + of_a_voice
            + -(-self.groups * of_a_group // self.legs)
        )


class MediaMemory(LoopMemory):
    """Arrays in a file that two processes map.

    Attributes
    ----------
    gauges
        int64, indexed by :class:`Gauge`.
    legs
        LEG, (legs,).
    bursts
        BURST, (groups, burst_window). What became of each group's turns: turn k in column ``k % burst_window``, where
        ``turn`` tells whether it is that one or an older one.
    group_slot
        int64, (groups,). Which slot a group is of; -1 for one that there is not yet.
    unsent_turn
        uint32, (burst_window, legs). Packets that did not leave: turn k is noted in row ``k % burst_window`` as k + 1.
        Written only when one does not, so these pages are hardly ever touched.
    turns
        int64, (cycle,). Turns that each slot has had.
    voice_turns
        int64, (legs,). The turn in which each leg began to say what it was last told to play; 0: nothing yet.
    ring, ring_socket, ring_step_ns
        The receive ring; int16 (ring_rows,): the number of the socket each row came by; int64 (ring_rows,): by how much
        CLOCK_REALTIME, which the kernel stamps with, had been set since EPOCH_NS.
    drained_ns
        int64, (sockets,). What came by this socket before that time is in the ring. Written after the ring's head.
    frames
        uint8, (frame_bytes,). Encoded audio.
    """

    layout: MediaLayout

    def __init__(
        self, layout: MediaLayout, descriptor: int | None = None, *, epoch_ns: int | None = None, clock: Clock = time
    ) -> None:
        """Map the file behind ``descriptor``, or a new one; the descriptor is duplicated."""
        super().__init__(layout, descriptor, epoch_ns=epoch_ns, clock=clock)
        if descriptor is None:
            self.bursts["turn"] = self.group_slot[:] = NONE

    def _arrange(self) -> None:
        """Lay the arrays out; without a buffer yet, only to learn how much room they take."""
        layout = self.layout
        self.gauges: NDArray[np.int64] = self._take((len(Gauge),), np.int64)
        self.legs: NDArray[np.void] = self._take((layout.legs,), LEG)
        self.bursts: NDArray[np.void] = self._take((layout.groups, layout.burst_window), BURST)
        self.group_slot: NDArray[np.int64] = self._take((layout.groups,), np.int64)
        self.unsent_turn: NDArray[np.uint32] = self._take((layout.burst_window, layout.legs), _UNSENT_TURN)
        self.turns: NDArray[np.int64] = self._take((layout.cycle,), np.int64)
        self.voice_turns: NDArray[np.int64] = self._take((layout.legs,), np.int64)
        self.ring_socket: NDArray[np.int16] = self._take((layout.ring_rows,), np.int16)
        self.ring_step_ns: NDArray[np.int64] = self._take((layout.ring_rows,), np.int64)
        self.drained_ns: NDArray[np.int64] = self._take((layout.sockets,), np.int64)
        self.ring = DatagramMemory.allocate(layout.ring_rows, layout.packet_width, self._take)
        self.frames: NDArray[np.uint8] = self._take((layout.frame_bytes,), np.uint8)

    def arrival_ns(self, rows: slice) -> NDArray[np.int64]:
        """Return when rows of the ring arrived: (n,) int64."""
        return self.ring.arrival_ns(rows) - self.ring_step_ns[rows]

    def known_until_ns(self) -> int:
        """Return the time of the last look into the socket that was looked into longest ago."""
        return int(self.drained_ns.min())

    def touch(self) -> None:
        """Fault all pages in, so that none is missing while packets wait; changes nothing."""
        for array in (self.bursts.view(np.int64), self.ring_socket, self.ring_step_ns):
            array |= 0
