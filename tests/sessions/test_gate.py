"""What a CI job sees of a session: exit codes, reports, and what stops it before the first call.

======================================================  =========  =======================================
what happened                                           exit code  reports
======================================================  =========  =======================================
every load kept its SLA                                 0          written
a load broke it, became worse than the baseline, or     1          written; the verdict is ``fail``
could not be made to its end
a load could not be judged                              1          written; ``inconclusive``
the same with ``--sla-inconclusive pass``               0          written; ``inconclusive``
a threshold, option or file cannot be read, or the      4          none: not one call was made
target cannot be reached
loads could not make even their first call, and         4          written; ``fail``
nothing else failed
======================================================  =========  =======================================

``-x`` and ``--maxfail`` make no further loads, ``-k`` and ``--lf`` choose among them: a report holds what this session
ran, and is never merged with an earlier one (``ari-sla report merge`` does that). In a fleet (``-n``) a load is judged
once, and the controller writes the files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.reporting.record.record_file import read_record, write_record
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session
from tests.sessions.ways import FLEET, SOAK_ALONE
from tests.unit.reporting.slower import slower

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 'pytest.mark.sla("calls.success_ratio >= 100%")'
BROKEN = 'pytest.mark.sla("rtt.max < 1ns")'
# Ten samples of a set-up time cannot carry this percentile, and their smallest keeps the limit.
UNDECIDED = 'pytest.mark.sla("setup.p99 < 10s")'

LOAD = '''
    import pytest

    @{mark}
    async def test_{name}(load):
        """A small load."""
        await load(calls=3, duration="500ms")
'''


def write_loads(session: Session, **marks: str) -> None:
    """Write one scenario, in a file of its own, for each name and marker."""
    for name, mark in marks.items():
        session.write(f"test_{name}.py", LOAD.format(name=name, mark=mark))


def verdicts(session: Session, *arguments: str) -> tuple[int, dict[str, str]]:
    """Run a session; return its exit code, and the verdict of each scenario in its report."""
    done = session.run(*arguments)
    return done.exit_code, {name: scenario["verdict"] for name, scenario in done.scenarios.items()}


# --- exit codes ---


def test_a_kept_sla_is_a_passed_test_and_a_skipped_load_is_not_in_the_report(session: Session) -> None:
    """Exit code 0; all reports are there, and the terminal says where."""
    write_loads(session, kept=KEPT)
    session.write("test_skipped.py", "import pytest\nasync def test_skipped(load):\n    pytest.skip('not today')")
    done = session.run()
    assert (done.exit_code, done.count("passed"), done.count("skipped")) == (0, 1, 1)
    assert {name: scenario["verdict"] for name, scenario in done.scenarios.items()} == {"test_kept": "pass"}
    assert {path.name for path in (session.folder / "report").iterdir()} >= {
        "report.json",
        "report.html",
        "summary.md",
        "calls.csv",
    }
    assert "Report: report/report.html" in done.output


def test_a_broken_sla_is_a_failed_test_and_ends_a_session_that_stops_at_the_first(session: Session) -> None:
    """Exit code 1; what broke is said where pytest says why, without a traceback; ``-x`` makes no more loads."""
    write_loads(session, a_kept=KEPT, b_broken=BROKEN, c_kept=KEPT)
    done = session.run("-x")
    assert done.exit_code == 1
    assert "SLA fail: rtt.max was" in done.output
    assert "Traceback" not in done.output
    told = {name: scenario["verdict"] for name, scenario in done.scenarios.items()}
    assert told == {"test_a_kept": "pass", "test_b_broken": "fail"}


def test_what_cannot_be_judged_fails_unless_it_is_said_to_pass(session: Session) -> None:
    """Inconclusive is no success by itself; the report says inconclusive in either case."""
    write_loads(session, undecided=UNDECIDED)
    assert verdicts(session) == (1, {"test_undecided": "inconclusive"})
    assert verdicts(session, "--sla-inconclusive", "pass") == (0, {"test_undecided": "inconclusive"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sla", "rtt.p99 < 60parsecs"], r"--sla: unknown unit 'parsecs'"),
        (["--sla", "rt.p99 < 60ms"], "did you mean rtt"),
        (["--sla-baseline", "nowhere.json"], "--sla-baseline: cannot read nowhere.json"),
        (["--sla-capture", "some"], "write worst:5, failed, all or off"),
        (["--ari-url", "http://u:p@127.0.0.1:9/ari"], "at fault: the network"),
    ],
)
def test_a_mistake_is_no_verdict(session: Session, arguments: list[str], message: str) -> None:
    """Exit code 4, pytest's own for a wrong command line: no call was made, and no report written."""
    write_loads(session, kept=KEPT)
    done = session.run(*arguments)
    assert (done.exit_code, done.report) == (4, None)
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_load_that_could_not_be_made_fails_the_run_in_the_report_too(session: Session) -> None:
    """Whoever reads report.json alone must not take the rest for everything."""
    write_loads(session, kept=KEPT)
    session.write(
        "test_mistaken.py", 'async def test_mistaken(load):\n    await load(calls=1, duration="1s", codec="PCMX")'
    )
    done = session.run()
    assert done.exit_code == 4
    assert done.report is not None
    assert done.report["verdict"] == "fail"
    reason = done.scenarios["test_mistaken"]["reason"]
    assert reason.startswith("unknown codec 'PCMX'; did you mean PCMU or PCMA?")
    assert reason.endswith("(at fault: your test)")


