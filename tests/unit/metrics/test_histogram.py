import math
from collections.abc import Callable
from typing import Any

import execnet
import hdrh.histogram
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_ari_sla.metrics import histogram as histogram_module
from pytest_ari_sla.metrics.hdr_layout import HIGHEST, bucket_high, bucket_low, bucket_of
from pytest_ari_sla.metrics.histogram import Histogram
from tests.unit.metrics.strategies import histogram_of, histograms, magnitudes, value_lists

percents = st.decimals(0, 100, places=3).map(float)


def clipped(values: list[int]) -> list[int]:
    """Return what a histogram keeps of values, sorted."""
    return sorted(min(max(value, 0), HIGHEST) for value in values)


@given(value_lists)
def test_count_sum_min_and_max_are_exact(values: list[int]) -> None:
    """Buckets cost no exactness where none is due."""
    histogram, kept = histogram_of(values), clipped(values)
    assert histogram.count == len(kept)
    assert histogram.total == sum(kept)
    assert (histogram.min, histogram.max) == (min(kept, default=0), max(kept, default=0))
    assert histogram.clipped == sum(value < 0 for value in values)
    assert histogram.saturated == sum(value > HIGHEST for value in values)
    assert not values or histogram.mean == sum(kept) / len(kept)


@given(value_lists)
def test_one_by_one_is_the_same_as_in_a_batch(values: list[int]) -> None:
    """The batched path has a slow twin, and both agree."""
    single = Histogram()
    for value in values:
        single.record_one(value)
    assert single == histogram_of(values)


@given(value_lists, value_lists)
def test_batches_may_be_split_anywhere(first: list[int], second: list[int]) -> None:
    """Two batches are the same as one, whatever the range of values of each."""
    histogram = histogram_of(first)
    histogram.record(np.array(second, np.int64))
    assert histogram == histogram_of(first + second)


def test_a_dense_batch_is_counted_like_a_sparse_one() -> None:
    """Many values close together take another path than a few far apart, with the same result."""
    values = list(range(5000, 6000)) * 3
    assert sum(histogram_of(values).buckets()[1]) == 3000
    assert histogram_of(values) == Histogram.sum_of(histogram_of([value]) for value in values)


def test_a_batch_whose_sum_could_overflow_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch larger than 64 bits can sum up is taken in parts."""
    monkeypatch.setattr(histogram_module, "_SAFE_BATCH", 3)
    assert histogram_of([HIGHEST] * 10).total == 10 * HIGHEST


def test_the_safe_batch_is_safe() -> None:
    """A full batch of the highest value fits into 64 bits."""
    assert histogram_module._SAFE_BATCH * HIGHEST <= np.iinfo(np.int64).max


def test_an_empty_histogram_has_no_mean() -> None:
    """Without values there is neither a mean nor a deviation, and min and max are 0."""
    histogram = Histogram()
    assert math.isnan(histogram.mean)
    assert math.isnan(histogram.deviation())
    assert (histogram.min, histogram.max) == (0, 0)


@given(value_lists.filter(bool), percents)
def test_a_percentile_is_the_sample_of_its_rank_or_at_most_a_thousandth_above(
    values: list[int], percent: float
) -> None:
    """A percentile is never below the true sample, nor 0.1 % above it, and within min and max."""
    kept = clipped(values)
    sample = kept[max(math.ceil(round(percent * len(kept), 6) / 100), 1) - 1]
    percentile = histogram_of(values).percentile(percent)
    assert sample <= percentile <= sample * (1 + 1 / 1024)
    assert percentile <= kept[-1]


@pytest.mark.parametrize(("percent", "sample"), [(99.9, 999), (99.91, 1000), (50, 500), (0, 1), (100, 1000), (0.1, 1)])
def test_a_percentile_is_taken_as_a_decimal_number(percent: float, sample: int) -> None:
    """p99.9 of 1,000 values is the 999th, although 0.999 has no exact binary form."""
    assert histogram_of(list(range(1, 1001))).percentile(percent) == sample


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan])
def test_percentiles_outside_0_to_100_are_refused(percent: float) -> None:
    """There is no percentile below 0 or above 100."""
    with pytest.raises(ValueError, match="between 0 and 100"):
        histogram_of([1]).percentile(percent)


@pytest.mark.parametrize("percent", [0, 50])
def test_nothing_has_no_percentile(percent: float) -> None:
    """A percentile of nothing is an error, not a zero."""
    with pytest.raises(ValueError, match="no rank 1 among 0"):
        Histogram().percentile(percent)


@given(value_lists, magnitudes)
def test_the_rank_of_a_value_counts_its_whole_bucket(values: list[int], limit: int) -> None:
    """All samples up to the upper bound of the value's bucket are counted, and none above."""
    bound = bucket_high(bucket_of(min(limit, HIGHEST)))
    assert histogram_of(values).quantile_rank(limit) == sum(value <= bound for value in clipped(values))


