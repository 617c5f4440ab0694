import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.metrics.catalogue import CORE_METRICS, Catalogue, Metric, core_catalogue, is_stat, percentile_of

RTT = Metric("rtt", "distribution", "s", "Round trip")
SENT = Metric("loss.sent", "count", "count", "Packets sent")
LOST = Metric("loss.lost", "count", "count", "Packets lost")
RATIO = Metric("loss.ratio", "ratio", "ratio", "Loss", numerator="loss.lost", denominator="loss.sent")


def test_the_core_declares_what_the_design_lists() -> None:
    """The metrics that users rely on are there, whatever trackers there are."""
    names = {metric.name for metric in core_catalogue()}
    assert {
        "calls.requested",
        "calls.established",
        "calls.failed",
        "calls.dropped",
        "calls.success_ratio",
        "calls.leaked",
        "setup",
        "first_packet",
        "ari.request",
        "ari.errors",
        "ari.event_lag",
        "harness.pacing_error",
        "harness.receive_drops",
        "harness.clock_floor",
        "harness.cpu",
        "harness.memory",
    } <= names


def test_every_metric_is_described_in_one_line() -> None:
    """A table of metrics has no empty and no overlong cells."""
    for metric in CORE_METRICS:
        assert metric.description
        assert "\n" not in metric.description


def test_metrics_are_listed_by_name() -> None:
    """Iterating is in order of names, and tells how many there are."""
    catalogue = core_catalogue()
    names = [metric.name for metric in catalogue]
    assert names == sorted(names)
    assert len(catalogue) == len(names) == len(CORE_METRICS)
    assert "setup" in catalogue
    assert "setups" not in catalogue


def test_a_metric_is_found_with_its_owner() -> None:
    """Who declared a metric is remembered."""
    catalogue = core_catalogue()
    catalogue.register([RTT], "tracker of round trips")
    assert catalogue.lookup("rtt") is RTT
    assert catalogue.owner("rtt") == "tracker of round trips"
    assert catalogue.owner("setup") == "pytest-ari-sla"


def test_an_unknown_metric_gets_the_nearest_names() -> None:
    """A typing mistake is answered with what was probably meant."""
    with pytest.raises(UnknownName) as caught:
        core_catalogue().lookup("calls.faild")
    assert caught.value.suggestions[0] == "calls.failed"
    with pytest.raises(UnknownName):
        core_catalogue().owner("nonsense")


def test_a_clash_names_both_owners_and_adds_nothing() -> None:
    """Two trackers cannot measure under one name."""
    catalogue = Catalogue()
    catalogue.register([RTT], "this one")
    with pytest.raises(UsageError, match="by this one and by that one"):
        catalogue.register([SENT, RTT], "that one")
    with pytest.raises(UsageError, match="by twin and by twin"):
        catalogue.register([LOST, LOST], "twin")
    assert len(catalogue) == 1


def test_a_ratio_may_stand_before_its_parts_but_not_without_them() -> None:
    """The order within one registration is free; parts that are missing or no counts are refused."""
    catalogue = Catalogue()
    catalogue.register([RATIO, SENT, LOST], "loss")
    assert catalogue.lookup("loss.ratio").names == ("loss.lost", "loss.sent")
    with pytest.raises(UsageError, match=r"'loss\.lost', which is not a count"):
        Catalogue().register([RATIO], "loss")
    with pytest.raises(UsageError, match="'rtt', which is not a count"):
        Catalogue().register([RTT, SENT, dataclasses.replace(RATIO, numerator="rtt")], "loss")


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


def test_what_is_prominent_is_shown_by_rank_and_where_it_says() -> None:
    """Everywhere, unless a metric leaves places out."""
    catalogue = Catalogue()
    first = Metric("b", "distribution", "s", "first", prominent=True, rank=1)
    second = Metric("a", "count", "count", "second", prominent=True, rank=2, places=("console",))
    catalogue.register([second, first, Metric("c", "count", "count", "none of them")], "test")
    assert catalogue.prominent() == [first, second]
    assert catalogue.prominent("console") == [first, second]
    assert catalogue.prominent("tile") == [first]


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
