from typing import Any

import execnet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UnknownName
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import Stage, TimeSeries
from tests.unit.metrics.strategies import additions, histogram_of, series_of

Additions = list[tuple[int, Snapshot]]
FAILED = Metric("calls.failed", "count", "count", "Calls that failed")


def counts_of(*counts: int, limit: int = 900) -> TimeSeries:
    """Return a series of one interval of 10 ns for each count."""
    series = TimeSeries(base_interval_ns=10, limit=limit)
    for index, count in enumerate(counts):
        series.add(index * 10, Snapshot({"calls.failed": count}))
    return series


@given(additions)
def test_memory_is_bounded_and_nothing_is_lost(parts: Additions) -> None:
    """However much is added, the limit holds and the total is everything."""
    series = series_of(parts)
    assert len(series) <= 4
    assert series.total() == Snapshot.sum_of(snapshot for _, snapshot in parts)


@given(additions, additions)
def test_merged_equals_recorded_together(first: Additions, second: Additions) -> None:
    """Two shards, coarsened each as needed, merge to what one recorder would hold, resolution included."""
    assert series_of(first) + series_of(second) == series_of(first + second)


@given(additions, additions, additions)
def test_merging_is_commutative_and_associative(first: Additions, second: Additions, third: Additions) -> None:
    """In which order shards report does not matter."""
    a, b, c = series_of(first), series_of(second), series_of(third)
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == TimeSeries.sum_of([c, b, a])


@given(additions, additions)
def test_merging_leaves_its_arguments_alone_and_empty_is_neutral(first: Additions, second: Additions) -> None:
    """No operation changes what it is given; nothing added is nothing changed."""
    a, b = series_of(first), series_of(second)
    _ = a + b
    assert (a, b) == (series_of(first), series_of(second))
    assert a + series_of([]) == series_of([]) + a == a


@given(additions)
def test_the_plain_form_keeps_everything(parts: Additions) -> None:
    """Plain built-ins pass through execnet, and give back an equal series."""
    series = series_of(parts)
    series.mark_stage("hold", 3, 9)
    plain: dict[str, Any] = execnet.loads(execnet.dumps(series.to_plain()))
    assert TimeSeries.from_plain(plain) == series


@given(additions, st.integers(0, 70), st.integers(0, 70))
def test_spans_that_follow_each_other_share_nothing_and_leave_nothing_out(
    parts: Additions, first: int, second: int
) -> None:
    """Wherever a run is cut, the parts add up to the whole."""
    series = series_of(parts)
    low, high = sorted((first, second))
    spans = [series.between(-100, low), series.between(low, high), series.between(high, 200)]
    assert Snapshot.sum_of(spans) == series.total()


def test_an_interval_belongs_to_the_span_that_holds_its_middle() -> None:
    """Intervals of 10 ns: the one from 10 to 20 counts for spans that hold 15."""
    series = counts_of(1, 2, 4)
    assert series.between(15, 25).count("calls.failed") == 2
    assert series.between(16, 26).count("calls.failed") == 4
    assert series.between(0, 15).count("calls.failed") == 1


def test_additions_to_one_interval_are_merged() -> None:
    """Times from 10 to 19 ns are the second interval of 10 ns."""
    series = TimeSeries(base_interval_ns=10)
    series.add(10, Snapshot({"calls.failed": 1}))
    series.add(19, Snapshot({"calls.failed": 2}))
    assert [(part.start_ns, part.end_ns) for part in series.intervals()] == [(10, 20)]
    assert series.total().count("calls.failed") == 3


def test_beyond_the_limit_neighbours_merge_and_the_interval_doubles() -> None:
    """Five intervals of 10 ns under a limit of two become two of 40 ns."""
    series = counts_of(1, 2, 4, 8, 16, limit=2)
    assert series.interval_ns == 40
    assert [part.values.count("calls.failed") for part in series.intervals()] == [15, 16]


def test_values_over_time_are_given_with_their_beginnings() -> None:
    """A chart needs times and values; where there is no value it is None."""
    series = counts_of(1, 2)
    series.add(20, Snapshot({"other": 1}))
    assert series.values(FAILED) == [(0, 1), (10, 2), (20, None)]


