import numpy as np
import pytest

from pytest_ari_sla.metrics.catalogue import Catalogue, core_catalogue
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.reporting.comparison import (
    compare_capacities,
    compare_runs,
    compare_scenarios,
    with_baseline,
)
from pytest_ari_sla.reporting.formats.html import render_html
from pytest_ari_sla.reporting.record.run_record import BlockHistograms, Capacity, RunRecord, Scenario
from tests.unit.reporting.factory import make_record


def catalogue() -> Catalogue:
    """Return the core's metrics with an RTT and a loss."""
    metrics = core_catalogue()
    metrics.register(
        [
            Metric("rtt", "distribution", "s", "round trip", prominent=True, rank=1),
            Metric("loss.sent", "count", "count", "sent"),
            Metric("loss.lost", "count", "count", "lost"),
            Metric(
                "loss.ratio",
                "ratio",
                "ratio",
                "lost",
                numerator="loss.lost",
                denominator="loss.sent",
                prominent=True,
            ),
        ],
        "test",
    )
    return metrics


def scenario(rtt_ms: float, seed: int, *, lost: float = 0.0, seconds: int = 60) -> Scenario:
    """Return a scenario of a minute as a record holds it."""
    random = np.random.default_rng(seed)
    blocks = []
    for _ in range(seconds):
        histogram = Histogram()
        histogram.record((random.gamma(20, rtt_ms / 20, 500) * 1e6).astype(np.int64))
        blocks.append(histogram.encode())
    series: dict[str, list[float | None]] = {"t": [float(t) for t in range(seconds)], "loss.sent": [500.0] * seconds}
    if lost:
        series["loss.lost"] = [float(value) for value in random.poisson(lost, seconds)]
    return Scenario(
        nodeid="t", verdict="pass", time_series=series, blocks=BlockHistograms(block_s=1, histograms={"rtt": blocks})
    )


def verdicts(before: Scenario, after: Scenario) -> dict[str, str]:
    """Return the verdict on each figure."""
    return {item.metric: item.verdict for item in compare_scenarios([before], [after], catalogue(), 0.1)}


def run(*scenarios: Scenario) -> RunRecord:
    """Return a run of these scenarios."""
    return make_record(*scenarios)


def test_a_fifth_more_latency_is_worse_and_the_same_again_is_the_same() -> None:
    """Stored reports carry enough to tell."""
    assert verdicts(scenario(10, 1), scenario(12, 2)) == {"rtt.p50": "worse", "rtt.p99": "worse", "loss.ratio": "same"}
    assert set(verdicts(scenario(10, 1), scenario(10, 3)).values()) == {"same"}
    assert verdicts(scenario(12, 1), scenario(10, 2))["rtt.p50"] == "better"


def test_a_change_within_our_own_control_lag_is_the_same() -> None:
    """Of times of ARI: either run may have told them so much too long."""
    metrics = Catalogue()
    metrics.register(
        [Metric("rtt", "distribution", "s", "a time of ARI", lag="harness.setup_lag", prominent=True)], "test"
    )
    before, after = scenario(10, 1), scenario(12, 2)
    assert [item.verdict for item in compare_scenarios([before], [after], metrics, 0.1)] == ["worse", "worse"]
    after.metrics["harness.setup_lag"] = {"p99": 0.02}
    assert [item.verdict for item in compare_scenarios([before], [after], metrics, 0.1)] == ["same", "same"]


def test_loss_that_was_not_there_before_is_worse() -> None:
    """A column of zeros is not even stored; it is still compared."""
    assert verdicts(scenario(10, 1), scenario(10, 2, lost=5))["loss.ratio"] == "worse"


def test_the_interval_of_the_change_is_relative_like_the_change() -> None:
    """Both are read side by side."""
    (item, *_) = compare_scenarios([scenario(10, 1)], [scenario(12, 2)], catalogue(), 0.1)
    assert item.change == pytest.approx(0.2, abs=0.02)
    assert item.low == pytest.approx(0.19, abs=0.02)
    assert item.high == pytest.approx(0.22, abs=0.02)


def test_what_one_run_lacks_is_not_compared() -> None:
    """An empty record has nothing to say."""
    assert compare_scenarios([Scenario(nodeid="t", verdict="fail")], [scenario(10, 1)], catalogue(), 0.1) == []


def test_a_scenario_that_is_new_has_no_baseline() -> None:
    """Only equal names are compared."""
    new = scenario(10, 1)
    new.nodeid = "new"
    assert with_baseline(new, run(scenario(10, 1)), catalogue(), 0.1) is None


def test_the_compared_run_can_be_rendered_and_the_others_stay_as_they_were() -> None:
    """``ari-sla report`` shows the comparison like a run with ``--sla-baseline`` does."""
    before, after = run(scenario(10, 1)), run(scenario(12, 2))
    compared = compare_runs(before, after, catalogue())
    assert after.scenarios[0].baseline is None
    assert compared.scenarios[0].baseline
    assert "rtt.p50 is worse" in render_html(compared)


