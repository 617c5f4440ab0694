"""Media memories for tests: small ones, whose edges are reached quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_ari_sla.media.transport import TransportHealth
from pytest_ari_sla.rtp.send_schedule import SLOT_NS
from pytest_ari_sla.rtp_media.commands import StartLeg
from pytest_ari_sla.rtp_media.memory import BURST_PARTS, Gauge, MediaLayout, MediaMemory

if TYPE_CHECKING:
    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.rtp.rtcp import ReceivedReport
    from pytest_ari_sla.rtp_media.ring_reader import RingReader
    from pytest_ari_sla.rtp_media.send_log import MediaSendLog

ORIGIN_NS = 1_700_000_000_000_000_000
PART_NS = 100_000
"""How much later than the previous one each part of a burst leaves."""
CYCLE = 4
WINDOW = 8
SOCKETS = 2
FRAMES = 3
FRAME_BYTES = 24
NONCE = 0x5EED


def make_memory(*, legs: int = 6, groups: int = 2 * CYCLE, ring_rows: int = 16, packet_width: int = 64) -> MediaMemory:
    """Return a memory whose slot 0 began at ORIGIN_NS, with frames of 1s, 2s and 3s."""
    memory = MediaMemory(
        MediaLayout(
            legs=legs,
            groups=groups,
            cycle=CYCLE,
            probe_window=WINDOW,
            burst_window=2 * WINDOW,
            sockets=SOCKETS,
            ring_rows=ring_rows,
            packet_width=packet_width,
            frame_bytes=FRAMES * FRAME_BYTES,
        )
    )
    memory.gauges[Gauge.ORIGIN_NS] = ORIGIN_NS
    memory.frames.reshape(FRAMES, FRAME_BYTES)[:] = [[1], [2], [3]]
    return memory


def start_leg(leg: int, to: Address, **changes: Any) -> StartLeg:
    """Return the order to start a stream of 5 packets in slot 0."""
    values: dict[str, Any] = {
        "leg": leg,
        "socket": 0,
        "slot": 0,
        "host": to[0],
        "port": to[1],
        "ssrc": 1000 + leg,
        "payload_type": 8,
        "ticks": 160,
        "frame_offset": 0,
        "frame_count": FRAMES,
        "frame_bytes": FRAME_BYTES,
        "packets": 5,
        "nonce": NONCE,
    }
    return StartLeg(**(values | changes))


class MemoryTransport:
    """What a measurer needs of a transport, on a memory that a test writes."""

    def __init__(
        self, memory: MediaMemory, send_log: MediaSendLog, reader: RingReader, *, receive_drops: int = 0
    ) -> None:
        self._memory = memory
        self._receive_drops = receive_drops
        self.send_log = send_log
        self.reader = reader
        self.probe_window = memory.layout.probe_window

    def now_ns(self) -> int:
        """Return the memory's time."""
        return self._memory.now_ns()

    def exchange_reports(self) -> list[ReceivedReport]:
        """Nobody reports."""
        return []

    def health(self) -> TransportHealth:
        """Return what the gauges say."""
        gauges = self._memory.gauges
        return TransportHealth(
            cpu_ns=int(gauges[Gauge.CPU_NS]),
            clock_steps=int(gauges[Gauge.CLOCK_STEPS]),
            stalls=int(gauges[Gauge.LOOP_STALLS]),
            stalled_ns=int(gauges[Gauge.LOOP_STALLED_NS]),
            receive_drops=self._receive_drops,
            foreign=self.reader.foreign,
            malformed=self.reader.malformed,
        )


class Schedule:
    """Plays the loop's part in a memory: starts legs, lets turns pass, sends or fails to; each slot has one group."""

    def __init__(self, memory: MediaMemory) -> None:
        self.memory = memory

    def start(self, leg: int, *, slot: int = 0, first_turn: int = 0, packets: int = 1 << 20, place: int = 0) -> None:
        """Enter a leg into the schedule."""
        self.memory.group_slot[slot] = slot
        self.memory.legs[leg] = (slot, first_turn, first_turn + packets, 0, slot, place, first_turn, slot, place)

    def stop(self, leg: int) -> None:
        """Let a leg send nothing more from the next turn on."""
        record = self.memory.legs[leg]
        record["end_turn"] = max(self.memory.turns[record["slot"]], record["first_turn"])

    def turn(self, slot: int, *, late_ns: int = 0, pace_ns: int = 0, unsent: tuple[int, ...] = ()) -> int:
        """Let a slot have its next turn, and legs that are due not leave in it; return when that was due."""
        memory = self.memory
        turn = int(memory.turns[slot])
        due_ns = self.due_ns(slot, turn)
        row = turn % memory.layout.burst_window
        legs = memory.legs
        due = np.flatnonzero((legs["slot"] == slot) & (legs["first_turn"] <= turn) & (turn < legs["end_turn"])).tolist()
        failing = [leg for leg in due if leg in unsent]
        memory.unsent_turn[row, failing] = turn + 1
        legs["unsent"][failing] += 1
        memory.gauges[Gauge.NOT_SENT] += len(failing)
        if due:
            memory.bursts[slot, turn % memory.layout.burst_window] = (
                turn,
                due_ns,
                due_ns + late_ns,
                len(due),
                len(failing),
                pace_ns,
                range(0, BURST_PARTS * PART_NS, PART_NS),
            )
        memory.turns[slot] += 1
        return due_ns

    def turns(self, slot: int, count: int) -> None:
        """Let a slot have several turns, all in time."""
        for _ in range(count):
            self.turn(slot)

    def due_ns(self, slot: int, turn: int) -> int:
        """Return when a turn of a slot is due."""
        return ORIGIN_NS + (turn * self.memory.layout.cycle + slot) * SLOT_NS
