"""Baseline: whether a run is better or worse than an earlier one, and whether that can be told at all.

Both runs are cut into intervals of one length. What is compared is their *typical interval*: the mean of the
intervals' own figures after the lowest and the highest fifth are left out, so that a noisy second, which every machine
has now and then, does not count as a change. (Ratios are taken of all counts, and counts per interval, untrimmed:
rare losses would be trimmed away.)

A figure that a call has once (time to its first packet, MOS) may fall into few intervals, since all calls began or
ended together: its median or mean is then compared by the samples themselves.

How sure the difference is follows from a bootstrap over blocks of time (:mod:`pytest_ari_sla.sla.bootstrap`). With
``d`` the difference towards the worse and ``m`` the largest regression allowed, which is for times at least a
floor that this tool can tell apart at all:

==========  =======================================================================
change      when
==========  =======================================================================
worse       d is more than m, and its confidence interval lies above zero
better      the same towards the other side
same        the confidence interval lies within -m and m
unclear     otherwise; too few intervals or samples; no value at all
==========  =======================================================================

Two runs cannot show how much runs differ from each other (another host, another neighbour): ``m`` has to cover that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

import numpy as np

from pytest_ari_sla.metrics.metric import percentile_of
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import format_duration_ns, format_quantity
from pytest_ari_sla.sla.bootstrap import difference_interval, typical
from pytest_ari_sla.sla.threshold import samples_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.time_series import TimeSeries

__all__ = ["FLOOR_S", "Change", "Comparison", "compare", "own_floor_s", "too_short"]

_LEAST_INTERVALS = 10
_CONFIDENCE = 0.99
# A percentile of an interval is worth comparing when one of its samples is to be expected beyond it.
_TAIL_SAMPLES = 1.0
_SEED = 20_240_229
FLOOR_S = 100e-6
"""Differences of times below this are the generator's and the scheduler's own: twice a round trip's bound, 50 us."""
_TAIL_FLOOR_S = 400e-6
"""The same from the 99th percentile on, where that bound is 200 us."""
_TAIL_FROM = 99
_NS_PER_S = 1_000_000_000
_MOST_SAMPLES = 400
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
    baseline: TimeSeries,
    current: TimeSeries,
    figures: Iterable[tuple[Metric, str | None]],
    max_regression: float = 0.1,
    floor_s: float = FLOOR_S,
) -> tuple[Comparison, ...]:
    """Compare two runs, figure by figure; the same input gives the same result.

    Parameters
    ----------
    baseline, current
        The earlier run and the one that is judged, over time.
    figures
        Metrics, each with the stat to compare (None for ratios and counts).
    max_regression
        Share of the baseline's value by which a figure may get worse: 0.1 for 10 %.
    floor_s
        Time by which a figure in seconds may change in any case.
    """
    return tuple(_compared(baseline, current, metric, stat, max_regression, floor_s) for metric, stat in figures)


def _compared(
    baseline: TimeSeries, current: TimeSeries, metric: Metric, stat: str | None, max_regression: float, floor_s: float
) -> Comparison:
    figure = f"{metric.name}.{stat}" if stat else metric.name
    length_ns, cuts = _cut_alike((baseline, current), metric, stat)
    before, after = (_Run.of(cut, length_ns, metric, stat) for cut in cuts)
    few = min(before.parts.shape[1], after.parts.shape[1]) < _LEAST_INTERVALS
    by_samples = few and (metric.name, stat) in _ONCE_PER_CALL
    if by_samples:
        before, after = (_Run.of_samples(cut, metric) for cut in cuts)
    for run, which in ((before, "the baseline"), (after, "this run")):
        if problem := run.problem(metric, stat):
            return Comparison(figure, Change.UNCLEAR, f"{figure} cannot be compared: {which} has {problem}")
    old, new = typical(before.parts), typical(after.parts)
    interval = difference_interval(before.parts, after.parts, _CONFIDENCE, _SEED)
    if metric.unit == "s":
        max_regression = max(max_regression, _ONE_DRAW if by_samples else 0.0)
    allowed = max(max_regression * abs(old), floor_s if metric.unit == "s" else 0.0)
    change = _change(metric, new - old, interval, allowed)
    sentence = _sentence(figure, metric, change, (old, new), interval, max_regression, after)
    lengths_ns = None if by_samples else length_ns
    return Comparison(figure, change, sentence, old, new, new / old - 1 if old else None, interval, lengths_ns)


