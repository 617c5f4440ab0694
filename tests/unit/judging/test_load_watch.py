from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.judging.load_description import LoadDescription
from pytest_ari_sla.judging.load_watch import LoadWatch
from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.metrics.catalogue import Catalogue
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.reporting.live.live_view import live_line
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.sla.verdict import Rules

S = 1_000_000_000
MS = 1_000_000
CATALOGUE = builtin_registry().catalogue


def watch(
    *thresholds: tuple[str, str, int | None],
    until: str = "",
    stages: list[tuple[str, int, int]] | None = None,
    catalogue: Catalogue = CATALOGUE,
    is_scripted: bool = False,
) -> LoadWatch:
    """Return a watch over a load of a minute that wants ten calls after a ramp of ten seconds."""
    description = LoadDescription(
        doc="A load.",
        topology="echo",
        codec="PCMU",
        started_ns=1_700_000_000 * S,
        stages=stages or [("ramp", 0, 10 * S), ("hold", 10 * S, 60 * S)],
        wanted=[(0, 0.0), (10 * S, 10.0), (60 * S, 10.0)],
        thresholds=[
            SourcedThreshold(parse(expression, CATALOGUE), source, (), after_ns)
            for expression, source, after_ns in thresholds
        ],
        until=parse(until, CATALOGUE) if until else None,
        is_scripted=is_scripted,
    )
    return LoadWatch("t.py::test_a", 1, description, catalogue, Rules())


def rtts(milliseconds: float, count: int = 100, **counts: int) -> Snapshot:
    """Return what happened in a second: so many round trips of that length, and counts with ``__`` for dots."""
    histogram = Histogram()
    for _ in range(count):
        histogram.record_one(round(milliseconds * MS))
    named = {name.replace("__", "."): value for name, value in counts.items()}
    return Snapshot({"rtt": histogram, **named})


def test_a_load_that_keeps_its_limits_goes_on() -> None:
    """Whatever the time."""
    watched = watch(("rtt.p99 < 60ms", "marker", 0))
    for second in range(1, 60):
        watched.add(1, second * S, 10, rtts(1))
        assert watched.reason_to_end() == ""


def test_a_broken_threshold_ends_the_load_only_from_its_time_on() -> None:
    """Before that, it may recover."""
    watched = watch(("rtt.p99 < 60ms", "marker", 10 * S))
    for second in range(1, 10):
        watched.add(1, second * S, 10, rtts(100))
        assert watched.reason_to_end() == ""
    watched.add(1, 10 * S, 10, rtts(100))
    assert watched.reason_to_end() == ("Ended after 10 s instead of 60 s: rtt.p99 < 60ms was broken (abort_after)")


def test_a_threshold_without_abort_after_ends_nothing() -> None:
    """It is judged at the end."""
    watched = watch(("rtt.p99 < 60ms", "marker", None))
    watched.add(1, 50 * S, 10, rtts(100))
    assert watched.reason_to_end() == ""


def test_a_threshold_without_samples_ends_nothing() -> None:
    """No sample is a failure at the end of a load, and no news in the midst of it."""
    watched = watch(("mos.p1 >= 4", "marker", 0), ("rtt.p99 < 1ms", "marker", 0))
    watched.add(1, S, 10, rtts(100, count=3))  # too few for a p99
    assert watched.reason_to_end() == ""


def test_calls_that_are_being_set_up_are_no_failures() -> None:
    """A ramp would look hopeless otherwise."""
    watched = watch(("calls.success_ratio >= 99%", "marker", 0))
    watched.add(1, S, 3, Snapshot({"calls.requested": 10, "calls.established": 3, "calls.failed": 0}))
    assert watched.reason_to_end() == ""
    watched.add(1, 2 * S, 3, Snapshot({"calls.requested": 0, "calls.established": 0, "calls.failed": 1}))
    assert "calls.success_ratio >= 99% was broken" in watched.reason_to_end()


