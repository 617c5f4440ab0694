"""Baseline: whether a run is better or worse than an earlier one, and whether that can be told at all.

Both runs are cut into intervals of one length. What is compared is their *typical interval*: the mean of the
intervals' own figures after the lowest and the highest fifth are left out, so that a noisy second, which every machine
has now and then, does not count as a change. (Ratios are taken of all counts, and counts per interval, untrimmed:
rare losses would be trimmed away.)

A figure that a call has once (time to its first packet, MOS) may fall into few intervals, since all calls began or
ended together: its median or mean is then compared by the samples themselves.

How sure the difference is follows from a bootstrap over blocks of time, and from how much the turns of a side
differ where there are several (:mod:`pytest_ari_sla.sla.bootstrap`). With
``d`` the difference towards the worse, ``f`` the floor of times, below which this tool cannot tell a difference from
none (0 for what is no time), and ``m`` the largest regression allowed, ``f`` at least:

==========  =======================================================================
change      when
==========  =======================================================================
worse       d is more than m, and its confidence interval lies above f; that of the
            turns as well, where there are several
better      the same towards the other side
same        the confidence interval lies within -m and m
unclear     otherwise; too few intervals or samples; no value at all
==========  =======================================================================

Two runs cannot show how much runs differ from each other (another host, another neighbour): ``m`` has to cover that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from pytest_ari_sla.metrics.metric import percentile_of
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import counted, format_duration_ns, format_quantity
from pytest_ari_sla.sla.bootstrap import Difference, difference
from pytest_ari_sla.sla.threshold import samples_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.time_series import TimeSeries

__all__ = ["FLOOR_S", "Change", "Comparison", "compare", "own_floor_s", "too_short"]

_LEAST_INTERVALS = 10
_CONFIDENCE = 0.99  # at 95 %, chance alone would change one figure in twenty
# A percentile of an interval is worth comparing when one of its samples is to be expected beyond it.
_TAIL_SAMPLES = 1.0
_SEED = 20_240_229  # any one, but always the same: the same two runs give the same answer
FLOOR_S = 100e-6
"""Differences of times below this are the generator's and the scheduler's own: twice a round trip's bound, 50 us."""
_TAIL_FLOOR_S = 400e-6
"""The same from the 99th percentile on, where that bound is 200 us."""
_TAIL_FROM = 99
_NS_PER_S = 1_000_000_000
_MOST_SAMPLES = 400  # 1,000 resamples of them take 3 MB
_ONCE_PER_CALL = (("first_packet", "p50"), ("mos", "mean"))
# Calls that begin together queue behind each other: their times are one draw, and differ from run to run.
_ONE_DRAW = 0.5


