import pytest

from pytest_ari_sla.reporting.record.record_figures import Change
from pytest_ari_sla.reporting.record.run_record import BaselineComparison, Comparison, Scenario, Threshold
from pytest_ari_sla.reporting.run_comparison import compare_all, compared_with


def compared(*figures: tuple[str, Change], verdict: str = "pass", before: str = "pass", excuse: str = "") -> Scenario:
    """Return a scenario with a limit of rtt.p99, and these figures compared."""
    items = [Comparison(metric=name, unit="s", verdict=found, excuse=excuse) for name, found in figures]
    limit = Threshold(
        expression="rtt.p99 < 60ms",
        value=0.01,
        limit=0.06,
        verdict="pass",
        sentence="",
        metric="rtt",
        stat="p99",
        op="<",
        unit="s",
    )
    baseline = BaselineComparison(run_id="1", target="private 16 at there", verdict_before=before, comparisons=items)
    return Scenario(nodeid="t", verdict="fail" if verdict == "fail" else "pass", thresholds=[limit], baseline=baseline)


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ([("rtt.p99", "same"), ("rtt.p50", "same")], "same"),
        ([("rtt.p99", "same"), ("rtt.p50", "better")], "better"),
        ([("rtt.p99", "better"), ("rtt.p50", "worse")], "worse"),
        ([("rtt.p99", "same"), ("mos.mean", "cannot tell")], "same"),
        ([("rtt.p99", "cannot tell"), ("rtt.p50", "better")], "cannot tell"),
        ([("rtt.p99", "cannot tell"), ("rtt.p50", "worse")], "worse"),
        ([], "cannot tell"),
    ],
)
def test_a_run_is_as_bad_as_its_worst_figure_and_unknown_without_those_of_its_limits(
    figures: list[tuple[str, Change]], verdict: str
) -> None:
    """What no limit asks for may be unknown."""
    found = compare_all([compared(*figures)], "private 22 at here")
    assert found is not None
    assert found.verdict == verdict
    assert (found.before, found.after) == ("private 16 at there", "private 22 at here")


def test_a_scenario_that_passed_before_and_fails_now_is_worse() -> None:
    """Whatever its other figures say."""
    found = compare_all([compared(("rtt.p99", "same"), verdict="fail")], "")
    assert found is not None
    assert found.verdict == "worse"
    assert "t passed before and fails now" in found.sentence


def test_a_scenario_that_failed_before_as_well_is_no_reason_against_the_change() -> None:
    """It is in the verdict of the run, not in that of the change."""
    found = compare_all([compared(("rtt.p99", "same"), verdict="fail", before="fail")], "")
    assert found is not None
    assert found.verdict == "same"


def test_what_the_load_generator_may_have_made_worse_is_not_told_apart() -> None:
    """The blame has to be earned."""
    found = compare_all([compared(("rtt.p99", "worse"), excuse="the load generator sent late")], "")
    assert found is not None
    assert (found.verdict, found.counts["worse"]) == ("cannot tell", 0)


def test_without_a_comparison_there_is_no_verdict() -> None:
    """A run by itself changes nothing."""
    assert compare_all([Scenario(nodeid="t", verdict="pass")], "") is None


def test_a_heading_says_what_a_scenario_was_compared_with() -> None:
    """An earlier run, or another target in turns."""
    assert compared_with(BaselineComparison(run_id="71be02")) == "Against the baseline, run 71be02"
    in_turns = BaselineComparison(run_id="1", target="private 16 at there", in_turns=True)
    assert compared_with(in_turns) == "Against private 16 at there, both loaded in turns"