def test_a_window_slides_interval_by_interval() -> None:
    """Windows of two intervals over four: three of them, each complete."""
    windows = list(counts_of(1, 2, 4, 8).windows(20))
    assert [(w.start_ns, w.end_ns, w.values.count("calls.failed")) for w in windows] == [
        (0, 20, 3),
        (10, 30, 6),
        (20, 40, 12),
    ]


def test_a_window_is_rounded_up_to_whole_intervals() -> None:
    """A window of 11 ns over intervals of 10 ns is one of 20 ns."""
    assert [w.end_ns - w.start_ns for w in counts_of(1, 2, 4).windows(11)] == [20, 20]


def test_windows_slide_over_gaps() -> None:
    """Where nothing was recorded, a window holds less, or nothing."""
    series = counts_of(1)
    series.add(40, Snapshot({"calls.failed": 2}))
    assert [w.values.get("calls.failed") for w in series.windows(20)] == [1, None, None, 2]


def test_a_series_shorter_than_the_window_is_one_window() -> None:
    """A short run is judged as a whole."""
    (window,) = counts_of(1, 2).windows(1000)
    assert (window.start_ns, window.end_ns, window.values.count("calls.failed")) == (0, 20, 3)


def test_nothing_has_no_windows() -> None:
    """An empty series has neither intervals nor windows."""
    assert list(TimeSeries().windows(10)) == []
    assert TimeSeries().total() == Snapshot()


def test_only_the_names_asked_for_are_taken() -> None:
    """Queries on one metric do not unpack the others."""
    series = TimeSeries()
    series.add(0, Snapshot({"rtt": histogram_of([1]), "calls.failed": 1}))
    (window,) = series.windows(1, ["calls.failed"])
    assert list(window.values) == ["calls.failed"]
    assert list(series.between(0, 10**9, ["rtt"])) == ["rtt"]


def test_stages_are_kept_in_order_of_time() -> None:
    """Stages are found by name; an unknown one gets the nearest names."""
    series = TimeSeries()
    series.mark_stage("hold", 10, 20)
    series.mark_stage("ramp", 0, 10)
    assert [stage.name for stage in series.stages] == ["ramp", "hold"]
    assert series.stage("hold") == Stage("hold", 10, 20)
    with pytest.raises(UnknownName, match="did you mean hold"):
        series.stage("hald")


@pytest.mark.parametrize("stage", [("ramp", 20, 30), ("other", 20, 19)])
def test_a_stage_is_marked_once_and_forwards(stage: tuple[str, int, int]) -> None:
    """A second mark of a name, or an end before the beginning, is a mistake of the program."""
    series = TimeSeries()
    series.mark_stage("ramp", 0, 10)
    with pytest.raises(ValueError, match="marked before"):
        series.mark_stage(*stage)


def test_a_stage_of_several_shards_reaches_over_all_of_them() -> None:
    """Shards begin and end a stage at slightly different times."""
    a, b = TimeSeries(), TimeSeries()
    a.mark_stage("hold", 5, 20)
    b.mark_stage("hold", 4, 18)
    assert (a + b).stages == (Stage("hold", 4, 20),)


@pytest.mark.parametrize("other", [TimeSeries(limit=5), TimeSeries(base_interval_ns=7)])
def test_series_of_other_settings_do_not_merge(other: TimeSeries) -> None:
    """Different intervals cannot be aligned; the message shows both."""
    with pytest.raises(ValueError, match=r"900.*5|5.*900|7"):
        _ = TimeSeries() + other


def test_the_sum_of_no_series_is_empty() -> None:
    """A fleet without shards has measured nothing."""
    assert TimeSeries.sum_of([]) == TimeSeries()


@pytest.mark.parametrize(("interval_ns", "limit"), [(0, 1), (1, 0)])
def test_settings_below_one_are_refused(interval_ns: int, limit: int) -> None:
    """An interval has a length, and a series holds at least one."""
    with pytest.raises(ValueError, match="at least 1"):
        TimeSeries(interval_ns, limit)


def test_another_version_of_the_plain_form_is_refused() -> None:
    """A form of the future is not guessed at."""
    with pytest.raises(ValueError, match="version 9"):
        TimeSeries.from_plain({"version": 9})


def test_a_series_equals_series_only() -> None:
    """Comparing with something else is not an error."""
    assert TimeSeries() != 1