def test_nothing_is_below_zero() -> None:
    """No recorded value is negative, so the rank of a negative value is 0."""
    assert histogram_of([0, 1]).quantile_rank(-1) == 0


@given(st.lists(magnitudes, min_size=1, max_size=40))
def test_the_deviation_agrees_with_numpy(values: list[int]) -> None:
    """The deviation is right within the width of the buckets."""
    histogram = histogram_of(values)
    assert histogram.deviation() == pytest.approx(float(np.std(values)), rel=0.01, abs=max(values) / 1000)


@given(value_lists, value_lists)
def test_merged_equals_recorded_together(first: list[int], second: list[int]) -> None:
    """Merging is the same as having recorded everything at one place."""
    assert histogram_of(first) + histogram_of(second) == histogram_of(first + second)


@given(histograms, histograms, histograms)
def test_the_order_of_merging_does_not_matter(a: Histogram, b: Histogram, c: Histogram) -> None:
    """Addition is commutative and associative."""
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == Histogram.sum_of([c, a, b])


@given(histograms, histograms)
def test_merging_leaves_its_arguments_alone_and_empty_is_neutral(a: Histogram, b: Histogram) -> None:
    """No operation changes what it is given; nothing added is nothing changed."""
    before_a, before_b = a.copy(), b.copy()
    _ = a + b
    _ = (a + b) - b
    assert (a, b) == (before_a, before_b)
    assert a + Histogram() == Histogram() + a == a - Histogram() == a


@given(value_lists, value_lists)
def test_a_difference_holds_what_was_recorded_since(first: list[int], second: list[int]) -> None:
    """The later state minus the earlier one is the second batch, but for min and max within their buckets."""
    earlier, since = histogram_of(first), histogram_of(second)
    difference = (earlier + since) - earlier
    assert all(map(np.array_equal, difference.buckets(), since.buckets()))
    assert (difference.count, difference.total) == (since.count, since.total)
    assert (difference.clipped, difference.saturated) == (since.clipped, since.saturated)
    if since.count:
        assert bucket_low(bucket_of(since.min)) <= difference.min <= since.min
        assert since.max <= difference.max <= bucket_high(bucket_of(since.max))


@pytest.mark.parametrize(("later", "earlier"), [([], [1]), ([5], [6]), ([5], [10**9])])
def test_only_an_earlier_state_can_be_subtracted(later: list[int], earlier: list[int]) -> None:
    """Counts cannot become negative."""
    with pytest.raises(ValueError, match="earlier state"):
        _ = histogram_of(later) - histogram_of(earlier)


@pytest.mark.parametrize(
    "change",
    [lambda h: h.record_one(1), lambda h: h.record(np.array([1])), lambda h: h.merge(histogram_of([1]))],
)
def test_a_frozen_histogram_refuses_values(change: Callable[[Histogram], None]) -> None:
    """What belongs to a snapshot cannot change; its copy can."""
    frozen = histogram_of([1]).freeze()
    with pytest.raises(ValueError, match="copy"):
        change(frozen)
    assert frozen == histogram_of([1])
    change(frozen.copy())


@given(histograms)
def test_the_plain_form_keeps_everything(histogram: Histogram) -> None:
    """Plain built-ins pass through execnet, and give back an equal histogram."""
    plain: dict[str, Any] = execnet.loads(execnet.dumps(histogram.to_plain()))
    assert Histogram.from_plain(plain) == histogram


