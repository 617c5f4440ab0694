from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.trackers.probes.leg_histogram import LegHistogram

times_ns = st.lists(st.integers(8_192, 8_000_000_000), min_size=1, max_size=50)


@given(times_ns, times_ns, st.sampled_from([0, 50, 90, 99, 100]))
def test_a_percentile_is_at_most_a_quarter_above_the_true_one(
    first: list[int], second: list[int], percent: float
) -> None:
    """Each leg's own value, from its own samples, never below the sample and never above its maximum."""
    histogram = LegHistogram(3)
    legs = np.array([0] * len(first) + [2] * len(second), np.int32)
    histogram.record(legs, np.array(first + second, np.int64))
    (found,) = histogram.percentiles_ns(percent)
    for leg, values in ((0, first), (2, second)):
        true = sorted(values)[max(math.ceil(percent / 100 * len(values)), 1) - 1]
        assert true <= found[leg] <= min(true * 1.25, max(values))
    assert math.isnan(found[1])


def test_the_maximum_is_exact_and_kept_from_batch_to_batch() -> None:
    """It is the figure that names the worst call."""
    histogram = LegHistogram(2)
    histogram.record(np.array([0, 0], np.int32), np.array([123_456_789, 5]))
    histogram.record(np.array([0], np.int32), np.array([7]))
    assert histogram.max_ns().tolist() == pytest.approx([123_456_789, math.nan], nan_ok=True)


@pytest.mark.parametrize("value_ns", [0, 1, -5, 8_191, 60_000_000_000])
def test_times_beyond_the_buckets_are_kept_in_the_outermost(value_ns: int) -> None:
    """A negative delay (a stepped clock) or a whole minute is counted, not lost."""
    histogram = LegHistogram(1)
    histogram.record(np.zeros(1, np.int32), np.array([value_ns]))
    (p50,) = histogram.percentiles_ns(50)
    assert p50[0] <= max(value_ns, 0)
    assert histogram.max_ns()[0] == max(value_ns, 0)


def test_a_released_leg_is_empty() -> None:
    """A later call does not inherit its maximum."""
    histogram = LegHistogram(2)
    histogram.record(np.array([0, 1], np.int32), np.array([10_000, 20_000]))
    histogram.reset(np.array([0], np.int32))
    assert np.isnan(histogram.max_ns()).tolist() == [True, False]
