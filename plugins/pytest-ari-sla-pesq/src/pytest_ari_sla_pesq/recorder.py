"""Recording what a few legs hear, window by window, out of the packets of all legs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla import PacketBatch, SendLog

__all__ = ["Recorder", "Recording", "WindowShape"]


@dataclass(frozen=True)
class WindowShape:
    """What one window holds.

    Attributes
    ----------
    packets
        How many packets.
    width
        Bytes of each one's payload.
    packet_time_ns
        Time between two.
    ticks
        RTP clock ticks between two.
    """

    packets: int
    width: int
    packet_time_ns: int
    ticks: int


@dataclass(frozen=True, eq=False)
class Recording:
    """What one leg heard in one window.

    Attributes
    ----------
    first_frame
        Which frame of the audio that is sent, counted from its beginning, the first packet carries; -1 where packets
        carry no probe, so that it is not known.
    payload
        (packets, width) uint8; zeros where nothing arrived.
    arrived
        (packets,) bool.
    delay_ns
        (packets,) int64. Arrival of each packet relative to its place in the stream; 0 where nothing arrived.
    """

    first_frame: int
    payload: NDArray[np.uint8]
    arrived: NDArray[np.bool_]
    delay_ns: NDArray[np.int64]

    def until_last(self) -> Recording:
        """Return the recording without the empty end that is left when a call is over."""
        end = int(np.flatnonzero(self.arrived)[-1]) + 1
        return Recording(self.first_frame, self.payload[:end], self.arrived[:end], self.delay_ns[:end])


class Recorder:
    """Records a few legs at a time, each for one window, taking turns among all legs.

    Parameters
    ----------
    legs
        Number of legs.
    slots
        How many of them are recorded at a time.
    shape
        What a window holds; packets of another length are no audio of the codec, and ignored.
    send_log
        Tells which frame a packet carries.
    """

    def __init__(self, legs: int, slots: int, shape: WindowShape, send_log: SendLog) -> None:
        self._shape = shape
        self._send_log = send_log
        self._slot_of_leg = np.full(legs, -1, np.int32)
        self._leg = np.full(slots, -1, np.int32)
        self._last_leg = -1
        self._started_ns = np.zeros(slots, np.int64)
        self._first_probe = np.zeros(slots, np.int64)
        self._first_frame = np.zeros(slots, np.int64)
        self._first_timestamp = np.zeros(slots, np.uint32)
        self._payload = np.zeros((slots, shape.packets, shape.width), np.uint8)
        self._arrived = np.zeros((slots, shape.packets), bool)
        self._delay_ns = np.zeros((slots, shape.packets), np.int64)

    def observe(self, batch: PacketBatch) -> None:
        """Take in a batch: let free slots follow new legs, and store the packets of those that are followed."""
        for slot in np.flatnonzero(self._leg < 0):
            self._follow(int(slot), batch)
        rows = np.flatnonzero((self._slot_of_leg[batch.leg] >= 0) & (batch.payload_length == self._shape.width))
        if len(rows):
            self._store(batch.select(rows))

    def _follow(self, slot: int, batch: PacketBatch) -> None:
        """Let a slot record the next leg in turn that is not recorded yet, from its first packet in this batch on."""
        groups = batch.by_leg
        first_rows = groups.order[groups.starts]
        # A probe whose entry in the send log was freed does not tell which frame it carries.
        is_known = (batch.probe[first_rows] < 0) | (batch.intended_ns[first_rows] > 0)
        waiting = np.flatnonzero((self._slot_of_leg[groups.legs] < 0) & is_known)
        if not len(waiting):
            return
        # Round robin: always the lowest leg would leave the others without a score.
        later = waiting[groups.legs[waiting] > self._last_leg]
        group = int(later[0] if len(later) else waiting[0])
        row, leg = int(first_rows[group]), int(groups.legs[group])
        self._slot_of_leg[leg], self._leg[slot], self._last_leg = slot, leg, leg
        self._started_ns[slot] = batch.arrival_ns[row]
        self._first_frame[slot] = self._frame_of(batch, row)
        self._first_probe[slot], self._first_timestamp[slot] = batch.probe[row], batch.timestamp[row]
        # The payloads stay: only places that have arrived are read.
        self._arrived[slot] = False

    def _frame_of(self, batch: PacketBatch, row: int) -> int:
        """Return which frame a packet carries, by the time when it was due; -1 for a packet without a probe."""
        if batch.probe[row] < 0:
            return -1
        begin_ns = self._send_log.audio_start_ns()[batch.source_leg[row]]
        # By the schedule, not by when it left: a late packet carries the frame of its own time.
        return round(int(batch.intended_ns[row] - begin_ns) / self._shape.packet_time_ns)

    def _store(self, batch: PacketBatch) -> None:
        """Store packets of followed legs at their places; a place is filled by the first packet that comes for it."""
        slot = self._slot_of_leg[batch.leg]
        behind = (batch.timestamp - self._first_timestamp[slot]).astype(np.int32)  # wraps around as time stamps do
        has_probe = self._first_probe[slot] >= 0
        place = np.where(has_probe, batch.probe - self._first_probe[slot], behind // self._shape.ticks)
        fits = (place >= 0) & (place < self._shape.packets) & (has_probe == (batch.probe >= 0))
        rows = np.flatnonzero(fits)
        key = slot[rows].astype(np.int64) * self._shape.packets + place[rows]
        # Copies within a batch: the index is that of the first one.
        rows = rows[np.unique(key, return_index=True)[1]]
        rows = rows[~self._arrived[slot[rows], place[rows]]]
        at = slot[rows], place[rows]
        self._payload[at] = batch.payload[rows, : self._shape.width]
        self._arrived[at] = True
        # Relative to the leg's first packet: the offset of its stream does not matter to a jitter buffer.
        self._delay_ns[at] = (
            batch.arrival_ns[rows] - self._started_ns[slot[rows]] - place[rows] * self._shape.packet_time_ns
        )

    def finished(self, now_ns: int, patience_ns: int) -> list[Recording]:
        """Return the windows whose last packet was due at least ``patience_ns`` ago, and free their slots."""
        length_ns = self._shape.packets * self._shape.packet_time_ns
        over = (self._leg >= 0) & (now_ns >= self._started_ns + length_ns + patience_ns)
        return [self._take(int(slot)) for slot in np.flatnonzero(over)]

    def release(self, legs: NDArray[np.int32], least_packets: int) -> list[Recording]:
        """Stop recording these legs; return what was recorded of them, if it is long enough."""
        slots = self._slot_of_leg[legs]
        # Without the end that was never sent: it would be scored as loss.
        cut = [self._take(int(slot)).until_last() for slot in slots[slots >= 0]]
        return [recording for recording in cut if len(recording.payload) >= least_packets]

    def _take(self, slot: int) -> Recording:
        # Both ways, or the leg would never be recorded again.
        self._slot_of_leg[self._leg[slot]] = -1
        self._leg[slot] = -1
        arrived = self._arrived[slot].copy()
        # A copy: the slot's memory is used again at once.
        payload = np.where(arrived[:, None], self._payload[slot], 0).astype(np.uint8)
        return Recording(int(self._first_frame[slot]), payload, arrived, np.where(arrived, self._delay_ns[slot], 0))
