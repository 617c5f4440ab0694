"""Confidence intervals: what a figure of a sample says about the load that it was taken from.

All of them take samples as independent. Packets of one stream are not, quite: read the intervals as the least
uncertainty there is. What is noise from one second to the next is the business of :mod:`pytest_ari_sla.sla.baseline`.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pytest_ari_sla.metrics.histogram import Histogram

__all__ = ["Ends", "mean_interval", "percentile_interval", "ratio_interval"]

Ends = tuple[float | None, float | None]
"""Lower and upper end; None where the samples set no bound."""

# So many standard deviations around its mean hold a binomial distribution up to less than 1e-15.
_REACH_SIGMAS = 9


def percentile_interval(histogram: Histogram, percent: float, confidence: float = 0.95) -> Ends:
    """Return the interval of a percentile by order statistics, in histogram steps.

    How many of n samples lie below the true percentile is binomial, whatever the distribution of the values is; the
    ends are therefore samples of two ranks (H. A. David, H. N. Nagaraja, Order Statistics, 7.1). Where a rank would
    lie outside the sample, that end is unknown.
    """
    if not histogram.count:
        return None, None
    low_rank, high_rank = _ranks(histogram.count, percent / 100, confidence)
    low = histogram.value_at_rank(low_rank) if low_rank >= 1 else None
    high = histogram.value_at_rank(high_rank) if high_rank <= histogram.count else None
    return low, high


def _ranks(count: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the ranks (from 1) of the interval's ends; 0 and count + 1 stand for ends outside the sample."""
    if not 0 < share < 1:
        return 0, count + 1
    tail = (1 - confidence) / 2
    first, cumulated = _binomial_cumulated(count, share)
    # Largest l with P(B <= l - 1) <= tail, and smallest u with P(B <= u - 1) >= 1 - tail.
    low = first + int(np.searchsorted(cumulated, tail, side="right"))
    high = first + int(np.searchsorted(cumulated, 1 - tail, side="left")) + 1
    return low, high


def _binomial_cumulated(count: int, share: float) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return P(B <= k) for k from a first one on, over all k that matter, as (first, (m,) float64)."""
    # The second term is for shares near 0 and 1, where sigma is small and the distribution skew.
    spread = _REACH_SIGMAS * math.sqrt(count * share * (1 - share)) + _REACH_SIGMAS
    first = max(math.floor(count * share - spread), 0)
    last = min(math.ceil(count * share + spread), count)
    successes = np.arange(first, last, dtype=np.float64)
    # P(k + 1) / P(k), summed up as logarithms and normalised: no factorial can overflow.
    steps = np.log((count - successes) / (successes + 1)) + math.log(share / (1 - share))
    logarithms = np.concatenate(([0.0], np.cumsum(steps)))
    weights = np.exp(logarithms - logarithms.max())
    return first, np.cumsum(weights) / weights.sum()


def ratio_interval(hits: int, trials: int, confidence: float = 0.95) -> Ends:
    """Return Wilson's score interval of a share (E. B. Wilson, 1927); it makes sense for 0 of n as well."""
    if not trials:
        return None, None
    z = _z(confidence)
    share = hits / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    middle, scale = share + z * z / (2 * trials), 1 + z * z / trials
    # At 0 and at 1 the interval ends there, whatever rounding makes of it.
    return (middle - spread) / scale if hits else 0.0, (middle + spread) / scale if hits < trials else 1.0


def mean_interval(histogram: Histogram, confidence: float = 0.95) -> Ends:
    """Return the interval of a mean by the normal approximation, in histogram steps; none below two samples."""
    if histogram.count < 2:
        return None, None
    # deviation() divides by n, an estimate by n - 1: with the root of n below it, this remains.
    error = histogram.deviation() * math.sqrt(1 / (histogram.count - 1))
    return histogram.mean - _z(confidence) * error, histogram.mean + _z(confidence) * error


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