def test_a_window_is_the_last_one_and_a_stage_only_its_own_time() -> None:
    """``rtt.p99[3s]`` recovers, ``@hold`` does not see the ramp."""
    watched = watch(("rtt.p99[3s] < 60ms", "marker", None), ("rtt.p99@hold < 60ms", "marker", None))
    for second in range(1, 6):
        watched.add(1, second * S, 10, rtts(100))
    assert [state.holds for state in watched.state().thresholds] == [False, None]
    for second in range(6, 13):
        watched.add(1, second * S, 10, rtts(1))
    assert [state.holds for state in watched.state().thresholds] == [True, True]


def test_a_window_says_nothing_before_it_is_full() -> None:
    """Two bad seconds are no bad window of five: neither ``until`` nor ``abort_after`` may end the load by them."""
    watched = watch(("rtt.p99[5s] < 60ms", "marker", 0), until="rtt.p99[5s] > 80ms")
    for second in range(1, 5):
        watched.add(1, second * S, 10, rtts(100))
        assert watched.reason_to_end() == ""
        assert watched.state().thresholds[0].holds is None
    watched.add(1, 5 * S, 10, rtts(100))
    assert watched.reason_to_end() == "Ended after 5 s instead of 60 s: rtt.p99[5s] < 60ms was broken (abort_after)"


def test_a_window_of_a_stage_lies_within_it() -> None:
    """What happened in the ramp breaks no window of the hold."""
    watched = watch(until="rtt.p99[3s]@hold > 80ms")
    for second in range(1, 13):
        watched.add(1, second * S, 10, rtts(100))
        assert watched.reason_to_end() == ""
    watched.add(1, 13 * S, 10, rtts(100))
    assert watched.reason_to_end() == "Ended after 13 s, when rtt.p99[3s]@hold > 80ms came true (until)"


def test_a_load_ends_when_its_condition_comes_true_on_all_shards_together() -> None:
    """Each shard alone has only half of it."""
    watched = watch(until="calls.established >= 10")
    watched.add(1, 5 * S, 5, Snapshot({"calls.established": 5}))
    assert watched.reason_to_end() == ""
    watched.add(2, 5 * S, 5, Snapshot({"calls.established": 5}))
    assert watched.reason_to_end() == "Ended after 5 s, when calls.established >= 10 came true (until)"


def test_the_picture_adds_shards_up_and_keeps_their_health_apart() -> None:
    """Calls and percentiles of the whole fleet; pacing and own drops by shard."""
    watched = watch(("rtt.p99 < 60ms", "marker", None))
    pacing = Histogram()
    pacing.record_one(2 * MS)
    watched.add(
        1,
        5 * S,
        2,
        rtts(1, calls__established=2, harness__receive_drops=7) + Snapshot({"harness.pacing_error": pacing}),
    )
    watched.add(2, 5 * S, 3, rtts(9, calls__established=3))
    state = watched.state()
    assert (state.calls_now, state.established, state.calls_wanted) == (5, 5, 5)
    assert [shard.calls for shard in state.shards] == [2, 3]
    assert [shard.receive_drops for shard in state.shards] == [7, 0]
    assert state.shards[0].pacing_p99_s == pytest.approx(0.002, rel=0.001)
    assert state.shards[1].pacing_p99_s is None
    (figure,) = state.figures
    assert figure.whole_p99 == pytest.approx(0.009, rel=0.001)
    assert [event.text for event in state.events] == ["7 packets were dropped in this generator's own receive buffers"]


def test_the_last_seconds_are_five() -> None:
    """What lies before is only in the figures of the whole run."""
    watched = watch()
    for second in range(1, 12):
        watched.add(1, second * S, 1, rtts(100 if second <= 6 else 1))
    (figure,) = watched.state().figures
    assert figure.recent_p99 == pytest.approx(0.001, rel=0.001)
    assert figure.whole_p99 == pytest.approx(0.1, rel=0.001)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 60), st.lists(st.integers(0, 10**10), max_size=5)), max_size=30
    )
)
def test_what_there_is_so_far_holds_everything_that_was_heard(
    reports: list[tuple[int, int, list[int]]],
) -> None:
    """In its total and in its series alike, over all shards and in any order among them."""
    watched = watch()
    expected = Snapshot()
    clocks: dict[int, int] = {}
    for shard, seconds, values in reports:
        clocks[shard] = clocks.get(shard, 0) + seconds
        histogram = Histogram()
        for value in values:
            histogram.record_one(value)
        recent = Snapshot({"rtt": histogram, "calls.established": len(values)})
        watched.add(shard, clocks[shard] * S, 1, recent)
        expected += recent
    outcome = watched.outcome("unfinished")
    assert outcome.total == expected
    assert outcome.series.total() == expected
    assert outcome.notes == ("unfinished",)


