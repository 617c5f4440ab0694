"""What probes of the control plane tell, as rules: a stall is told from silence by the probe beside it.

One probe needs a channel's lock, the other is answered without any. Where the first hangs and the second does not,
Asterisk's channels are stuck; where both hang, Asterisk stands still, or cannot be reached. Times are ns on one clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.metrics.snapshot import Snapshot

__all__ = ["SILENCE_NS", "STALL_NS", "Gap", "Lane", "Probes", "has_stalled"]

STALL_NS = 2_000_000_000
"""Channel requests that hang for so long, while others are answered, are stuck."""

SILENCE_NS = 3_000_000_000
"""An ARI that answers nothing for so long stands still; a machine that is only busy answers sooner."""

_GAPS_KEPT = 100

_OWN_GAP_NS = 2_000_000_000
"""Who looks once a second, and did not for so long, stood still himself."""


class Lane(Enum):
    """What a probe needs at Asterisk."""

    CHANNEL = "a channel's lock"
    CACHE = "no lock"


@dataclass(frozen=True)
class Gap:
    """A time in which probes were not answered.

    Attributes
    ----------
    lane
        Which; `CACHE` where nothing at all was answered.
    since_ns, lasted_ns
        When it began, and for how long.
    others
        How many probes of the other lane were answered meanwhile.
    """

    lane: Lane
    since_ns: int
    lasted_ns: int
    others: int = 0


@dataclass
class _Pending:
    """The probe of a lane that has no answer yet; ``sent_ns`` is the first attempt's."""

    sent_ns: int
    others: int = 0


@dataclass
class Probes:
    """All probes of one load.

    Attributes
    ----------
    stall
        How long each probe that needs a channel's lock took; those that hung with all others are not among them.
    silence
        How long each probe that needs none took.
    gaps
        The times without an answer that are too long, in the order of their ends; of very many, the first.
    """

    stall: Histogram = field(default_factory=Histogram)
    silence: Histogram = field(default_factory=Histogram)
    gaps: list[Gap] = field(default_factory=list)
    _pending: dict[Lane, _Pending] = field(default_factory=dict)
    _looked_ns: int | None = None
    _is_paused: bool = False

    def sent(self, lane: Lane, at_ns: int) -> None:
        """Take note of an attempt; the first one that is not answered counts."""
        self._pending.setdefault(lane, _Pending(at_ns))

    def answered(self, lane: Lane, at_ns: int) -> None:
        """Take note of an answer, and when it came."""
        pending = self._pending.pop(lane, None)
        if pending is None or (self._is_paused and lane is Lane.CACHE):
            return
        self._take(lane, pending, max(0, at_ns - pending.sent_ns))
        for other, waiting in self._pending.items():
            waiting.others += other is not lane

    def withdraw(self, lane: Lane, since_ns: int) -> None:
        """Take an attempt back that never left us: nobody owes an answer to it, but to earlier ones."""
        if lane in self._pending and self._pending[lane].sent_ns >= since_ns:
            del self._pending[lane]

    def look(self, at_ns: int) -> None:
        """Take note that we are awake, once a second; what we slept through is not Asterisk's."""
        if self._looked_ns is not None and (gap_ns := at_ns - self._looked_ns) > _OWN_GAP_NS:
            for pending in self._pending.values():
                pending.sent_ns += gap_ns
        self._looked_ns = at_ns

    def pause(self, is_paused: bool, at_ns: int) -> None:
        """Take note that we stop the target ourselves, for a debugger, or let it go on: that is no silence of its own.

        What was stuck before is not in doubt by it, and lasts on.
        """
        self._is_paused = is_paused
        cache = self._pending.get(Lane.CACHE)
        if cache is not None:
            cache.sent_ns = at_ns

    def stuck(self, at_ns: int) -> Lane | None:
        """Return which lane has no answer for too long now; None where none has."""
        channel, cache = (self._pending.get(lane) for lane in (Lane.CHANNEL, Lane.CACHE))
        if cache is not None and at_ns - cache.sent_ns >= SILENCE_NS:
            return Lane.CACHE
        is_stuck = channel is not None and channel.others > 1 and at_ns - channel.sent_ns >= STALL_NS
        return Lane.CHANNEL if is_stuck else None

    def end(self, at_ns: int) -> None:
        """Take note that nobody waits for answers any more."""
        self.look(at_ns)
        for lane, pending in list(self._pending.items()):
            lasted_ns = at_ns - pending.sent_ns
            if lasted_ns >= (STALL_NS if lane is Lane.CHANNEL else SILENCE_NS):
                self._take(lane, pending, lasted_ns)
        self._pending.clear()

    def _take(self, lane: Lane, pending: _Pending, lasted_ns: int) -> None:
        if lane is Lane.CACHE:
            self.silence.record_one(lasted_ns)
            is_gap = lasted_ns >= SILENCE_NS
        elif lasted_ns < STALL_NS or pending.others:
            self.stall.record_one(lasted_ns)
            # One answer may have come just before the whole of Asterisk stood still.
            is_gap = lasted_ns >= STALL_NS and pending.others > 1
        else:
            return
        if is_gap:
            others = pending.others if lane is Lane.CHANNEL else 0
            if len(self.gaps) < _GAPS_KEPT or lasted_ns > self.gaps[-1].lasted_ns:
                # The last place is for the longest of all later ones: `worst` must not miss it.
                self.gaps[_GAPS_KEPT - 1 :] = []
                self.gaps.append(Gap(lane, pending.sent_ns, lasted_ns, others))

    @property
    def worst(self) -> Gap | None:
        """The longest time without an answer, of those that are too long; None: there was none."""
        return max(self.gaps, key=lambda gap: gap.lasted_ns, default=None)

    def values(self) -> Iterator[tuple[str, Histogram]]:
        """Yield all values since the beginning, by metric name."""
        yield "target.stall", self.stall
        yield "target.stopped_answering", self.silence


def has_stalled(measured: Snapshot) -> bool:
    """Tell whether what was measured holds a time without an answer that is too long, of either kind."""
    limits = {"target.stall": STALL_NS, "target.stopped_answering": SILENCE_NS}
    return any((measured.histogram(name).max or 0) >= limit_ns for name, limit_ns in limits.items())
