from __future__ import annotations

from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.judging.judged_tests import JudgedTests
from pytest_ari_sla.judging.load_description import LoadDescription
from pytest_ari_sla.judging.load_watch import LoadWatch
from pytest_ari_sla.judging.standing import Standing, Told
from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.reporting.record.record_file import read_record, write_record
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.session.reports import interim_report
from pytest_ari_sla.session.reports.interim_report import InterimReport
from pytest_ari_sla.session.reports.run_facts import RunFacts
from pytest_ari_sla.settings import Settings
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.sla.verdict import Rules
from pytest_ari_sla.targets.target import Target

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000
CATALOGUE = builtin_registry().catalogue


def running_load(*thresholds: str, number: int = 1) -> LoadWatch:
    """Return a load that has lasted a minute of eight hours, with round trips of 10 ms."""
    description = LoadDescription(
        doc="A soak.",
        topology="echo",
        codec="PCMU",
        started_ns=1_700_000_000 * S,
        stages=[("hold", 0, 8 * 3600 * S)],
        wanted=[(0, 5.0), (8 * 3600 * S, 5.0)],
        thresholds=[SourcedThreshold(parse(threshold, CATALOGUE), "marker") for threshold in thresholds],
    )
    watch = LoadWatch("t.py::test_soak", number, description, CATALOGUE, Rules())
    for second in range(1, 61):
        histogram = Histogram()
        for _ in range(50):
            histogram.record_one(10_000_000)
        watch.add(1, second * S, 5, Snapshot({"rtt": histogram, "calls.established": int(second == 1) * 5}))
    return watch


@pytest.fixture
def report(tmp_path: Path, judged: JudgedTests) -> InterimReport:
    """Return a writer of a session whose reports go into a temporary folder."""
    target = Target(
        kind="private", url="http://127.0.0.1:8088/ari", user="u", password="secret", media_host="127.0.0.1"
    )
    facts = RunFacts(Settings(report_folder=str(tmp_path / "report")), lambda: target, shards=2)
    config = SimpleNamespace(invocation_params=SimpleNamespace(args=["scenarios"]))
    return InterimReport(config, facts, CATALOGUE, Rules(), judged)  # type: ignore[arg-type]


@pytest.fixture
def judged() -> JudgedTests:
    """Return the tests that are over."""
    return JudgedTests()


@pytest.mark.parametrize("limit", ["rtt.p99 < 60ms", "calls.leaked == 0"])
def test_a_load_that_runs_is_on_disk_and_has_not_passed_yet(limit: str, report: InterimReport, tmp_path: Path) -> None:
    """A reader after a crash finds what was measured, and how far it came; what is known at its end is no failure."""
    report.write([running_load(limit)])
    report.close()
    record = read_record(tmp_path / "report" / "report.json")
    (scenario,) = record.scenarios
    assert scenario.verdict == "inconclusive"
    assert scenario.reason.startswith("This load was still running, 60 s after its beginning")
    assert scenario.metrics["rtt"]["count"] == 3000
    assert len(scenario.time_series["t"]) == 60
    assert scenario.calls.established == 5
    assert scenario.blocks is None  # nobody compares with half a run, and they take long to encode
    assert record.run.shards == 2


def test_a_load_that_has_broken_a_limit_has_failed_already(report: InterimReport, tmp_path: Path) -> None:
    """More time does not mend it."""
    report.write([running_load("rtt.p99 < 1ms")])
    report.close()
    (scenario,) = read_record(tmp_path / "report" / "report.json").scenarios
    assert scenario.verdict == "fail"
    assert "rtt.p99 was 10 ms" in scenario.reason


def test_an_earlier_load_of_a_test_that_still_runs_stays_in_the_report(
    report: InterimReport, tmp_path: Path, judged: JudgedTests
) -> None:
    """Its test may go on for hours with other loads; when that is judged, its own loads stand there."""
    report.keep(running_load())
    report.write([running_load(number=2)])
    report.close()
    path = tmp_path / "report" / "report.json"
    assert [scenario.nodeid for scenario in read_record(path).scenarios] == [
        "t.py::test_soak",
        "t.py::test_soak load 2",
    ]
    judged.hear("t.py::test_soak", Told("t.py::test_soak", Standing(), []))
    report.write([running_load(number=2)])
    report.close()
    assert [scenario.nodeid for scenario in read_record(path).scenarios] == ["t.py::test_soak load 2"]


def test_loads_that_nobody_is_left_to_judge_are_judged_by_what_was_told_of_them(report: InterimReport) -> None:
    """By test, and the note says why they are not whole."""
    report.keep(running_load())
    loads = report.judge([running_load(number=2)], "when all workers were gone")["t.py::test_soak"]
    assert [load.scenario.calls.established for load in loads] == [5, 5]
    assert [load.scenario.notes[0] for load in loads] == [
        "This load was over, but its test was not, when all workers were gone.",
        "This load was still running, 60 s after its beginning, when all workers were gone.",
    ]


def test_a_disk_that_is_full_does_not_end_the_load(
    report: InterimReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and tried again in a minute."""
    (tmp_path / "report").write_text("no folder")
    report.write([running_load()])
    report.close()
    assert "the interim report could not be written" in capsys.readouterr().err


def test_the_last_word_before_a_sudden_end_is_not_left_out(
    report: InterimReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even while what is written once a minute takes its time on a slow disk; it comes after that."""
    begun, may_go_on = Event(), Event()

    def write_slowly(*arguments: Any) -> None:
        if not begun.is_set():
            begun.set()
            may_go_on.wait(10)
        write_record(*arguments)

    monkeypatch.setattr(interim_report, "write_record", write_slowly)
    report.write([running_load()])
    assert begun.wait(10)
    report.write([running_load()])  # the minute after: it can wait for another one
    report.write([running_load()], "when pytest-timeout ended this process")
    may_go_on.set()
    report.close()
    (scenario,) = read_record(tmp_path / "report" / "report.json").scenarios
    assert "when pytest-timeout ended this process" in scenario.reason
