import json
from pathlib import Path

from pytest_ari_sla.reporting.annotations import (
    append_job_summary,
    github_annotations,
    gitlab_code_quality,
    job_summary_path,
    wants_github_annotations,
)
from pytest_ari_sla.reporting.run_record import Scenario
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


def test_the_environment_tells_which_ci_is_there() -> None:
    """Off CI nothing is printed."""
    assert wants_github_annotations({"GITHUB_ACTIONS": "true"})
    assert not wants_github_annotations({})
    assert job_summary_path({"GITHUB_STEP_SUMMARY": "/tmp/s"}) == "/tmp/s"
    assert job_summary_path({"GITHUB_STEP_SUMMARY": ""}) is None


def test_the_job_summary_is_appended(tmp_path: Path) -> None:
    """Other steps have written there before."""
    path = tmp_path / "summary"
    path.write_text("before\n")
    append_job_summary(path, "after\n")
    assert path.read_text() == "before\nafter\n"
