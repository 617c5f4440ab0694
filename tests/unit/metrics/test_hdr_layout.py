import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.metrics.hdr_layout import (
    BUCKETS,
    HIGHEST,
    bucket_high,
    bucket_low,
    bucket_middles,
    bucket_of,
    buckets_of,
)
from tests.unit.metrics.strategies import magnitudes


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0, 0), (1, 1), (1023, 1023), (1024, 1024), (2047, 2047), (2048, 2048), (2049, 2048), (2050, 2049), (4096, 3072)],
)
def test_small_values_have_a_bucket_each_and_larger_ones_share(value: int, bucket: int) -> None:
    """Values below 2,048 have a bucket each; from there on two share one, then four."""
    assert bucket_of(value) == bucket


def test_the_highest_value_has_a_bucket() -> None:
    """The layout is large enough for the highest value."""
    assert bucket_of(HIGHEST) < BUCKETS


@given(magnitudes)
def test_a_bucket_holds_the_values_it_is_found_for(value: int) -> None:
    """Every value lies within the bounds of its bucket, and buckets do not overlap."""
    bucket = bucket_of(value)
    assert bucket_low(bucket) <= value <= bucket_high(bucket)
    assert bucket_of(bucket_low(bucket)) == bucket_of(bucket_high(bucket)) == bucket
    assert bucket_low(bucket + 1) == bucket_high(bucket) + 1


@given(magnitudes)
def test_no_bucket_is_wider_than_a_thousandth_of_its_values(value: int) -> None:
    """The largest value of a bucket is less than 1/1024 above any value in it."""
    assert bucket_high(bucket_of(value)) - value <= value / 1024


@given(st.lists(magnitudes))
def test_arrays_are_put_into_the_same_buckets_as_single_values(values: list[int]) -> None:
    """The vectorised path agrees with the plain one."""
    buckets = buckets_of(np.array(values, np.int64))
    assert buckets.tolist() == [bucket_of(value) for value in values]


@given(st.lists(st.integers(0, BUCKETS - 1)))
def test_middles_lie_halfway_between_the_bounds(buckets: list[int]) -> None:
    """A bucket's middle is the mean of its bounds."""
    middles = bucket_middles(np.array(buckets, np.int64))
    assert middles.tolist() == [(bucket_low(bucket) + bucket_high(bucket)) / 2 for bucket in buckets]
