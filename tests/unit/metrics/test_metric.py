import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.catalogue import CORE_METRICS
from pytest_ari_sla.metrics.metric import Metric, is_stat, percentile_of

RTT = Metric("rtt", "distribution", "s", "Round trip")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "RTT"}, "lower-case"),
        ({"name": "rtt."}, "lower-case"),
        ({"name": ""}, "lower-case"),
        ({"name": "rtt.max"}, "like a stat"),
        ({"name": "rtt.p99"}, "like a stat"),
        ({"kind": "ratio"}, "two counts"),
        ({"numerator": "a", "denominator": "b"}, "two counts"),
        ({"resolution": 0.3}, "whole number"),
        ({"resolution": 10.0}, "whole number"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(changes: dict[str, Any], problem: str) -> None:
    """A mistake in a tracker is found when it is declared, not when it is reported."""
    with pytest.raises(UsageError, match=problem):
        dataclasses.replace(RTT, **changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("p99", True), ("p99.9", True), ("max", True), ("p", False), ("p9x", False), ("ratio", False), ("pdv", False)],
)
def test_stats_are_told_from_names(text: str, expected: bool) -> None:
    """A percentile is p and a number."""
    assert is_stat(text) is expected


@pytest.mark.parametrize(
    ("stat", "percentile"), [("p99", 99.0), ("p99.9", 99.9), ("p0", 0.0), ("max", None), ("p9x", None), (None, None)]
)
def test_a_percentile_is_read_from_its_stat(stat: str | None, percentile: float | None) -> None:
    """Other stats, and none at all, have no percentile."""
    assert percentile_of(stat) == percentile


@given(st.integers(0, 10**6), st.sampled_from([("ms", 10**6), ("us", 1000), ("s", 10**9)]))
def test_a_value_at_the_limit_equals_the_limit(number: int, unit: tuple[str, int]) -> None:
    """Nanoseconds convert to the float that the same time in other words is read as."""
    factor = {"ms": "e-3", "us": "e-6", "s": ""}[unit[0]]
    assert RTT.in_unit(number * unit[1]) == float(f"{number}{factor}")


@pytest.mark.parametrize(
    ("metric", "stats"),
    [
        (Metric("a", "distribution", "s", "-", prominent=True), ("p50", "p99")),
        (Metric("a", "distribution", "s", "-", "higher", prominent=True), ("mean",)),
        (Metric("a", "distribution", "s", "-", prominent=True, compared=("max",)), ("max",)),
        (Metric("a", "count", "count", "-", prominent=True), (None,)),
        (Metric("a", "count", "count", "-", prominent=True, compared=()), ()),
        (Metric("a", "count", "count", "-"), ()),
    ],
)
def test_runs_are_compared_by_what_suits_the_kind(metric: Metric, stats: tuple[str | None, ...]) -> None:
    """Unless the metric says by what."""
    assert metric.compared_stats == stats


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"places": ("fridge",)}, "'fridge' is not a place"),
        ({"compared": ("",)}, "a distribution cannot be compared by ''"),
    ],
)
def test_a_place_or_stat_that_is_not_there_is_refused(changes: dict[str, Any], message: str) -> None:
    """With the names of those that are."""
    with pytest.raises(UsageError, match=message):
        Metric("a", "distribution", "s", "-", **changes)


def test_metrics_go_to_the_controller_of_a_fleet_and_stay_the_same() -> None:
    """With the thresholds on them; whatever a plug-in has declared."""
    plugins = Metric("a", "distribution", "s", "-", prominent=True, places=("tile",), compared=("max",))
    for metric in (*CORE_METRICS, plugins):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(metric), type=Metric) == metric