@dataclass(frozen=True)
class _Run:
    """One figure of a run, interval by interval.

    Attributes
    ----------
    parts
        (1, n) float64, the figure of each interval; or (2, n), the counts that it is divided from.
    samples
        Median number of samples in an interval.
    length_ns
        Length of an interval.
    """

    parts: NDArray[np.float64]
    samples: float
    length_ns: int

    @property
    def extent(self) -> str:
        """What it consists of, in words."""
        count = self.parts.shape[1]
        return f"{count} intervals of {format_duration_ns(self.length_ns)}" if self.length_ns else f"{count} samples"

    @classmethod
    def of_samples(cls, intervals: Sequence[Snapshot], metric: Metric) -> Self:
        """Take the samples of a whole run, evenly thinned; shuffled, since a histogram knows no order."""
        histogram = Snapshot.sum_of(intervals).histogram(metric.name)
        count = min(histogram.count, _MOST_SAMPLES)
        values = [metric.in_unit(histogram.percentile(100 * (rank + 0.5) / count) or 0) for rank in range(count)]
        return cls(np.random.default_rng(_SEED).permutation(np.array([values], np.float64), axis=1), count, 0)

    @classmethod
    def of(cls, intervals: Sequence[Snapshot], length_ns: int, metric: Metric, stat: str | None) -> Self:
        """Take a figure out of consecutive intervals."""
        if metric.kind == "distribution":
            values = [interval.value(metric, stat) for interval in intervals]
            rows = [[value for value in values if value is not None]]
        elif metric.kind == "ratio":
            # Where nothing was counted there is no ratio: calls that all began in one second say nothing of the others.
            counted = [interval for interval in intervals if interval.count(metric.denominator)]
            rows = [[interval.count(name) for interval in counted] for name in metric.names]
        else:
            rows = [[interval.count(metric.name) for interval in intervals], [1] * len(intervals)]
        return cls(np.array(rows, np.float64), _median_samples(intervals, metric), length_ns)

    def problem(self, metric: Metric, stat: str | None) -> str:
        """Say why this run cannot be compared; an empty string when it can."""
        count = self.parts.shape[1]
        if not count or (len(self.parts) == 2 and not self.parts[1].any()):
            return "no value of it"
        if count < _LEAST_INTERVALS:
            one = f"1 interval of {format_duration_ns(self.length_ns)}" if self.length_ns else "1 sample"
            return f"{one if count == 1 else self.extent} with it, and {_LEAST_INTERVALS} are needed"
        needed = samples_needed(percentile_of(stat), _TAIL_SAMPLES)
        if metric.kind == "distribution" and self.samples < needed:
            return f"about {self.samples:.0f} samples in an interval, and {stat} takes {needed}"
        return ""


def _change(metric: Metric, difference: float, interval: tuple[float, float], allowed: float) -> Change:
    """Apply the table of this module."""
    low, high = interval
    if -allowed <= low and high <= allowed:
        return Change.SAME
    if difference > allowed and low > 0:
        return Change.WORSE if metric.better == "lower" else Change.BETTER
    if difference < -allowed and high < 0:
        return Change.BETTER if metric.better == "lower" else Change.WORSE
    return Change.UNCLEAR


def _cut_alike(
    runs: tuple[TimeSeries, TimeSeries], metric: Metric, stat: str | None
) -> tuple[int, list[list[Snapshot]]]:
    """Cut both runs into intervals of one length: the shortest that carries the figure and leaves enough intervals."""
    length_ns = max(run.interval_ns for run in runs)
    needed = samples_needed(percentile_of(stat), _TAIL_SAMPLES)
    while True:
        cuts = [_cut(run, length_ns, metric) for run in runs]
        enough = all(_median_samples(cut, metric) >= needed for cut in cuts)
        if enough or min(len(cut) for cut in cuts) < 2 * _LEAST_INTERVALS:
            return length_ns, cuts
        length_ns *= 2


def _cut(series: TimeSeries, length_ns: int, metric: Metric) -> list[Snapshot]:
    """Merge a series into intervals of ``length_ns``; those that know nothing of the metric are left out."""
    groups: dict[int, list[Snapshot]] = {}
    for interval in series.intervals(metric.names):
        if interval.values:
            groups.setdefault(interval.start_ns // length_ns, []).append(interval.values)
    return [Snapshot.sum_of(groups[number]) for number in sorted(groups)]


def _median_samples(intervals: Sequence[Snapshot], metric: Metric) -> float:
    samples = [interval.samples(metric) or 0 for interval in intervals]
    return float(np.median(samples)) if samples else 0.0


_WORDS = {
    Change.BETTER: "is better",
    Change.SAME: "is the same",
    Change.WORSE: "is worse",
    Change.UNCLEAR: "may have changed, which these runs cannot tell",
}


def _sentence(
    figure: str,
    metric: Metric,
    change: Change,
    values: tuple[float, float],
    interval: tuple[float, float],
    max_regression: float,
    run: _Run,
) -> str:
    """Say what changed, by how much, and how sure that is."""
    old, new = values
    share = f", {new / old - 1:+.1%}".replace("%", " %") if old else ""
    low, high = (f"{'+' if end > 0 else ''}{format_quantity(end, metric.unit)}" for end in interval)
    texts = [format_quantity(value, metric.unit) for value in values]
    return (
        f"{figure} {_WORDS[change]}: {texts[1]} after {texts[0]}{share} ({_CONFIDENCE * 100:g} % interval {low} to "
        f"{high}; {max_regression * 100:g} % allowed; {run.extent})"
    )
