from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.judging.regression import Baseline
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.reporting.record.record_file import write_record
from pytest_ari_sla.reporting.record.run_record import Scenario
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.settings import Settings
from tests.unit.reporting.factory import make_record, make_scenario
from tests.unit.reporting.slower import slower

CATALOGUE = builtin_registry().catalogue
PACING_LIMIT_S = 0.005


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """A passing scenario of five minutes."""
    return replace(make_scenario("pass", calls=10, seconds=300), baseline=None)


def judged(before: Scenario, now: Scenario, measured: Snapshot | None = None) -> Scenario:
    """Return a scenario as it is judged against a baseline of ten per cent."""
    baseline = Baseline(make_record(before), "main.json", 0.1)
    return baseline.judge(now, measured or Snapshot(), CATALOGUE, PACING_LIMIT_S)


def late_generator() -> Snapshot:
    """Return what is measured where our own packets left too late."""
    pacing = Histogram()
    pacing.record(np.full(100, 50_000_000, np.int64))
    return Snapshot({"harness.pacing_error": pacing})


def test_a_run_like_its_baseline_keeps_its_verdict(scenario: Scenario) -> None:
    """The comparison is in the record."""
    found = judged(scenario, scenario)
    assert (found.verdict, found.reason) == ("pass", scenario.reason)
    assert found.baseline is not None
    assert {item.verdict for item in found.baseline.comparisons if item.metric == "rtt.p99"} == {"same"}


def test_worse_than_allowed_fails_with_the_sentence(scenario: Scenario) -> None:
    """A reader of the reason knows what became worse, by how much, and how sure that is."""
    found = judged(scenario, slower(scenario, 1.3))
    assert found.verdict == "fail"
    assert found.reason.startswith("Regression: rtt.p99 is worse:")
    assert "+30" in found.reason
    assert found.reason.endswith("(and 1 more)"), "the median became worse as well"


def test_a_change_below_the_floor_that_was_set_is_the_same(scenario: Scenario) -> None:
    """Half as much again of some milliseconds may be nothing to the team that asks."""
    baseline = Baseline(make_record(scenario), "main.json", 0.1, floor_s=10.0)
    found = baseline.judge(slower(scenario, 1.5), Snapshot(), CATALOGUE, PACING_LIMIT_S)
    assert found.baseline is not None
    assert {item.verdict for item in found.baseline.comparisons if item.metric.startswith("rtt.")} == {"same"}


def test_better_is_no_failure(scenario: Scenario) -> None:
    """It is shown, and that is all."""
    found = judged(slower(scenario, 1.3), scenario)
    assert found.verdict == "pass"
    assert found.baseline is not None
    assert "better" in {item.verdict for item in found.baseline.comparisons}


def test_a_late_generator_makes_a_regression_inconclusive(scenario: Scenario) -> None:
    """The delay may be our own."""
    found = judged(scenario, slower(scenario, 1.3), late_generator())
    assert found.verdict == "inconclusive"
    assert "inconclusive, since the load generator sent late" in found.reason


def test_what_failed_already_stays_a_failure_with_its_own_reason_first(scenario: Scenario) -> None:
    """The regression is told behind it."""
    failed = replace(slower(scenario, 1.3), verdict="fail", reason="loss.ratio was 4 %")
    found = judged(scenario, failed, late_generator())
    assert found.verdict == "fail"
    assert found.reason.startswith("loss.ratio was 4 %; Regression: rtt.p99")


def test_a_new_scenario_is_said_to_have_no_baseline(scenario: Scenario) -> None:
    """Nobody takes it for compared."""
    found = judged(replace(scenario, nodeid="test_old.py::test_old"), scenario)
    assert (found.verdict, found.baseline) == ("pass", None)
    assert found.notes[-1] == "The baseline (main.json) has no scenario of this name: nothing was compared."


def test_the_baseline_is_read_from_a_file_or_a_folder(scenario: Scenario, tmp_path: Path) -> None:
    """Whichever is at hand."""
    path = write_record(make_record(scenario), tmp_path)
    for source in (path, tmp_path):
        baseline = Baseline.from_settings(Settings(baseline=str(source), max_regression=0.2, baseline_floor_s=1e-3))
        assert baseline is not None
        assert (baseline.record.scenarios[0].nodeid, baseline.max_regression) == (scenario.nodeid, 0.2)
        assert baseline.floor_s == 1e-3
    assert Baseline.from_settings(Settings()) is None


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    """Before the first call."""
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(UsageError, match="is not a report of pytest-ari-sla"):
        Baseline.from_settings(Settings(baseline=str(tmp_path)))
