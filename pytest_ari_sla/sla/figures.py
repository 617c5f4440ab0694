"""Figures: the values that a threshold judges, with their samples, intervals and places in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.sla.confidence import Ends, mean_interval, percentile_interval, ratio_interval
from pytest_ari_sla.sla.guards import reach_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_ari_sla.metrics.time_series import Interval, Stage, TimeSeries
    from pytest_ari_sla.sla.threshold import Threshold

__all__ = ["Figure", "Scope", "figures_of", "first_break_s"]

_NS_PER_S = 1e9


@dataclass(frozen=True)
class Scope:
    """The span of time that a threshold speaks of: the whole load, or a stage.

    Attributes
    ----------
    total
        All that was measured in it.
    series
        The whole load over time.
    stage
        The stage; None for the whole load.
    """

    total: Snapshot
    series: TimeSeries
    stage: Stage | None = None

    @classmethod
    def of_stage(cls, series: TimeSeries, stage: Stage) -> Self:
        """Return the scope of a stage."""
        return cls(series.between(stage.start_ns, stage.end_ns), series, stage)

    def holds(self, interval: Interval) -> bool:
        """Tell whether an interval or window lies within."""
        stage = self.stage
        return stage is None or (stage.start_ns <= interval.start_ns and interval.end_ns <= stage.end_ns)


@dataclass(frozen=True)
class Figure:
    """A value with all that is known about it.

    Attributes
    ----------
    value
        In the threshold's unit.
    samples
        How many samples stand behind it; None for a count.
    interval
        Its confidence interval in the same unit; None where a value has none.
    carried
        False for a percentile that the samples cannot carry.
    window_s
        Its window (start, end), in seconds since the load's beginning.
    never
        How many of the samples stand for what never happened.
    measured
        What it was taken from, as far as it tells of this figure and of how far our own faults reach in it.
    """

    value: float
    samples: int | None
    interval: Ends | None
    carried: bool
    window_s: tuple[float, float] | None = None
    never: int = 0
    measured: Snapshot = field(default_factory=Snapshot, compare=False, repr=False)


def figures_of(threshold: Threshold, scope: Scope, tail_samples: float, confidence: float) -> list[Figure]:
    """Return the figures to judge: one, or one for each sliding window; those without samples are left out."""
    figures = (
        _figure(threshold, measured, window_s, tail_samples, confidence)
        for measured, window_s in _spans(threshold, scope)
    )
    return [figure for figure in figures if figure is not None]


def _spans(threshold: Threshold, scope: Scope) -> Iterator[tuple[Snapshot, tuple[float, float] | None]]:
    """Yield what is judged by itself: the scope as a whole, or each of its windows."""
    windows: Sequence[Interval] = ()
    if threshold.window_ns is not None:
        # No more than these, since every window merges them anew.
        names = (*threshold.metric.names, *reach_names(threshold.metric))
        windows = [*filter(scope.holds, scope.series.windows(threshold.window_ns, names))]
    if not windows:
        # A stage that is shorter than the window is one window.
        yield scope.total, None
    for window in windows:
        yield window.values, (window.start_ns / _NS_PER_S, window.end_ns / _NS_PER_S)


def _figure(
    threshold: Threshold,
    measured: Snapshot,
    window_s: tuple[float, float] | None,
    tail_samples: float,
    confidence: float,
) -> Figure | None:
    value = measured.value(threshold.metric, threshold.stat)
    if value is None:
        return None
    samples = measured.samples(threshold.metric)
    interval = _interval(threshold, measured, confidence)
    carried = threshold.samples_needed(tail_samples) <= (samples or 0)
    never = measured.histogram(threshold.metric.name).saturated if threshold.metric.kind == "distribution" else 0
    return Figure(value, samples, interval, carried, window_s, never, measured)


def _interval(threshold: Threshold, measured: Snapshot, confidence: float) -> Ends | None:
    """Return the confidence interval of a value that is known; None for what has none (extremes and counts)."""
    metric = threshold.metric
    if metric.kind == "ratio":
        hits, trials = measured.count(metric.numerator), measured.count(metric.denominator)
        # A ratio that is no share (duplicates may exceed what was sent) has no binomial interval.
        return ratio_interval(hits, trials, confidence) if 0 <= hits <= trials else None
    if threshold.stat == "mean":
        # Such a mean is "never" (Snapshot.value): there is no interval around that.
        if measured.histogram(metric.name).saturated:
            return None
        return _in_unit(threshold, mean_interval(measured.histogram(metric.name), confidence))
    if threshold.percentile in (None, 0, 100):
        return None
    return _in_unit(threshold, percentile_interval(measured.histogram(metric.name), threshold.percentile, confidence))


def _in_unit(threshold: Threshold, steps: Ends) -> Ends:
    low, high = (None if end is None else threshold.metric.in_unit(end) for end in steps)
    return low, high


def first_break_s(threshold: Threshold, scope: Scope, figures: Sequence[Figure]) -> float | None:
    """Return when the limit was broken first, in seconds since the load's beginning; None where this cannot be told.

    That is the beginning of the first window that breaks it, of the first interval that breaks it by itself, or for a
    count of the interval in which it grew too large. (A percentile, mean or ratio of a whole cannot break a limit that
    none of its parts breaks.)
    """
    if threshold.window_ns is not None:
        windows = (figure.window_s for figure in figures if not threshold.holds(figure.value))
        return next((window[0] for window in windows if window), None)
    grown = 0.0
    for interval in filter(scope.holds, scope.series.intervals(threshold.metric.names)):
        value = interval.values.value(threshold.metric, threshold.stat)
        if threshold.adds_up:
            grown += value or 0
            # What grew too large can be dated; what never grew large enough cannot.
            too_large = threshold.wants_low or (not threshold.wants_high and grown > threshold.limit)
            value = grown if too_large else None
        if value is not None and not threshold.holds(value):
            return interval.start_ns / _NS_PER_S
    return None
