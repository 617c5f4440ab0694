import json
from pathlib import Path

from pytest_ari_sla.reporting.ci.annotations import announce, github_annotations, gitlab_code_quality
from pytest_ari_sla.reporting.record.run_record import Scenario
from tests.unit.reporting.factory import make_record, make_scenario

NODE = "scenarios/test_echo.py::test_echo_calls"


def test_a_failure_is_an_error_and_an_unclear_run_is_a_warning() -> None:
    """What passed is not mentioned."""
    record = make_record(make_scenario("fail"), make_scenario("pass"), make_scenario("inconclusive"))
    commands = github_annotations(record, {NODE: 12})
    assert [command.split()[0] for command in commands] == ["::error", "::warning"]
    assert commands[0].startswith(
        "::error file=scenarios/test_echo.py,line=12,title=SLA fail%3A test_echo_calls::rtt.p99 was beyond"
    )


def test_an_annotation_is_one_line_whatever_it_says() -> None:
    """Nothing from the network becomes a command of its own."""
    hostile = Scenario(nodeid="a,b.py::t\n::set-env::x", verdict="fail", reason="50 %\r\n::error::\x1b[2Jboo")
    (command,) = github_annotations(make_record(hostile))
    assert len(command.splitlines()) == 1
    assert "file=a%2Cb.py," in command
    assert command.endswith("::50 %25  ::error::␛[2Jboo")


def test_gitlab_gets_a_code_quality_report() -> None:
    """One issue for each scenario that did not pass, with a fingerprint that stays the same from run to run."""
    issues = json.loads(gitlab_code_quality(make_record(make_scenario("fail"), make_scenario("pass")), {NODE: 7}))
    (issue,) = issues
    assert issue["severity"] == "critical"
    assert issue["location"] == {"path": "scenarios/test_echo.py", "lines": {"begin": 7}}
    assert "Worst call" in issue["description"]
    assert [issue] == json.loads(gitlab_code_quality(make_record(make_scenario("fail", seed=1)), {NODE: 7}))


def test_off_ci_nothing_is_printed_and_nothing_is_written(tmp_path: Path) -> None:
    """A developer's terminal stays as it is."""
    assert announce(make_record(make_scenario("fail")), tmp_path, {}) == []
    assert list(tmp_path.iterdir()) == []


def test_github_gets_annotations_and_a_summary_below_what_is_there(tmp_path: Path) -> None:
    """Other steps of the job have written to the summary before."""
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    (line,) = announce(make_record(make_scenario("fail")), tmp_path, environment, {NODE: 3})
    assert line.startswith("::error file=scenarios/test_echo.py,line=3,")
    assert summary.read_text().startswith("before\n## ❌ SLA: fail\n")


def test_gitlab_gets_its_file_in_the_reports_folder(tmp_path: Path) -> None:
    """The job's ``artifacts:reports:codequality`` points there."""
    assert announce(make_record(make_scenario("fail")), tmp_path, {"GITLAB_CI": "true"}) == []
    assert len(json.loads((tmp_path / "gl-code-quality-report.json").read_text())) == 1
