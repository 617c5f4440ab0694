from pytest_ari_sla.judging.judged_load import CapturedCall
from pytest_ari_sla.judging.records.worst_calls import worst_calls
from pytest_ari_sla.load.results.outcome import CallOutcome, TimelineEvent
from pytest_ari_sla.metrics.catalogue import Catalogue
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.reporting.record.run_record import CallEvent
from pytest_ari_sla.session.plugins.registry import builtin_registry

CATALOGUE = builtin_registry().catalogue


def call(number: int, state: str = "ended", reason: str = "", **values: float) -> CallOutcome:
    """Return a call; ``rtt_max`` stands for ``rtt.max``."""
    named = {name.replace("_", "."): value for name, value in values.items()}
    return CallOutcome(f"r-{number}", state, 0, 1, 2, 3, reason, 1, named)


def test_among_equals_nobody_is_worst() -> None:
    """A healthy load has no worst calls."""
    assert worst_calls([call(n, rtt_max=0.01) for n in range(10)], {}, CATALOGUE) == []


def test_the_call_that_stands_out_most_comes_first() -> None:
    """Calls are ranked by multiples of the usual value."""
    calls = [call(n, rtt_max=0.01) for n in range(10)] + [call(10, rtt_max=0.05), call(11, rtt_max=0.5)]
    found = worst_calls(calls, {}, CATALOGUE)
    assert [item.id for item in found] == ["r-11", "r-10"]
    assert found[0].why == "Its rtt.max was 500 ms, where 10 ms is usual."


def test_lost_calls_come_before_slow_ones() -> None:
    """Not to be established is worse than to be late."""
    calls = [call(n, rtt_max=0.01) for n in range(5)]
    calls += [call(5, rtt_max=0.5), call(6, "dropped", "BYE"), call(7, "failed"), call(8, "cancelled")]
    found = worst_calls(calls, {"r-6": CapturedCall("captures/r-6.pcapng", "", [])}, CATALOGUE)
    assert [item.id for item in found] == ["r-6", "r-7", "r-5"]
    assert found[0].why == "It ended before it was told to: BYE."
    assert found[0].capture == "captures/r-6.pcapng"
    assert found[1].why == "It was not established: no reason is known."


def test_no_more_are_returned_than_asked_for() -> None:
    """A thousand failures are still a short list."""
    assert len(worst_calls([call(n, "failed") for n in range(1_000)], {}, CATALOGUE, count=3)) == 3


def test_a_single_lost_packet_where_none_is_usual_does_not_stand_out() -> None:
    """A multiple of nothing means nothing."""
    calls = [call(n, loss_lost=0) for n in range(9)] + [call(9, loss_lost=1)]
    assert worst_calls(calls, {}, CATALOGUE) == []


def test_the_story_of_a_call_is_told_in_seconds() -> None:
    """Times in a report count from the load's start."""
    event = TimelineEvent(1_500_000_000, "ari", "StasisStart", "x")
    lost = CallOutcome("r", "failed", 0, None, None, None, "y", 1, {}, [event])
    assert worst_calls([lost], {}, CATALOGUE)[0].events == [
        CallEvent(t_s=1.5, source="ari", what="StasisStart", detail="x")
    ]


def test_where_higher_is_better_the_call_far_below_the_usual_stands_out() -> None:
    """A plug-in says which way is the bad one."""
    catalogue = Catalogue()
    score = Metric("score", "distribution", "ratio", "likeness", better="higher", resolution=1e-3, prominent=True)
    catalogue.register([score], "a plug-in")
    calls = [call(n, score=0.9) for n in range(10)] + [call(10, score=0.2), call(11, score=5.0)]
    (found,) = worst_calls(calls, {}, catalogue)
    assert (found.id, found.why) == ("r-10", "Its score was 20 %, where 90 % is usual.")