class Change(Enum):
    """What became of a figure since the baseline."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    UNCLEAR = "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """One figure of a run beside that of an earlier run.

    Attributes
    ----------
    figure
        What is compared: ``rtt.p99``.
    change
        What became of it.
    sentence
        The same for a person, with the evidence.
    baseline, current
        The typical interval's value in both runs, in the metric's unit; None where there is none.
    effect
        ``current / baseline - 1``; None where the baseline is zero or unknown.
    confidence_interval
        (low, high) of ``current - baseline``, in the metric's unit.
    interval_ns
        Length of the intervals that were compared; None where there were too few, and samples were.
    """

    figure: str
    change: Change
    sentence: str
    baseline: float | None = None
    current: float | None = None
    effect: float | None = None
    confidence_interval: tuple[float, float] | None = None
    interval_ns: int | None = None


def too_short(duration_ns: int) -> str:
    """Say that a load of this length cannot be compared with anything; an empty string when it can."""
    least = _LEAST_INTERVALS * _NS_PER_S
    if duration_ns >= least:
        return ""
    return (
        f"This load lasts {format_duration_ns(duration_ns)}, which is too short to compare with the baseline: "
        f"that takes {format_duration_ns(least)} at least"
    )


def own_floor_s(metric: Metric, stat: str | None, control_lags_s: Iterable[float]) -> float:
    """Return the change of a time that this tool itself cannot tell from none.

    Parameters
    ----------
    metric, stat
        What is compared.
    control_lags_s
        By how much both runs may have told times of ARI too long (``Metric.lag``).
    """
    if metric.of_control:
        return max(FLOOR_S, *control_lags_s, 0.0)
    is_tail = stat == "max" or (percentile_of(stat) or 0) >= _TAIL_FROM
    return _TAIL_FLOOR_S if is_tail else FLOOR_S


def compare(
    before: Sequence[TimeSeries],
    after: Sequence[TimeSeries],
    figures: Iterable[tuple[Metric, str | None]],
    max_regression: float = 0.1,
    floor_s: float = FLOOR_S,
) -> tuple[Comparison, ...]:
    """Compare two sides, figure by figure; the same input gives the same result.

    Parameters
    ----------
    before, after
        The earlier run and the one that is judged, over time; or all turns of each, where they took turns.
    figures
        Metrics, each with the stat to compare (None for ratios and counts).
    max_regression
        Share of the baseline's value by which a figure may get worse: 0.1 for 10 %.
    floor_s
        Time by which a figure in seconds may change in any case.
    """
    allowance = _Allowance(max_regression, floor_s)
    return tuple(_compared((before, after), metric, stat, allowance) for metric, stat in figures)


class _Allowance(NamedTuple):
    """By how much a figure may change: a share of itself, and a time."""

    share: float
    floor_s: float

    def least(self, metric: Metric) -> float:
        """Return the change that cannot be told from none."""
        return self.floor_s if metric.unit == "s" else 0.0

    def of(self, metric: Metric, old: float) -> float:
        return max(self.share * abs(old), self.least(metric))

    def words(self, metric: Metric, old: float) -> str:
        if metric.unit == "s" and self.floor_s > self.share * abs(old):
            whose = "our own control lag" if metric.of_control and self.floor_s > FLOOR_S else "the floor"
            return f"{format_quantity(self.floor_s, 's')} allowed, {whose}"
        return f"{self.share * 100:g} % allowed"


def _compared(
    sides: tuple[Sequence[TimeSeries], Sequence[TimeSeries]], metric: Metric, stat: str | None, allowance: _Allowance
) -> Comparison:
    figure = f"{metric.name}.{stat}" if stat else metric.name
    length_ns, cuts = _cut_alike(sides, metric, stat)
    before, after = (_Side.of(turns, length_ns, metric, stat) for turns in cuts)
    few = min(before.count, after.count) < _LEAST_INTERVALS
    by_samples = few and (metric.name, stat) in _ONCE_PER_CALL
    if by_samples:
        before, after = (_Side.of_samples(turns, metric) for turns in cuts)
    for side, which in ((before, "the baseline"), (after, "this run")):
        if problem := side.problem(metric, stat):
            return Comparison(figure, Change.UNCLEAR, f"{figure} cannot be compared: {which} has {problem}")
    if by_samples and metric.unit == "s":
        allowance = allowance._replace(share=max(allowance.share, _ONE_DRAW))
    found = difference(before.turns, after.turns, _CONFIDENCE, _SEED)
    least = allowance.least(metric)
    change = _change(metric, found, allowance.of(metric, found.before), least)
    why = ""
    if change in (Change.BETTER, Change.WORSE) and (
        why := _only_by_chance(found, least, before, by_samples=by_samples)
    ):
        change = Change.UNCLEAR
    sentence = _sentence(figure, metric, change, found, allowance, after, why)
    effect = found.after / found.before - 1 if found.before else None
    lengths_ns = None if by_samples else length_ns
    return Comparison(figure, change, sentence, found.before, found.after, effect, found.interval, lengths_ns)


@dataclass(frozen=True)
class _Side:
    """One figure of a side, interval by interval.

    Attributes
    ----------
    turns
        Of each turn (1, n) float64, the figure of each interval; or (2, n), the counts that it is divided from.
    samples
        Median number of samples in an interval.
    length_ns
        Length of an interval; 0 where single samples stand for intervals.
    """

    turns: list[NDArray[np.float64]]
    samples: float
    length_ns: int

    @property
    def count(self) -> int:
        """How many intervals there are in all."""
        return sum(turn.shape[1] for turn in self.turns)

    @property
    def extent(self) -> str:
        """What it consists of, in words."""
        of_all = f"{self.count} intervals of {format_duration_ns(self.length_ns)}"
        words = of_all if self.length_ns else counted(self.count, "sample")
        return f"{words} in {len(self.turns)} turns" if len(self.turns) > 1 else words

    @classmethod
    def of_samples(cls, turns: Sequence[Sequence[Snapshot]], metric: Metric) -> Self:
        """Take the samples of whole turns, evenly thinned; shuffled, since a histogram knows no order."""
        parts = []
        for turn in turns:
            histogram = Snapshot.sum_of(turn).histogram(metric.name)
            count = min(histogram.count, _MOST_SAMPLES)
            # The middles of equal shares: neither end of the distribution counts for more.
            values = [metric.in_unit(histogram.percentile(100 * (rank + 0.5) / count) or 0) for rank in range(count)]
            parts.append(np.random.default_rng(_SEED).permutation(np.array([values], np.float64), axis=1))
        return cls(_with_any(parts), sum(part.shape[1] for part in parts), 0)

    @classmethod
    def of(cls, turns: Sequence[Sequence[Snapshot]], length_ns: int, metric: Metric, stat: str | None) -> Self:
        """Take a figure out of the intervals of each turn."""
        parts = [np.array(_rows(turn, metric, stat), np.float64) for turn in turns]
        return cls(_with_any(parts), _median_samples(chain.from_iterable(turns), metric), length_ns)

    def problem(self, metric: Metric, stat: str | None) -> str:
        """Say why this side cannot be compared; an empty string when it can."""
        if not self.count or (len(self.turns[0]) == 2 and not any(turn[1].any() for turn in self.turns)):
            return "no value of it"
        if self.count < _LEAST_INTERVALS:
            one = f"1 interval of {format_duration_ns(self.length_ns)}" if self.length_ns else "1 sample"
            return f"{one if self.count == 1 else self.extent} with it, and {_LEAST_INTERVALS} are needed"
        needed = samples_needed(percentile_of(stat), _TAIL_SAMPLES)
        if metric.kind == "distribution" and self.samples < needed:
            return f"about {self.samples:.0f} samples in an interval, and {stat} takes {needed}"
        return ""


def _rows(intervals: Sequence[Snapshot], metric: Metric, stat: str | None) -> list[list[float]]:
    """Return the parts of a turn: figures of its intervals, or the counts that they are divided from."""
    if metric.kind == "distribution":
        return [[value for interval in intervals if (value := interval.value(metric, stat)) is not None]]
    if metric.kind == "ratio":
        # Where nothing was counted there is no ratio: calls that all began in one second say nothing of the others.
        counted = [interval for interval in intervals if interval.count(metric.denominator)]
        return [[interval.count(name) for interval in counted] for name in metric.names]
    return [[interval.count(metric.name) for interval in intervals], [1] * len(intervals)]


def _with_any(turns: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Leave out the turns that know nothing."""
    return [turn for turn in turns if turn.shape[1]]


