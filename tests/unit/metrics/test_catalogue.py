import dataclasses

import pytest

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.metrics.catalogue import CORE_METRICS, Catalogue, core_catalogue
from pytest_ari_sla.metrics.metric import Metric

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


def test_what_is_prominent_is_shown_by_rank_and_where_it_says() -> None:
    """Everywhere, unless a metric leaves places out."""
    catalogue = Catalogue()
    first = Metric("b", "distribution", "s", "first", prominent=True, rank=1)
    second = Metric("a", "count", "count", "second", prominent=True, rank=2, places=("console",))
    catalogue.register([second, first, Metric("c", "count", "count", "none of them")], "test")
    assert catalogue.prominent() == [first, second]
    assert catalogue.prominent("console") == [first, second]
    assert catalogue.prominent("tile") == [first]
