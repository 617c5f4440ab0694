"""What the send side knows of every probe, read out of a loop's memory: as far as slots and turns tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.frame_send_log import LastSent
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.rtp.send_schedule import SLOT_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.media.frame_send_log import Departures
    from pytest_ari_sla.media.loop.memory import LoopMemory

__all__ = ["SlotSendLog"]


class SlotSendLog(ABC):
    """A :class:`~pytest_ari_sla.hookspecs.tracker.SendLog` of legs that send once a cycle, in their slot's turn.

    Used by the measuring thread; :meth:`show` alone by whoever gives legs out. A leg that was released is hidden until
    the loop has forgotten it: a call of the same number must not inherit its counts.

    Parameters
    ----------
    memory
        Where legs and turns are.
    """

    def __init__(self, memory: LoopMemory) -> None:
        self._memory = memory
        self._cycle_ns = memory.layout.cycle * SLOT_NS
        self._shown = np.ones(memory.layout.legs, bool)
        self._closed = np.zeros(memory.layout.legs, bool)
        self._judged = np.full(memory.layout.legs, np.iinfo(np.int64).max)

    @abstractmethod
    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes were really sent."""

    @abstractmethod
    def departures(self, until_ns: int = 1 << 62) -> Departures:
        """Return what became of every packet that was due since the last time and before ``until_ns``."""

    @abstractmethod
    def _times(self, legs: NDArray[np.int32], turns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return when legs' packets of these turns left and were due; 0 for what is forgotten, or did not leave."""

    def close(self, legs: NDArray[np.int32]) -> None:
        """Note that these legs are ending: nothing more comes for them."""
        self._closed[legs] = True

    def withdraw(self, legs: Sequence[int], first: NDArray[np.int64]) -> None:
        """Let these legs' packets from number ``first`` ((n,)) on count as never due: their call had been ended."""
        self._judged[legs] = first

    def closed(self) -> NDArray[np.bool_]:
        """(legs,) Whether a leg is ending: what it has sent is settled now, whatever its age."""
        return self._closed

    def hide(self, legs: NDArray[np.int32]) -> None:
        """Let the counts of these legs be 0, whatever the memory holds."""
        self._shown[legs] = False

    def show(self, leg: int) -> None:
        """Let a leg's counts be what the memory holds."""
        self._closed[leg] = False
        self._judged[leg] = np.iinfo(np.int64).max  # no limit
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
        # Negative until a leg's first turn has come.
        past = np.minimum(self._memory.turns[legs["slot"]], legs["end_turn"]) - legs["first_turn"]
        due: NDArray[np.int64] = np.clip(past, 0, self._judged[chosen]) * self._shown[chosen]
        return due

    def first_turn(self, leg: int) -> int:
        """Return the turn of a leg's first packet."""
        return int(self._memory.legs["first_turn"][leg])

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of probes of each leg that were due at least ``age_ns`` before ``now_ns``."""
        turns = self._turns_by(now_ns - age_ns, self._memory.legs["slot"])
        settled: NDArray[np.int64] = np.clip(turns - self._memory.legs["first_turn"], 0, self.due())
        return settled

    def _turns_by(self, moment_ns: int | NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many turns these slots were due to have by then."""
        elapsed_ns = moment_ns - int(self._memory.gauges[Gauge.ORIGIN_NS]) - slots * SLOT_NS
        turns: NDArray[np.int64] = elapsed_ns // self._cycle_ns + 1
        return turns

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) When probes of these legs were due, ns since the Unix epoch."""
        record = self._memory.legs
        slots = (record["first_turn"][legs] + probes) * self._memory.layout.cycle + record["slot"][legs]
        due_ns: NDArray[np.int64] = int(self._memory.gauges[Gauge.ORIGIN_NS]) + slots * SLOT_NS
        return due_ns

    def voice_began_ns(self, leg: int) -> int:
        """Return when a leg began to say what it was last told to play; 0 where it was told nothing yet."""
        turn, slot = int(self._memory.voice_turns[leg]), int(self._memory.legs["slot"][leg])
        if not turn:
            return 0
        began_ns: int = int(self._memory.gauges[Gauge.ORIGIN_NS]) + turn * self._cycle_ns + slot * SLOT_NS
        return began_ns

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
        # What was never sent is another run's probe, or audio that looks like one.
        is_probe = (legs >= 0) & (numbers >= 0) & (turns < end_turn) & (turns < past)
        sent_ns, due_ns = self._times(legs, turns)
        return np.where(is_probe, numbers, -1), np.where(is_probe, sent_ns, 0), np.where(is_probe, due_ns, 0)

    def last_sent(self, leg: int, most: int) -> LastSent:
        """Return what became of a leg's last packets, up to so many."""
        memory = self._memory
        record = memory.legs[leg]
        begin = int(record["first_turn"])
        end = min(int(memory.turns[record["slot"]]), int(record["end_turn"]))
        first = max(begin, end - most)
        turns = np.arange(first, end)
        legs = np.full(len(turns), leg, np.int32)
        sent_ns, due_ns = self._times(legs, turns)[0], self.due_ns(legs, turns - begin)
        is_forgotten = (sent_ns == 0) & self.was_sent(legs, turns - begin)
        return LastSent(first, np.where(is_forgotten, due_ns, sent_ns), due_ns)