@pytest.mark.soak
def test_running_failed_tests_again_makes_only_their_loads(session: Session) -> None:
    """``--lf``: the report is that of this session, not of both."""
    write_loads(session, kept=KEPT, broken=BROKEN)
    assert verdicts(session)[0] == 1
    assert verdicts(session, "--lf") == (1, {"test_broken": "fail"})


@pytest.mark.soak
def test_a_fleet_ends_with_the_same_exit_code(session: Session) -> None:
    """``-n 2``: one verdict a load, whoever made it; the files are written once, by the controller."""
    write_loads(session, kept=KEPT, broken=BROKEN)
    assert verdicts(session, "-n", "2") == (1, {"test_kept": "pass", "test_broken": "fail"})
    report = read_record(session.folder / "report")
    assert [shard.shard for shard in report.scenarios[0].harness] == [1, 2]
    assert (session.folder / "report" / "report.html").is_file()


# --- thresholds from a file ---


def test_thresholds_of_a_folder_hold_for_its_tests(session: Session) -> None:
    """``sla.toml`` fails a test that has no marker; the report names the file as the source."""
    session.write(
        "test_plain.py", 'async def test_plain(load):\n    """A load."""\n    await load(calls=2, duration="1s")'
    )
    session.write("sla.toml", '[sla]\nthresholds = ["rtt.max < 1ns"]\n')
    done = session.run("--sla", "rtt.max < 1s")
    assert done.exit_code == 0
    (threshold,) = done.scenarios["test_plain"]["thresholds"]
    assert (threshold["source"], threshold["overrides"]) == ("--sla", ["rtt.max < 1ns (sla.toml)"])
    assert session.run().exit_code == 1


def test_a_mistake_in_the_file_stops_the_session_with_its_place(session: Session) -> None:
    """File, table, expression, and a caret below what is wrong."""
    write_loads(session, kept=KEPT)
    session.write("sla.toml", '[sla]\nthresholds = ["rtt.p99 < 60parsecs"]\n')
    done = session.run()
    assert (done.exit_code, done.report) == (4, None)
    lines = [line.strip("\n") for line in done.output.splitlines()]
    place = next(number for number, line in enumerate(lines) if "sla.toml: [sla]: unknown unit 'parsecs'" in line)
    assert lines[place + 1].index("parsecs") == lines[place + 2].index("^")


def test_a_stage_that_a_load_does_not_have_is_told_before_its_first_call(session: Session) -> None:
    """With the names that it has."""
    write_loads(session, staged='pytest.mark.sla("rtt.p99@rampp < 1s")')
    done = session.run()
    assert done.exit_code == 4
    assert "unknown stage 'rampp'; known: hold" in done.output
    assert done.scenarios["test_staged"]["calls"]["requested"] == 0


# --- baseline ---


def test_a_regression_against_the_baseline_fails_the_run(tmp_path: Path) -> None:
    """A run like the baseline passes; against one that was four times as fast it fails, with the sentence.

    The target delays media by more than a busy machine does, so that the change is one of the target's figures.
    """
    with SimulatorProcess(faults={"rtp_delay_s": 0.2}) as simulator:
        session = Session(tmp_path, simulator)
        session.write(
            "test_load.py", 'async def test_load(load):\n    """A load."""\n    await load(calls=10, duration="12s")'
        )
        assert session.run("--sla-report", "main").exit_code == 0
        record = read_record(session.folder / "main")
        record.scenarios = [slower(record.scenarios[0], 0.25)]
        write_record(record, session.folder / "faster")
        done = session.run("--sla-baseline", "faster", "--sla-max-regression", "50%")
    assert done.exit_code == 1, done.output
    assert "SLA fail: Regression: rtt.p" in done.output
    assert "Against the baseline" in done.output
    assert "Against the baseline" in (session.folder / "report" / "report.html").read_text()


# --- what CI systems read ---


@pytest.mark.parametrize("fleet", [SOAK_ALONE, FLEET])
def test_junit_gets_the_figures_as_properties(session: Session, fleet: tuple[str, ...]) -> None:
    """Through pytest's own ``--junitxml``, with and without a fleet."""
    write_loads(session, kept=KEPT)
    session.run("--junitxml", "junit.xml", *fleet)
    document = ElementTree.parse(session.folder / "junit.xml")
    properties = {
        item.get("name"): item.get("value") for case in document.iter("testcase") for item in case.iter("property")
    }
    assert properties["sla.verdict"] == "pass"
    assert properties["sla.calls.established"] == "3"
    assert float(properties["sla.rtt.p99"] or 0) > 0
    assert max(len(value or "") for value in properties.values()) < 1_100