def test_an_outcome_so_far_does_not_change_while_the_load_goes_on() -> None:
    """It is written by another thread."""
    watched = watch()
    watched.add(1, S, 1, rtts(1))
    outcome = watched.outcome("unfinished")
    watched.add(1, 2 * S, 1, rtts(1))
    assert len(outcome.series) == 1
    assert outcome.total.histogram("rtt").count == 100


def test_a_load_that_its_target_cannot_keep_up_with_says_how_long_it_will_take() -> None:
    """By the pace of the last seconds: first until all calls are up, then until all of them are gone."""
    watched = watch(stages=[("hold", 0, 10 * S)])
    watched.add(1, S, 0, rtts(1, calls__requested=1000, calls__established=20))
    for second in range(2, 11):
        watched.add(1, second * S, 20 * second, rtts(1, calls__established=20))
    assert watched.state().behind == "800 calls wait to be set up: 40 s at 20 a second"
    for second in range(11, 16):
        watched.add(1, second * S, 200, rtts(1, calls__ended=10, calls__failed=30))
    assert watched.state().behind == "850 calls are still to end: 21 s at 40 a second"
    watched.add(1, 16 * S, 0, rtts(1, calls__failed=650))
    assert watched.state().behind == ""


def test_calls_that_were_to_last_until_the_end_are_not_late_when_it_comes() -> None:
    """Ten seconds in which nobody was told to end say nothing; three in which all were told do."""
    watched = watch(stages=[("hold", 0, 10 * S)])
    watched.add(1, S, 10, rtts(1, calls__requested=10, calls__established=10))
    watched.add(1, 11 * S, 10, rtts(1))
    assert watched.state().behind == ""
    watched.add(1, 13 * S, 10, rtts(1))
    assert watched.state().behind == "10 calls are still to end: none in the last 3 s"


def test_a_load_is_not_behind_while_conversations_go_on_for_longer_than_it_lasts() -> None:
    """How long they take only their scripts know; calls that wait to be set up are told of all the same."""
    watched = watch(is_scripted=True)
    watched.add(1, 5 * S, 0, Snapshot({"calls.requested": 20}))
    assert "wait to be set up" in watched.state().behind
    watched.add(1, 70 * S, 20, Snapshot({"calls.established": 20}))
    assert watched.state().behind == ""


def test_a_load_whose_calls_come_up_in_time_is_not_behind() -> None:
    """A ramp always has a few calls that wait, and so does a load that has just begun."""
    watched = watch()
    for second in range(1, 10):
        watched.add(1, second * S, second, rtts(1, calls__requested=3 if second == 1 else 1, calls__established=1))
        assert watched.state().behind == ""


def test_a_target_that_sets_up_nothing_is_said_to_do_so() -> None:
    """There is no pace to go by."""
    watched = watch()
    for second in range(1, 5):
        watched.add(1, second * S, 0, rtts(1, calls__requested=5))
    assert watched.state().behind == "20 calls wait to be set up: none in the last 4 s"


def test_what_a_plugin_declares_prominent_is_on_the_console() -> None:
    """A distribution by its tail, a count by itself; what is prominent elsewhere only is not there."""
    catalogue = Catalogue()
    catalogue.register(CATALOGUE, "built in")
    gap = Metric("gap", "distribution", "s", "-", prominent=True)
    odd = Metric("odd", "count", "count", "-", prominent=True, rank=1)
    tile = Metric("tile", "count", "count", "-", prominent=True, places=("tile",))
    catalogue.register([gap, odd, tile], "a plug-in")
    gaps = Histogram()
    gaps.record_one(25 * MS)
    watched = watch(catalogue=catalogue)
    watched.add(1, 1 * S, 1, Snapshot({"gap": gaps, "odd": 7, "tile": 3}))
    line = live_line(watched.state())
    assert "odd 7; gap p99 25 ms" in line
    assert "tile" not in line