def test_what_differs_from_turn_to_turn_is_not_taken_for_a_change() -> None:
    """A target that is slow in one of two turns is that by chance; one that is slow in both is slow."""
    before = [scenario(10, seed, seconds=20) for seed in (1, 2)]
    slow = [scenario(12, seed, seconds=20) for seed in (3, 4)]
    by_chance = compare_scenarios(before, [slow[0], scenario(10, 5, seconds=20)], catalogue(), 0.05)
    assert {item.metric: item.verdict for item in by_chance}["rtt.p50"] == "cannot tell"
    each_time = compare_scenarios(before, slow, catalogue(), 0.05)
    assert {item.metric: item.verdict for item in each_time}["rtt.p50"] == "worse"


def test_what_a_whole_run_came_to_does_not_decide_on_its_typical_interval() -> None:
    """One noisy second moves p99 of a whole run, and not what is compared."""
    before, after = scenario(10, 1), scenario(12, 2)
    before.metrics["rtt"], after.metrics["rtt"] = {"p50": 0.02, "p99": 0.05}, {"p50": 0.012, "p99": 0.02}
    assert verdicts(before, after)["rtt.p50"] == "worse"


def test_what_calls_have_once_is_not_told_by_two_turns() -> None:
    """Calls that begin together wait for each other: their first packets are one draw a turn, however many."""
    metrics = Catalogue()
    metrics.register([Metric("first_packet", "distribution", "s", "first packet", prominent=True)], "test")

    def started(ms: float, seed: int) -> Scenario:
        begun = scenario(ms, seed, seconds=2)
        assert begun.blocks is not None
        begun.blocks.histograms["first_packet"] = begun.blocks.histograms.pop("rtt")
        begun.metrics["first_packet"] = {"p50": ms / 1000}
        return begun

    def verdict(before: list[Scenario], after: list[Scenario]) -> str:
        found = {item.metric: item.verdict for item in compare_scenarios(before, after, metrics, 0.1)}
        return found["first_packet.p50"]

    assert verdict([started(10, 1)], [started(40, 2)]) == "worse"
    assert verdict([started(10, 1), started(10, 2)], [started(40, 3), started(40, 4)]) == "cannot tell"
    assert verdict([started(10, 1), started(10, 2)], [started(10, 3), started(10, 4)]) == "same"


def test_turns_whose_blocks_differ_in_length_are_put_in_a_row() -> None:
    """A load of many minutes is kept in coarser blocks than a short one."""
    coarse = scenario(10, 1)
    assert coarse.blocks is not None
    coarse.blocks.block_s = 2
    compared = compare_scenarios([coarse, scenario(10, 2)], [scenario(10, 3)], catalogue(), 0.1)
    assert {item.metric: item.verdict for item in compared}["rtt.p50"] == "same"


CARRIED = 100


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((CARRIED, CARRIED + 5), (CARRIED, CARRIED + 5), "same"),
        ((CARRIED, CARRIED + 5), (CARRIED - 5, CARRIED), "same"),
        ((CARRIED, CARRIED + 5), (CARRIED - 20, CARRIED - 15), "worse"),
        ((CARRIED, CARRIED + 5), (CARRIED + 20, CARRIED + 25), "better"),
        ((CARRIED, CARRIED + 5), (CARRIED + 20, None), "better"),
        ((CARRIED, CARRIED + 5), (CARRIED, None), "cannot tell"),
        ((CARRIED, None), (CARRIED - 20, CARRIED - 15), "worse"),
        ((CARRIED, None), (CARRIED, None), "cannot tell"),
        ((0, 1), (CARRIED, CARRIED + 5), "better"),
    ],
)
def test_a_capacity_is_worse_where_it_is_lower_beyond_doubt(
    before: tuple[int, int | None], after: tuple[int, int | None], verdict: str
) -> None:
    """What only one search has bounded is known to be so much at least."""
    old, new = (
        Capacity(calls=interval[0], interval=interval, limited_by="generator" if interval[1] is None else "target")
        for interval in (before, after)
    )
    assert compare_capacities(old, new, 0.1).verdict == verdict


def test_two_targets_that_carry_all_that_was_asked_for_are_the_same() -> None:
    """As far as anybody has asked."""
    all_of_them = Capacity(calls=CARRIED, interval=(CARRIED, None), limited_by="asked_for")
    assert compare_capacities(all_of_them, all_of_them, 0.1).verdict == "same"


def test_searches_are_compared_by_their_answers_alone() -> None:
    """Their loads had different numbers of calls."""
    slow, quick = scenario(12, 1), scenario(10, 2)
    slow.capacity = quick.capacity = Capacity(calls=CARRIED, interval=(CARRIED, CARRIED + 5), limited_by="target")
    assert verdicts(quick, slow) == {"capacity": "same"}