@given(histograms)
def test_the_compact_form_keeps_everything(histogram: Histogram) -> None:
    """What is kept in narrow arrays gives back an equal histogram."""
    assert Histogram.from_plain(histogram.to_compact()) == histogram


def test_the_compact_form_is_small() -> None:
    """Three bytes for a bucket that was filled some hundred times at most."""
    compact = histogram_of([*range(2000)] * 200).to_compact()
    assert compact["buckets"].nbytes + compact["counts"].nbytes == 3 * 2000


def test_another_version_of_the_plain_form_is_refused() -> None:
    """A form of the future is not guessed at."""
    with pytest.raises(ValueError, match="version 2"):
        Histogram.from_plain({"version": 2})


@pytest.mark.parametrize(("buckets", "counts"), [([-1], [1]), ([10**6], [1]), ([1], [-1])])
def test_buckets_and_counts_out_of_range_are_refused(buckets: list[int], counts: list[int]) -> None:
    """A damaged form does not become a histogram."""
    with pytest.raises(ValueError, match="out of range"):
        Histogram.from_plain(Histogram().to_plain() | {"buckets": buckets, "counts": counts})


def hdr_histogram(values: list[int]) -> Any:
    """Record values with the HdrHistogram project's own Python library."""
    histogram = hdrh.histogram.HdrHistogram(1, HIGHEST, 3)
    for value in values:
        histogram.record_value(value)
    return histogram


@given(value_lists)
def test_hdrhistogram_reads_what_we_encode(values: list[int]) -> None:
    """The HdrHistogram library finds the same counts and percentiles in our encoded form."""
    histogram, kept = histogram_of(values), clipped(values)
    theirs = hdrh.histogram.HdrHistogram.decode(histogram.encode())
    assert theirs.get_total_count() == len(kept)
    for value in kept:
        assert theirs.get_count_at_value(value) == hdr_histogram(kept).get_count_at_value(value)


@given(value_lists)
def test_we_read_what_hdrhistogram_encodes(values: list[int]) -> None:
    """What the HdrHistogram library encodes decodes to the buckets that we have."""
    kept = clipped(values)
    decoded = Histogram.decode(hdr_histogram(kept).encode().decode())
    ours = histogram_of(kept)
    assert all(map(np.array_equal, decoded.buckets(), ours.buckets()))
    assert decoded.count == ours.count


@given(value_lists.filter(bool), percents)
def test_percentiles_agree_with_hdrhistogram(values: list[int], percent: float) -> None:
    """A percentile is HdrHistogram's value of the same rank, but never beyond the true maximum."""
    kept = clipped(values)
    rank = max(math.ceil(round(percent * len(kept), 6) / 100), 1)
    assume(percent > 0)
    # The library rounds ranks to the nearest; asked for the middle of our rank, it finds the same one.
    theirs = hdr_histogram(kept).get_value_at_percentile((rank - 0.25) / len(kept) * 100)
    assert histogram_of(values).percentile(percent) == min(theirs, kept[-1])


@given(histograms)
def test_an_encoded_histogram_comes_back_within_its_buckets(histogram: Histogram) -> None:
    """The encoded form keeps all counts; min, max and mean come back within 0.1 %."""
    decoded = Histogram.decode(histogram.encode())
    assert all(map(np.array_equal, decoded.buckets(), histogram.buckets()))
    assert decoded.encode() == histogram.encode()
    if histogram.count:
        assert decoded.mean == pytest.approx(histogram.mean, rel=1e-3, abs=1)
        assert decoded.min <= histogram.min <= histogram.max <= decoded.max


def test_a_histogram_says_what_it_holds() -> None:
    """The debugging text names count, range and median; an empty one says so."""
    assert repr(histogram_of([1, 2, 3])) == "<Histogram of 3: 1 … p50 2 … 3>"
    assert repr(Histogram()) == "<Histogram of nothing>"


def test_a_histogram_equals_histograms_only() -> None:
    """Comparing with something else is not an error."""
    assert histogram_of([1]) != 1
    assert histogram_of([2048]) != histogram_of([2049])
