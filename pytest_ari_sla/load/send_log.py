"""What the send side knows of every probe, read out of the shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.load.media_memory import Gauge
from pytest_ari_sla.rtp.send_schedule import SLOT_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.load.media_memory import MediaMemory

__all__ = ["Departures", "MediaSendLog"]


@dataclass(frozen=True)
class Departures:
    """Packets whose turn has come.

    Attributes
    ----------
    late_ns
        (n,) int64. How long after their time those that left did so.
    not_sent
        How many did not leave.
    """

    late_ns: NDArray[np.int64]
    not_sent: int


class MediaSendLog:
    """A :class:`~pytest_ari_sla.hookspecs.SendLog` on a :class:`~pytest_ari_sla.load.media_memory.MediaMemory`.

    Used by the measuring thread; :meth:`show` alone by whoever gives legs out. A leg that was released is hidden until
    the loop has forgotten it: a call of the same number must not inherit its counts.
    """

    def __init__(self, memory: MediaMemory) -> None:
        self._memory = memory
        self._mask = memory.layout.probe_window - 1
        self._cycle_ns = memory.layout.cycle * SLOT_NS
        self._shown = np.ones(memory.layout.legs, bool)
        self._closed = np.zeros(memory.layout.legs, bool)
        self._turns_read = np.zeros(memory.layout.cycle, np.int64)

    def close(self, legs: NDArray[np.int32]) -> None:
        """Let all that these legs have sent be settled, whatever its age: they are ending, and nothing more comes."""
        self._closed[legs] = True

    def hide(self, legs: NDArray[np.int32]) -> None:
        """Let the counts of these legs be 0, whatever the memory holds."""
        self._shown[legs] = False

    def show(self, leg: int) -> None:
        """Let a leg's counts be what the memory holds."""
        self._closed[leg] = False
        self._shown[leg] = True

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg really sent, so far."""
        return self.sent_by(slice(None))

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg's schedule has called for, so far."""
        return self.due_by(slice(None))

    def sent_by(self, chosen: slice | list[int]) -> NDArray[np.int64]:
        """(n,) Packets that these legs really sent, so far."""
        sent: NDArray[np.int64] = self.due_by(chosen) - self._memory.legs["unsent"][chosen] * self._shown[chosen]
        return sent

    def due_by(self, chosen: slice | list[int]) -> NDArray[np.int64]:
        """(n,) Packets that these legs' schedule has called for, so far."""
        legs = self._memory.legs[chosen]
        past = np.minimum(self._memory.turns[legs["slot"]], legs["end_turn"]) - legs["first_turn"]
        due: NDArray[np.int64] = np.maximum(past, 0) * self._shown[chosen]
        return due

    def settled(self, now_ns: int, age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of probes of each leg that were due at least ``age_ns`` before ``now_ns``."""
        legs, due = self._memory.legs, self.due()
        elapsed_ns = now_ns - age_ns - int(self._memory.gauges[Gauge.ORIGIN_NS]) - legs["slot"] * SLOT_NS
        settled = np.clip(elapsed_ns // self._cycle_ns + 1 - legs["first_turn"], 0, due)
        return np.where(self._closed, due, settled)

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes (not older than the window) were really sent."""
        turns = self._memory.legs["first_turn"][legs] + probes
        was_sent: NDArray[np.bool_] = self._memory.sent_ns[turns & self._mask, legs] != 0
        return was_sent

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When frame 0 would have been due, in turn 0 of each leg's slot; 0 for legs that have not begun."""
        start_ns = int(self._memory.gauges[Gauge.ORIGIN_NS]) + self._memory.legs["slot"] * SLOT_NS
        return np.where(self.due() > 0, start_ns, 0)

    def times_of(
        self, legs: NDArray[np.int32], turns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Look probes up by the turn that they carry.

        Parameters
        ----------
        legs
            (n,) int32. Who sent them; -1 where there is no probe.
        turns
            (n,) int64. The number in the probe.

        Returns
        -------
        Number of the probe among its leg's (-1 where there is none), when it was sent and when it was due (ns since the
        Unix epoch, 0 where that is not known any more).
        """
        memory = self._memory
        # Field by field: NumPy copies whole records twenty times slower.
        slot, end_turn = memory.legs["slot"][legs], memory.legs["end_turn"][legs]
        past = memory.turns[slot]
        numbers = turns - memory.legs["first_turn"][legs]
        is_probe = (legs >= 0) & (numbers >= 0) & (turns < end_turn) & (turns < past)
        known = is_probe & (past - turns < memory.layout.probe_window)
        column = turns & self._mask
        sent_ns = np.where(known, memory.sent_ns[column, legs], 0)
        return np.where(is_probe, numbers, -1), sent_ns, np.where(known, memory.due_ns[slot, column], 0)

    def last_sent(self, leg: int) -> tuple[int, NDArray[np.int64]]:
        """Return a turn, and when the leg's packets of that turn and all later ones left ((k,) ns; 0: it did not)."""
        memory = self._memory
        record = memory.legs[leg]
        end = min(int(memory.turns[record["slot"]]), int(record["end_turn"]))
        first = max(int(record["first_turn"]), end - self._mask)
        return first, memory.sent_ns[np.arange(first, end) & self._mask, leg]

    def departures(self) -> Departures:
        """Return what became of every packet whose turn came since the last time."""
        late_ns, not_sent = [], 0
        turns = self._memory.turns.copy()
        for slot in np.flatnonzero(turns > self._turns_read).tolist():
            begin, end = max(self._turns_read[slot], turns[slot] - self._mask), turns[slot]
            late, unsent = self._departures_of(slot, np.arange(begin, end))
            late_ns.append(late)
            not_sent += unsent
        self._turns_read = turns
        return Departures(np.concatenate(late_ns) if late_ns else np.zeros(0, np.int64), not_sent)

    def _departures_of(self, slot: int, turns: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        memory = self._memory
        legs = np.flatnonzero((memory.legs["slot"] == slot) & (memory.legs["end_turn"] > turns[0]) & self._shown)
        first_turn, end_turn = memory.legs["first_turn"][legs], memory.legs["end_turn"][legs]
        rows = turns & self._mask
        was_due = (turns[:, None] >= first_turn) & (turns[:, None] < end_turn)
        sent_ns = memory.sent_ns[rows[:, None], legs]
        left = was_due & (sent_ns != 0)
        late_ns = (sent_ns - memory.due_ns[slot, rows][:, None])[left]
        return late_ns, int(np.count_nonzero(was_due) - np.count_nonzero(left))