def test_ci_systems_are_told_in_their_own_way(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job summary, an annotation at the test's line, and a code quality report."""
    write_loads(session, broken=BROKEN)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(session.folder / "step.md"))
    monkeypatch.setenv("GITLAB_CI", "true")
    done = session.run()
    (annotation,) = (line for line in done.output.splitlines() if line.startswith("::"))
    assert annotation.startswith("::error file=test_broken.py,line=4,title=SLA fail%3A test_broken::rtt.max was")
    assert "SLA: fail" in (session.folder / "step.md").read_text()
    (issue,) = json.loads((session.folder / "report" / "gl-code-quality-report.json").read_text())
    assert issue["location"] == {"path": "test_broken.py", "lines": {"begin": 4}}


# --- what must not cost the verdict ---


@pytest.mark.soak
def test_a_missing_rendering_library_costs_the_page_and_nothing_else(session: Session) -> None:
    """The record is there, and the terminal says what is missing."""
    write_loads(session, kept=KEPT)
    session.write("conftest.py", 'import sys\nsys.modules["jinja2"] = None')
    done = session.run()
    assert done.exit_code == 0
    assert done.report is not None
    assert "jinja2" in done.report["notes"][0]
    assert "Report: report/report.json" in done.output
    assert "Note: The reports are not complete" in done.output


def test_a_template_that_is_wrong_costs_the_page_and_nothing_else(session: Session) -> None:
    """A team's mistake in the look of a report does not change what was measured."""
    write_loads(session, kept=KEPT)
    (session.folder / "look").mkdir()
    session.write("look/report.html", "{{ nothing.of.the.kind }}")
    done = session.run("--sla-templates", "look")
    assert done.exit_code == 0
    assert "Note: The reports are not complete: a template in look cannot be used" in done.output


def test_the_verdict_is_shown_before_anything_is_written(session: Session) -> None:
    """A plug-in or a disk that never comes back cannot take it away."""
    write_loads(session, broken=BROKEN)
    session.write("conftest.py", "import os\ndef pytest_ari_sla_update_run_record(record): os._exit(7)")
    done = session.run()
    assert done.exit_code == 7
    assert "SLA verdict: FAIL" in done.output


def test_a_record_that_cannot_be_made_does_not_cost_the_verdict(session: Session) -> None:
    """Whatever it is that the machine does not tell."""
    write_loads(session, broken=BROKEN)
    session.write(
        "conftest.py",
        """
        import socket
        def refuse():
            raise OSError("no name")
        def pytest_sessionfinish():
            socket.gethostname = refuse
        """,
    )
    done = session.run()
    assert done.exit_code == 1
    assert "SLA verdict: FAIL\nNote: There is no report: no name" in done.output


def test_a_disk_that_is_full_costs_the_files_that_do_not_fit(session: Session) -> None:
    """Each is whole or not there; none is left half written."""
    write_loads(session, kept=KEPT)
    session.write(
        "conftest.py",
        """
        import resource
        def pytest_ari_sla_update_run_record(record):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        """,
    )
    done = session.run("--sla-capture", "off")
    assert done.exit_code == 0
    assert "SLA verdict: PASS" in done.output
    assert "Note: The reports are not complete: [Errno 27] File too large (report.html)" in done.output
    assert done.report is not None
    assert {path.name for path in (session.folder / "report").iterdir()} == {"report.json", "calls.csv", "summary.md"}


def test_a_session_without_a_terminal_is_reported_all_the_same(session: Session) -> None:
    """The exit code and the files say it."""
    write_loads(session, broken=BROKEN)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:terminal",
        "--sla-report",
        "report",
        "--sla-pacing-limit",
        "1m",
    ]
    assert subprocess.run(command, cwd=session.folder, check=False).returncode == 1
    assert json.loads((session.folder / "report" / "report.json").read_text())["verdict"] == "fail"


def test_each_file_that_cannot_be_written_costs_itself_and_nothing_else(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders in the place of files, a job summary without a folder, and another plug-in that raises at the end.

    The verdict is shown, and the rest is written.
    """
    write_loads(session, broken=BROKEN)
    session.write(
        "conftest.py",
        """
        from pathlib import Path

        def pytest_ari_sla_verdict_reached():
            for name in ("report.html", "calls.csv"):
                Path("report", name).mkdir(parents=True)

        def pytest_sessionfinish():
            raise RuntimeError("somebody else's report broke")
        """,
    )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nonexistent/step.md")
    done = session.run()
    assert done.exit_code == 1
    assert done.output.count("SLA verdict: FAIL") == 1
    assert "pytest_ari_sla/reporting" not in done.output
    assert "Report: report/report.json" in done.output
    assert (session.folder / "report" / "summary.md").is_file()
    for what in ("(report.html)", "(calls.csv)", "(what the CI system shows)"):
        assert what in " ".join(done.output.split())


def test_packets_are_captured_by_the_policy_that_was_chosen(session: Session) -> None:
    """``all`` leaves a file for each call, ``off`` none."""
    write_loads(session, kept=KEPT)
    session.run("--sla-capture", "all")
    captures = session.folder / "report" / "captures"
    assert len(list(captures.glob("*.pcapng"))) == 3
    session.run("--sla-capture", "off", "--sla-report", "other")
    assert not (session.folder / "other" / "captures").exists()
