from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_ari_sla.load.results.outcome import LoadOutcome
from pytest_ari_sla.load.results.result import Distribution, LoadResult
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.session.plugins.registry import builtin_registry


def result_of(**values: Histogram | int) -> Any:
    """Return the result of a load that measured this; ``__`` stands for a dot."""
    total = Snapshot({name.replace("__", "."): value for name, value in values.items()})
    outcome = LoadOutcome("echo", "PCMU", 0, 10**9, total, TimeSeries(), notes=("a note",))
    return LoadResult(outcome, builtin_registry().catalogue)


def histogram_of(*values_ns: int) -> Histogram:
    """Return a histogram of these values."""
    histogram = Histogram()
    for value in values_ns:
        histogram.record_one(value)
    return histogram


def test_stats_of_a_distribution_are_attributes_in_its_unit() -> None:
    """Seconds, not nanoseconds; any percentile."""
    rtt = result_of(rtt=histogram_of(*(number * 1_000_000 for number in range(1, 101)))).rtt
    assert rtt.count == 100
    assert rtt.min == pytest.approx(0.001, rel=0.001)
    assert rtt.mean == pytest.approx(0.0505, rel=0.001)
    assert rtt.max == 0.1
    assert rtt.p50 == pytest.approx(0.05, rel=0.001)
    assert rtt.percentile(99.5) == pytest.approx(0.1, rel=0.001)


def test_a_percentile_with_a_fraction_has_a_name_in_python_and_that_of_the_report() -> None:
    """An attribute holds no point; what would be above 100 is no percentile."""
    rtt = result_of(rtt=histogram_of(*(number * 1_000_000 for number in range(1, 2001)))).rtt
    assert rtt.p999 == rtt.p99_9 == rtt.percentile(99.9) != rtt.p99
    assert rtt.p99_99 == rtt.p9999 == rtt.percentile(99.99)
    assert rtt.p2_5 == rtt.percentile(2.5)
    assert rtt.p100 == rtt.max


def test_counts_and_ratios_are_numbers() -> None:
    """Under the names of the catalogue; a ratio is made of its counts."""
    result = result_of(loss__sent=200, loss__lost=3, calls__requested=4, calls__established=3)
    assert result.loss.lost == 3
    assert result.loss.ratio == 0.015
    assert result.calls.success_ratio == 0.75


def test_what_has_no_samples_is_nan_and_keeps_no_limit() -> None:
    """Neither below nor above: an assertion on it fails, whichever way it looks."""
    result = result_of()
    for value in (result.rtt.p99, result.loss.ratio, result.jitter.max):
        assert math.isnan(value)
        assert not value < 1
        assert not value > 0
    assert result.rtt.count == 0


def test_an_unknown_metric_is_told_with_the_nearest_names() -> None:
    """A typing error must not read as a measurement."""
    result = result_of()
    with pytest.raises(AttributeError, match="unknown metric 'rt'; did you mean rtt"):
        _ = result.rt
    with pytest.raises(AttributeError, match=r"unknown metric 'loss\.rato'; did you mean loss\.ratio"):
        _ = result.loss.rato
    with pytest.raises(AttributeError, match="rtt has no stat 'p99th'"):
        _ = result.rtt.p99th


def test_a_name_can_be_a_metric_and_a_group_of_others() -> None:
    """``rtt`` is a distribution; asking it for a stat that it has not is no group."""
    result = result_of(rtt=histogram_of(1_000_000))
    assert isinstance(result.rtt, Distribution)
    assert repr(result.rtt) == "<rtt: 1 sample, p50 0.001, p99 0.001 s>"


def test_notes_and_everything_behind_are_there() -> None:
    """For tests that look closer."""
    result = result_of()
    assert result.notes == result.outcome.notes == ("a note",)


def test_a_special_method_is_no_metric() -> None:
    """Copying, pickling and debuggers look for some; not finding one is all they need."""
    assert not hasattr(result_of(), "__deepcopy__")
