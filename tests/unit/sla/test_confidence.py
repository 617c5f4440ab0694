import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.sla.confidence import mean_interval, percentile_interval, ratio_interval
from tests.unit.sla.shared import histogram


def binomial_below(count: int, share: float) -> list[float]:
    """Return P(B < k) for k from 0 to count, B ~ Bin(count, share), from binomial coefficients."""
    terms = (math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(count))
    return [0.0, *accumulate(terms)]


@given(st.integers(1, 300), st.sampled_from([1, 10, 50, 90, 99, 99.9]))
def test_the_ends_of_a_percentile_are_the_ranks_that_the_binomial_distribution_gives(
    count: int, percent: float
) -> None:
    """The lower end is the largest rank, the upper one the smallest, that leave at most 2.5 % outside each."""
    low, high = percentile_interval(histogram(range(1, count + 1)), percent)
    below = binomial_below(count, percent / 100)
    low_rank = max((rank for rank in range(1, count + 1) if below[rank] <= 0.025), default=None)
    high_rank = min((rank for rank in range(1, count + 1) if below[rank] >= 0.975), default=None)
    assert (low, high) == (low_rank, high_rank)


@pytest.mark.parametrize(("count", "bounded"), [(367, False), (368, True)])
def test_p99_is_bounded_from_368_samples_on(count: int, bounded: bool) -> None:
    """0.99 to the power of 368 is the first one below 2.5 %."""
    low, high = percentile_interval(histogram(range(1, count + 1)), 99)
    assert low is not None
    assert (high is not None) is bounded


def test_percentiles_of_millions_are_no_problem() -> None:
    """Large samples have narrow intervals around the percentile, and nothing overflows."""
    values = histogram([*range(1, 2001)] * 2000)
    low, high = percentile_interval(values, 90)
    assert low is not None
    assert high is not None
    assert low <= values.percentile(90) <= high <= low + 2


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """In 95 % of 1,000 samples of 200, the interval of p90 holds the true p90."""
    randomness = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        low, high = percentile_interval(histogram(randomness.integers(1, 1001, 200)), 90)
        covered += low is not None and high is not None and low <= 900 <= high
    assert 930 <= covered <= 985


@pytest.mark.parametrize("percent", [0, 100])
def test_extremes_have_no_interval(percent: float) -> None:
    """What the smallest and largest possible values are, no sample bounds."""
    assert percentile_interval(histogram([1, 2, 3]), percent) == (None, None)


def test_nothing_has_no_interval() -> None:
    """Without samples there is no interval of any kind."""
    assert percentile_interval(histogram([]), 50) == (None, None)
    assert ratio_interval(0, 0) == (None, None)
    assert mean_interval(histogram([]), 0.95) == (None, None)
    assert mean_interval(histogram([5]), 0.95) == (None, None)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_of_a_share_is_wilsons(hits: int, trials: int, low: float, high: float) -> None:
    """Known values; 81 of 263 is an example of R. G. Newcombe's (1998)."""
    assert ratio_interval(hits, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000))
def test_the_interval_of_a_share_ends_at_nothing_and_at_all(trials: int) -> None:
    """All of eight reach the limit ">= 100 %": rounding must not let the interval end just below it."""
    assert ratio_interval(0, trials)[0] == 0.0
    assert ratio_interval(trials, trials)[1] == 1.0


def test_the_interval_of_a_mean_is_normal() -> None:
    """Mean 50.5, deviation of a sample 29.01, n 100: 1.96 standard errors are 5.69."""
    low, high = mean_interval(histogram(range(1, 101)))
    assert (low, high) == pytest.approx((50.5 - 5.686, 50.5 + 5.686), abs=0.001)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_more_confidence_needs_a_wider_interval(confidence: float) -> None:
    """Being surer costs width."""
    values = histogram(range(1, 1001))
    for narrow, wide in [
        (percentile_interval(values, 50, confidence), percentile_interval(values, 50, 0.999)),
        (ratio_interval(5, 10, confidence), ratio_interval(5, 10, 0.999)),
        (mean_interval(values, confidence), mean_interval(values, 0.999)),
    ]:
        assert None not in (*narrow, *wide)
        assert wide[0] < narrow[0] < narrow[1] < wide[1]  # type: ignore[operator]