def _change(metric: Metric, found: Difference, allowed: float, least: float) -> Change:
    """Apply the table of this module."""
    low, high = found.interval
    if -allowed <= low and high <= allowed:
        return Change.SAME
    if found.after - found.before > allowed and low > least:
        return Change.WORSE if metric.better == "lower" else Change.BETTER
    if found.after - found.before < -allowed and high < -least:
        return Change.BETTER if metric.better == "lower" else Change.WORSE
    return Change.UNCLEAR


def _only_by_chance(found: Difference, least: float, before: _Side, *, by_samples: bool) -> str:
    """Say why a change may be one of turns, and not of the target; an empty string when it is not."""
    low, high = found.of_turns
    if low <= least and high >= -least:
        return "the turns of a side differ too much to tell"
    if by_samples and len(before.turns) > 1:
        return "two turns are two draws of what calls that begin together have once"
    return ""


def _cut_alike(
    sides: Sequence[Sequence[TimeSeries]], metric: Metric, stat: str | None
) -> tuple[int, list[list[list[Snapshot]]]]:
    """Cut all turns into intervals of one length: the shortest that carries the figure and leaves enough intervals."""
    # A long series has merged its intervals: nothing can be cut finer than that.
    length_ns = max(turn.interval_ns for turns in sides for turn in turns)
    needed = samples_needed(percentile_of(stat), _TAIL_SAMPLES)
    while True:
        cuts = [[_cut(turn, length_ns, metric) for turn in turns] for turns in sides]
        enough = all(_median_samples(chain.from_iterable(turns), metric) >= needed for turns in cuts)
        # Doubled once more, there would be too few.
        if enough or min(sum(map(len, turns)) for turns in cuts) < 2 * _LEAST_INTERVALS:
            return length_ns, cuts
        length_ns *= 2


def _cut(series: TimeSeries, length_ns: int, metric: Metric) -> list[Snapshot]:
    """Merge a series into intervals of ``length_ns``; those that know nothing of the metric are left out."""
    groups: dict[int, list[Snapshot]] = {}
    for interval in series.intervals(metric.names):
        # An interval without a word on it is not one with a value of 0.
        if interval.values:
            groups.setdefault(interval.start_ns // length_ns, []).append(interval.values)
    return [Snapshot.sum_of(groups[number]) for number in sorted(groups)]


def _median_samples(intervals: Iterable[Snapshot], metric: Metric) -> float:
    samples = [interval.samples(metric) or 0 for interval in intervals]
    return float(np.median(samples)) if samples else 0.0


_WORDS = {
    Change.BETTER: "is better",
    Change.SAME: "is the same",
    Change.WORSE: "is worse",
    Change.UNCLEAR: "may have changed, which these runs cannot tell",
}


def _sentence(
    figure: str, metric: Metric, change: Change, found: Difference, allowance: _Allowance, after: _Side, why: str
) -> str:
    """Say what changed, by how much, and how sure that is."""
    old, new = found.before, found.after
    share = f", {new / old - 1:+.1%}".replace("%", " %") if old else ""
    low, high = (f"{'+' if end > 0 else ''}{format_quantity(end, metric.unit)}" for end in found.interval)
    texts = [format_quantity(value, metric.unit) for value in (old, new)]
    return (
        f"{figure} {_WORDS[change]}: {texts[1]} after {texts[0]}{share} ({_CONFIDENCE * 100:g} % interval {low} to "
        f"{high}; {allowance.words(metric, old)}; {after.extent})" + (f"; {why}" if why else "")
    )
