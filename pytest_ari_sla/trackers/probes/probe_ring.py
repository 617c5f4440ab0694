"""Which probes came back: a ring of marks per leg, and what becomes of them after the loss limit.

A leg expects the probes of the leg that it hears (``TrackerContext.heard_leg``). Each is marked when its first copy
arrives in time, and is *settled* once all has been read that arrived within the loss limit: seen, or lost if it was
really sent. Whatever arrives later than the limit counts as late, by its own times: so neither the split into batches
nor a reader that is late changes a result. What cannot be known is neither: a probe on its way when its leg ends, one
that was read so late that the send log has forgotten it, or one that was sent to a call of which there has been no sign
of life since. Those wait for one as long as there is room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.trackers.probes.own_drops import OwnDrops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["Arrivals", "ProbeRing", "Settlement"]

_HELD_SHARE = 0.75
"""Of the window, for probes of calls that may be over; the rest is for what comes until the next look."""


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
        (legs,) int64. For each receiving leg: how many of the probes now settled were really sent, of those of which
        anything is known.
    sent_seconds
        (n,) int64. In which second of the load each of them was due.
    lost_legs, lost_positions, lost_seconds
        (k,) int32, int64, int64. Each of them that never came: the receiving leg, its place among all probes that were
        really sent to that leg, and its second; by leg, then ascending.
    dropped_seconds
        (m,) int64. The seconds of those that never came because our own receive buffers were full; they are not lost.
    unknown_seconds
        (u,) int64. The seconds of probes of which nothing is known, and which are not among those sent.
    """

    sent: NDArray[np.int64]
    sent_seconds: NDArray[np.int64]
    lost_legs: NDArray[np.int32]
    lost_positions: NDArray[np.int64]
    lost_seconds: NDArray[np.int64]
    dropped_seconds: NDArray[np.int64]
    unknown_seconds: NDArray[np.int64]

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
        self._began_ns = context.began_ns
        self._alive_ns = context.alive_ns
        self._held_ns = int(_HELD_SHARE * context.probe_window) * context.packet_time_ns
        # All that arrived before then has been marked.
        self._marked_ns = 0
        self.drops = OwnDrops(context)

    @staticmethod
    def bytes_per_leg(probe_window: int) -> int:
        """Return the memory that a leg takes here."""
        return probe_window * 4 + 2 * 8

    def lacks_room(self, batch: PacketBatch) -> bool:
        """Tell whether older probes must be given up before this batch can be marked; see :meth:`make_room`."""
        age: NDArray[np.int64] = batch.probe - self._settled[batch.leg]
        return int(age.max(initial=0)) >= self._window

    def make_room(self, batch: PacketBatch) -> Settlement:
        """Settle what is older than the window will be with this batch.

        That happens when packets were not read for seconds on one socket, while they were on another one.
        """
        # A damaged number may lie far ahead of all that was ever due.
        was_due = batch.probe < self._log.due()[batch.source_leg]
        rows = np.flatnonzero(was_due & (batch.source_leg >= 0) & (batch.source_leg == self._heard[batch.leg]))
        end = self._settled.copy()
        np.maximum.at(end, batch.leg[rows], batch.probe[rows] - self._window + 1)
        return self._settle_up_to(end)

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
        is_timed = expected & (batch.intended_ns > 0)
        is_late = is_timed & (batch.arrival_ns - batch.intended_ns >= self._limit_ns)
        # One that was settled before it was read has been settled as unknown.
        in_time = is_timed & ~is_late & (age >= 0)
        rows = np.flatnonzero(in_time if usable is None else in_time & usable)
        is_first = self._mark(legs[rows], batch.probe[rows], copies=not batch.probes_ascend)
        first = rows[is_first]
        untimed = np.flatnonzero(expected & ~is_timed & (age >= 0))
        if len(untimed):
            self._mark_unknown(legs[untimed], batch.probe[untimed])
        misrouted = int(np.count_nonzero(is_probe)) - int(np.count_nonzero(expected))
        return Arrivals(first, len(rows) - len(first), int(np.count_nonzero(is_late)), misrouted)

    def _mark_unknown(self, legs: NDArray[np.intp], probes: NDArray[np.int64]) -> None:
        """Mark probes that are back so late that the send log does not know their time any more."""
        cells, marks = self._cells(legs, probes)
        # Negative: it is back, but nobody can say whether in time. One that was in time stays so.
        self._marks[cells] = np.where(self._marks[cells] == marks, marks, -marks)

    def _cells(self, legs: NDArray[np.intp], probes: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Return where probes' marks are, and what they are."""
        cells = (legs << self._shift) | (probes & (self._window - 1))
        return cells, ((probes >> self._shift) + 1).astype(np.int32)

    def _mark(self, legs: NDArray[np.intp], probes: NDArray[np.int64], *, copies: bool) -> NDArray[np.bool_]:
        """Mark (k,) probes; return which of them had no mark yet, counting only the first of equal ones.

        ``copies`` tells that there may be equal ones.
        """
        cells, marks = self._cells(legs, probes)
        is_new: NDArray[np.bool_] = self._marks[cells] != marks
        if copies:
            # Each row writes its own number, the earliest row last, and sees whose stands.
            numbers = -1 - np.arange(len(cells), dtype=np.int32)
            self._marks[cells[::-1]] = numbers[::-1]
            is_new &= self._marks[cells] == numbers
        self._marks[cells] = marks
        return is_new

    def settle(self, now_ns: int) -> Settlement:
        """Decide on all probes that were due a loss limit ago; what arrived before ``now_ns`` must have been marked."""
        by_sender = self._decided_by(now_ns)
        self.drops.look()
        settlement = self._settle_up_to(self._settled_of(by_sender))
        self.drops.expire(by_sender)
        return settlement

    def _decided_by(self, now_ns: int) -> NDArray[np.int64]:
        """Return up to which number each leg's own probes can be decided on: (legs,)."""
        # What has been decided on stays so, even if the time that is told steps back.
        self._marked_ns = max(self._marked_ns, now_ns)
        decided = self._log.settled(self._marked_ns, self._limit_ns)
        if self._alive_ns is not None:
            held = self._log.settled(self._marked_ns, self._held_ns)
            decided = np.minimum(decided, np.maximum(self._log.settled(self._alive_ns(), 0), held))
        return np.where(self._log.closed(), self._log.due(), decided)

    def _settled_of(self, by_sender: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return up to which number each leg's expected probes are settled: (legs,), 0 where none are."""
        settled: NDArray[np.int64] = np.where(self._heard >= 0, np.maximum(by_sender[self._heard], self._settled), 0)
        return settled

    def forget(self, now_ns: int) -> None:
        """Make room as :meth:`settle` does, without asking what became of the probes."""
        self._settled = self._settled_of(self._decided_by(now_ns))

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Begin anew with number 0 for these legs."""
        self._settled[legs] = 0
        self._sent[legs] = 0
        # Numbers begin anew: a mark of the old leg would be one of the new leg's probe.
        self._marks.reshape(-1, self._window)[legs] = 0
        self.drops.release(legs)

    def release(self, legs: NDArray[np.int32]) -> Settlement:
        """Decide on all probes of these legs that are still open, then :meth:`reset` them."""
        end = self._settled.copy()
        due = np.where(self._heard >= 0, self._log.due()[self._heard], 0)
        end[legs] = np.maximum(due, end)[legs]
        self.drops.look()
        settlement = self._settle_up_to(end)
        self.reset(legs)
        return settlement

    def _settle_up_to(self, end: NDArray[np.int64]) -> Settlement:
        """Decide on each leg's probes before ``end`` ((legs,)), all legs in one flat array."""
        counts = end - self._settled
        ends = np.cumsum(counts)
        legs = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        probes = np.arange(len(legs)) - np.repeat(ends - counts - self._settled, counts)
        senders = self._heard[legs]
        due_ns = self._log.due_ns(senders, probes)
        was_sent = self._log.was_sent(senders, probes)
        is_back, is_unknown = self._fates(legs, probes, due_ns)
        if self._alive_ns is not None:
            is_unknown |= ~is_back & (due_ns > self._alive_ns()[senders])
        is_unknown &= was_sent
        was_sent &= ~is_unknown
        # Places among the probes that were really sent: running count, less what it was where the leg began.
        running = np.concatenate(([0], np.cumsum(was_sent)))
        sent = running[ends] - running[ends - counts]
        missing = np.flatnonzero(was_sent & ~is_back)
        dropped, lost = self._explain(missing, due_ns)
        lost_legs = legs[lost]
        positions = running[lost] - running[ends - counts][lost_legs] + self._sent[lost_legs]
        self._settled += counts
        self._sent += sent
        seconds = (due_ns - self._began_ns()) // 1_000_000_000
        return Settlement(
            sent, seconds[was_sent], lost_legs, positions, seconds[lost], seconds[dropped], seconds[is_unknown]
        )

    def _fates(
        self, legs: NDArray[np.int32], probes: NDArray[np.int64], due_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which probes are back, and of which nothing is known: they may be on their way, or waiting for us."""
        cells, marks = self._cells(legs.astype(np.intp), probes)
        found = self._marks[cells]
        is_back = found == marks
        is_unknown = (found == -marks) | (~is_back & (due_ns + self._limit_ns > self._marked_ns))
        return is_back, is_unknown

    def _explain(
        self, missing: NDArray[np.intp], due_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Part missing probes into those that our own drops explain, the earliest ones, and those lost."""
        dropped = self.drops.explain(len(missing))
        if not dropped:
            return missing[:0], missing
        is_dropped = np.zeros(len(missing), np.bool_)
        is_dropped[np.argsort(due_ns[missing], kind="stable")[:dropped]] = True
        return missing[is_dropped], missing[~is_dropped]
