"""Which probes came back: a ring of marks per leg, and what becomes of them after the loss limit.

A leg expects the probes of the leg that it hears (``TrackerContext.heard_leg``). Each is marked when its first copy
arrives in time, and is *settled* once it is older than the loss limit: seen, or lost if it was really sent. Whatever
arrives later than the limit counts as late, by its own times: so the split into batches changes no result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["Arrivals", "ProbeRing", "Settlement"]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """What the probes of one batch are.

    Attributes
    ----------
    first
        (k,) intp. Rows whose probe has come back for the first time, and in time.
    duplicates, late, misrouted
        Further copies of such probes; probes that came back after the loss limit; probes that reached a leg which
        should hear another one, or that were never due.
    """

    first: NDArray[np.intp]
    duplicates: int
    late: int
    misrouted: int


@dataclass(frozen=True, eq=False)
class Settlement:
    """Probes whose fate is decided now.

    Attributes
    ----------
    sent
        (legs,) int64. For each receiving leg: how many of the probes now settled were really sent.
    lost_legs, lost_positions
        (k,) int32 and (k,) int64. Each of them that never came: the receiving leg, and its place among all probes
        that were really sent to that leg; by leg, then ascending.
    """

    sent: NDArray[np.int64]
    lost_legs: NDArray[np.int32]
    lost_positions: NDArray[np.int64]

    def lost(self) -> NDArray[np.int64]:
        """Return how many probes each leg has lost: (legs,)."""
        return np.bincount(self.lost_legs, minlength=len(self.sent))


class ProbeRing:
    """Marks of the last ``probe_window`` probes that each leg expects.

    Parameters
    ----------
    context
        Of the load; its ``send_log`` tells what was due and what was sent.
    """

    def __init__(self, context: TrackerContext) -> None:
        self._log = context.send_log
        self._limit_ns = context.loss_limit_ns
        self._window = context.probe_window
        self._heard: NDArray[np.int32] = context.heard_leg
        # A mark is the probe's number divided by the window, plus one: what an older probe left in its place differs.
        self._marks = np.zeros(context.legs * context.probe_window, np.int32)
        self._shift = context.probe_window.bit_length() - 1
        self._settled = np.zeros(context.legs, np.int64)
        self._sent = np.zeros(context.legs, np.int64)

    @staticmethod
    def bytes_per_leg(probe_window: int) -> int:
        """Return the memory that a leg takes here."""
        return probe_window * 4 + 2 * 8

    def lacks_room(self, batch: PacketBatch) -> bool:
        """Tell whether older probes must be settled before this batch can be marked: when nobody did for seconds."""
        age: NDArray[np.int64] = batch.probe - self._settled[batch.leg]
        return int(age.max(initial=0)) >= self._window

    def arrive(self, batch: PacketBatch, usable: NDArray[np.bool_] | None = None) -> Arrivals:
        """Mark the probes of a batch.

        Parameters
        ----------
        batch
            Packets as they arrived.
        usable
            (n,) bool. Rows that may be marked; the others are in time, but as good as lost. None for all.
        """
        legs = batch.leg.astype(np.intp)
        heard = self._heard[legs]
        age = batch.probe - self._settled[legs]
        is_probe = (batch.source_leg >= 0) & (heard >= 0)
        expected = is_probe & (batch.source_leg == heard) & (age < self._window)
        # Where the send log has forgotten the probe, its time is 0: it is late then, too.
        in_time = expected & (age >= 0) & (batch.arrival_ns - batch.intended_ns < self._limit_ns)
        counts = [int(np.count_nonzero(mask)) for mask in (is_probe, expected, in_time)]
        rows = np.flatnonzero(in_time if usable is None else in_time & usable)
        is_first = self._mark(legs[rows], batch.probe[rows], copies=not batch.probes_ascend)
        first = rows[is_first]
        return Arrivals(first, len(rows) - len(first), counts[1] - counts[2], counts[0] - counts[1])

    def _mark(self, legs: NDArray[np.intp], probes: NDArray[np.int64], *, copies: bool) -> NDArray[np.bool_]:
        """Mark (k,) probes; return which of them had no mark yet, counting only the first of equal ones.

        ``copies`` tells that there may be equal ones.
        """
        cells = (legs << self._shift) | (probes & (self._window - 1))
        marks = ((probes >> self._shift) + 1).astype(np.int32)
        is_new: NDArray[np.bool_] = self._marks[cells] != marks
        if copies:
            # Each row writes its own number, the earliest row last, and sees whose stands.
            numbers = -1 - np.arange(len(cells), dtype=np.int32)
            self._marks[cells[::-1]] = numbers[::-1]
            is_new &= self._marks[cells] == numbers
        self._marks[cells] = marks
        return is_new

    def settle(self, now_ns: int) -> Settlement:
        """Decide on all probes that were due a loss limit ago; what arrived before then must have been marked."""
        return self._settle_up_to(self._settled_by(now_ns))

    def _settled_by(self, now_ns: int) -> NDArray[np.int64]:
        """Return up to which number each leg's expected probes are a loss limit old: (legs,), 0 where none are."""
        by_sender = self._log.settled(now_ns, self._limit_ns)[self._heard]
        settled: NDArray[np.int64] = np.where(self._heard >= 0, np.maximum(by_sender, self._settled), 0)
        return settled

    def forget(self, now_ns: int) -> None:
        """Make room as :meth:`settle` does, without asking what became of the probes."""
        self._settled = self._settled_by(now_ns)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Begin anew with number 0 for these legs."""
        self._settled[legs] = 0
        self._sent[legs] = 0
        self._marks.reshape(-1, self._window)[legs] = 0

    def release(self, legs: NDArray[np.int32]) -> Settlement:
        """Decide on all probes of these legs that are still open, then :meth:`reset` them."""
        end = self._settled.copy()
        due = np.where(self._heard >= 0, self._log.due()[self._heard], 0)
        end[legs] = np.maximum(due, end)[legs]
        settlement = self._settle_up_to(end)
        self.reset(legs)
        return settlement

    def _settle_up_to(self, end: NDArray[np.int64]) -> Settlement:
        """Decide on each leg's probes before ``end`` ((legs,)), all legs in one flat array."""
        counts = end - self._settled
        ends = np.cumsum(counts)
        legs = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        probes = np.arange(len(legs)) - np.repeat(ends - counts - self._settled, counts)
        was_sent = self._log.was_sent(self._heard[legs], probes)
        # Places among the probes that were really sent: running count, less what it was where the leg began.
        running = np.concatenate(([0], np.cumsum(was_sent)))
        sent = running[ends] - running[ends - counts]
        lost = np.flatnonzero(was_sent & ~self._is_marked(legs, probes))
        lost_legs = legs[lost]
        positions = running[lost] - running[ends - counts][lost_legs] + self._sent[lost_legs]
        self._settled += counts
        self._sent += sent
        return Settlement(sent, lost_legs, positions)

    def _is_marked(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        cells = (legs.astype(np.int64) << self._shift) | (probes & (self._window - 1))
        is_marked: NDArray[np.bool_] = self._marks[cells] == (probes >> self._shift) + 1
        return is_marked
