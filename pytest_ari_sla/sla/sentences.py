"""Sentences: what a threshold's outcome reads like, for a person who was just woken up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.hdr_layout import HIGHEST
from pytest_ari_sla.metrics.units import counted, format_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.sla.figures import Figure
    from pytest_ari_sla.sla.threshold import Threshold

__all__ = ["describe", "is_marginal", "nothing_measured"]

_DIGITS = 3
_MOST_DIGITS = 9


def describe(threshold: Threshold, figure: Figure, tail_samples: float, confidence: float) -> str:
    """Say what was measured, against which limit, by how much, and how sure that is.

    For example ``rtt.p99 was 83 ms, limit < 60 ms (23 ms, 38 % over; 95 % interval 81 ms to 85 ms; 12,400 samples)``.
    """
    digits = _telling_digits(threshold, figure.value)
    value, limit = _quantity(threshold, figure.value, digits), format_quantity(threshold.limit, threshold.unit, digits)
    place = f" from {figure.window_s[0]:g} s to {figure.window_s[1]:g} s" if figure.window_s else ""
    details = "; ".join(_details(threshold, figure, digits, tail_samples, confidence))
    return f"{threshold.figure} was {value}{place}, limit {threshold.operator} {limit} ({details})"


def nothing_measured(threshold: Threshold, why: str) -> str:
    """Say that there is no value to judge."""
    limit = format_quantity(threshold.limit, threshold.unit)
    return f"{threshold.figure} has no value, limit {threshold.operator} {limit}: {why}"


def is_marginal(threshold: Threshold, figure: Figure) -> bool:
    """Tell whether the confidence interval, known at both ends, holds the limit."""
    if threshold.operator == "==" or figure.interval is None:
        return False
    low, high = figure.interval
    return low is not None and high is not None and low <= threshold.limit <= high


def _telling_digits(threshold: Threshold, value: float) -> int:
    """Return how many digits tell a value from the limit: a breach must not read as ``60 ms, limit <= 60 ms``."""
    for digits in range(_DIGITS, _MOST_DIGITS):
        texts = {format_quantity(number, threshold.unit, digits) for number in (value, threshold.limit)}
        if len(texts) == 2 or value == threshold.limit:
            return digits
    return _MOST_DIGITS


def _details(
    threshold: Threshold, figure: Figure, digits: int, tail_samples: float, confidence: float
) -> Iterator[str]:
    if not _is_never(threshold, figure.value):
        yield _distance(threshold, figure.value, digits)
    if figure.interval is not None and figure.interval != (None, None):
        holds = ", which holds the limit" if is_marginal(threshold, figure) else ""
        yield f"{confidence * 100:g} % interval {_range(threshold, figure.interval, digits)}{holds}"
    if figure.samples is not None:
        yield _samples(threshold, figure.samples)
    if figure.never:
        yield f"{figure.never:,} of them never came"
    if not figure.carried:
        yield f"too few for {threshold.stat}, which takes {threshold.samples_needed(tail_samples):,}"


def _quantity(threshold: Threshold, value: float, digits: int) -> str:
    return "never" if _is_never(threshold, value) else format_quantity(value, threshold.unit, digits)


def _is_never(threshold: Threshold, value: float) -> bool:
    """Tell whether a value stands for what never happened: it is the highest that a histogram holds."""
    metric = threshold.metric
    return metric.kind == "distribution" and threshold.stat != "count" and value >= metric.in_unit(HIGHEST)


def _distance(threshold: Threshold, value: float, digits: int) -> str:
    """Say how far a value is from the limit, and on which side."""
    gap = abs(value - threshold.limit)
    if not gap:
        return "at the limit"
    share = f", {format_quantity(gap / abs(threshold.limit), 'ratio', 2)}" if threshold.limit else ""
    side = "to spare" if threshold.holds(value) else "over" if value > threshold.limit else "under"
    return f"{format_quantity(gap, threshold.unit, digits)}{share} {side}"


def _range(threshold: Threshold, interval: tuple[float | None, float | None], digits: int) -> str:
    low, high = (None if end is None else _quantity(threshold, end, digits) for end in interval)
    if low is None:
        return f"up to {high}, open below"
    return f"from {low}, open above" if high is None else f"{low} to {high}"


def _samples(threshold: Threshold, samples: int) -> str:
    if threshold.metric.kind == "ratio":
        return f"of {samples:,}"
    return counted(samples, "sample")
