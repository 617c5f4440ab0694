"""The verdict of a load never says better than pytest says of its test, in any format."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from textwrap import indent
from typing import TYPE_CHECKING

import pytest

from tests.sessions.ways import ALONE, SOAK_FLEET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.sessions.session import Finished, Session

KEPT = 'await load(calls=2, duration="500ms")'
BROKEN = "rtt.max < 1ns"
BROKEN_FIXTURE = "@pytest.fixture\ndef broken(): raise OSError('no disk')"


def write(session: Session, body: str, mark: str = "", before: str = "") -> None:
    """Write one load test with this body."""
    write_all(session, [("load", mark, body)], before)


def write_all(session: Session, tests: Sequence[tuple[str, str, str]], before: str = "") -> None:
    """Write load tests of these names, marks and bodies."""
    text = [f"{mark}\nasync def test_{name}(load, request):\n{indent(body, '    ')}\n" for name, mark, body in tests]
    session.write("test_load.py", "\n".join(["import asyncio\nimport pytest", before, *text]))


def everywhere(session: Session, done: Finished) -> dict[str, set[str]]:
    """Return every verdict that any format gives on each load, by the name of its test."""
    assert done.report is not None, done.output
    folder = session.folder / "report"
    page, junit = (folder / "report.html").read_text(), ElementTree.parse(session.folder / "junit.xml")
    run_verdict = json.loads((folder / "report.json").read_text())["verdict"]
    assert f"SLA verdict: {run_verdict.upper()}" in done.output
    assert f"SLA: {run_verdict}" in (folder / "summary.md").read_text()
    verdicts = {}
    for test, scenario in done.scenarios.items():
        properties = junit.iterfind(f".//testcase[@name='{test}']//property[@name='sla.verdict']")
        verdicts[test] = {scenario["verdict"], *(item.get("value", "") for item in properties)}
        assert f"{scenario['verdict'].upper()} test_load.py::{test}" in done.output
        assert f'<span class="chip">{scenario["verdict"].upper()}</span>' in page
    return verdicts


def run(session: Session, *arguments: str) -> Finished:
    """Run with JUnit's report."""
    return session.run("--junitxml", "junit.xml", *arguments)


# Name, mark, what the test does, and the verdict on its load.
ANSWERS = [
    ("xfail", f'@pytest.mark.xfail(reason="known")\n@pytest.mark.sla("{BROKEN}")', KEPT, "xfail"),
    ("xfail_in_the_middle", "", f'{KEPT}\npytest.xfail("known")', "pass"),
    ("xpass", "@pytest.mark.xfail(strict=False)", KEPT, "pass"),
    ("xpass_strict", "@pytest.mark.xfail(strict=True)", KEPT, "fail"),
    ("teardown", "", f'{KEPT}\nrequest.addfinalizer(lambda: pytest.fail("torn"))', "fail"),
    ("subtest", "", f'{KEPT}\nwith request.getfixturevalue("subtests").test():\n    assert False', "fail"),
    ("assertion", "", f"{KEPT}\nassert False", "fail"),
]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_one_answer_in_all_formats(session: Session, exit_code: int) -> None:
    """Terminal, HTML, Markdown, JSON, JUnit and exit code."""
    answers = [answer for answer in ANSWERS if (answer[3] == "fail") == bool(exit_code)]
    write_all(session, [(name, mark, body) for name, mark, body, _ in answers])
    done = run(session)
    assert done.exit_code == exit_code, done.output
    assert everywhere(session, done) == {f"test_{name}": {verdict} for name, _, _, verdict in answers}
    assert done.report is not None
    assert done.report["verdict"] == ("fail" if exit_code else "pass")


def test_a_load_test_whose_fixture_fails_has_failed(session: Session) -> None:
    """An error in setup is not a run in which all is well."""
    write(
        session, KEPT, "@pytest.mark.usefixtures('broken')", "@pytest.fixture\ndef broken(): raise OSError('no disk')"
    )
    done = run(session)
    assert done.exit_code == 1
    assert everywhere(session, done) == {"test_load": {"fail"}}
    assert done.scenarios["test_load"]["reason"].endswith("failed: no disk")


def test_a_test_that_is_skipped_after_its_load_is_not_judged(session: Session) -> None:
    """The report says so, and does not count it."""
    write(session, f'{KEPT}\npytest.skip("no codec")')
    session.write("test_other.py", f"async def test_other(load):\n    {KEPT}\n")
    done = session.run()
    assert (done.exit_code, list(done.scenarios)) == (0, ["test_other"])
    assert done.report is not None
    assert "skipped after it had made 1 load, not judged: no codec" in done.report["notes"][0]


NOT_AWAITED = {
    "no_load": "pass",
    "not_awaited": 'load(calls=1, duration="500ms").close()',
    "the_second_not_awaited": f'{KEPT}\nasyncio.create_task(load(calls=1, duration="5s"))',
    "a_task": 'asyncio.create_task(load(calls=1, duration="5s"))\nawait asyncio.sleep(0.5)',
}


def test_a_load_that_is_not_awaited_fails_its_test(session: Session) -> None:
    """A marked test is never green unjudged."""
    mark = '@pytest.mark.sla("loss.ratio < 100%")'
    write_all(session, [(name, mark, body) for name, body in NOT_AWAITED.items()])
    done = session.run()
    assert (done.exit_code, done.count("failed")) == (1, len(NOT_AWAITED)), done.output
    assert done.output.count("was `await") >= len(NOT_AWAITED)
    assert done.report is not None
    assert done.report["verdict"] == "fail"


CUT = """
    import asyncio
    import pytest

    limits = []

    @pytest.fixture
    def limit():
        limits.append(asyncio.timeout(60))
        return limits[-1]

    def pytest_ari_sla_call_started(call):
        limits[-1].reschedule(asyncio.get_running_loop().time() + 2.5)
"""


def cut_off(session: Session, expected: str = "") -> None:
    """Write a load that its test ends by ``asyncio.timeout`` 2.5 s after the last call has begun."""
    session.write("conftest.py", CUT)
    body = f"{expected}async with request.getfixturevalue('limit'):\n"
    write(session, body + ("    " if expected else "") + '    await load(calls=4, duration="20s")')


@pytest.mark.parametrize("arguments", [ALONE, SOAK_FLEET])
def test_what_was_measured_until_a_timeout_is_reported_as_cut_off(session: Session, arguments: tuple[str, ...]) -> None:
    """All calls and their packets are there, of all shards, and the verdict is no pass."""
    cut_off(session)
    done = session.run(*arguments)
    assert done.exit_code == 1
    scenario = done.scenarios["test_load"]
    assert scenario["verdict"] == "fail"
    assert scenario["calls"]["established"] == 4, done.output
    assert scenario["metrics"]["loss"]["sent"] > 0
    assert any("cut off after" in note for note in scenario["notes"]), scenario["notes"]
    assert "No call was made" not in done.output


def test_a_timeout_that_the_test_expects_leaves_the_load_inconclusive(session: Session) -> None:
    """A part of a load is not a load that kept its SLA."""
    cut_off(session, "with pytest.raises(TimeoutError):\n    ")
    done = session.run()
    assert done.scenarios["test_load"]["verdict"] == "inconclusive"
    assert done.exit_code == 1


def test_a_signal_that_leaves_the_event_loop_keeps_what_was_measured(session: Session) -> None:
    """As pytest-timeout does by default: its exception flies past the test's own coroutine."""
    session.write(
        "conftest.py",
        """
        import signal
        import pytest

        def pytest_ari_sla_call_started(call):
            signal.signal(signal.SIGALRM, lambda *_: pytest.fail("Timeout (>2.0s) from pytest-timeout."))
            signal.setitimer(signal.ITIMER_REAL, 2)
        """,
    )
    write(session, 'await load(calls=2, duration="30s")')
    done = session.run()
    assert done.exit_code == 1
    scenario = done.scenarios["test_load"]
    rtt = scenario["metrics"]["rtt"]
    assert rtt["count"] > 0, done.output
    assert any("cut off after" in note for note in scenario["notes"]), scenario["notes"]


RERUN = '''
    """As plug-ins that repeat failed tests do: pytest's own protocol, once more."""
    import pytest
    from _pytest.runner import runtestprotocol

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if any(report.failed for report in reports):
            for report in reports:
                if report.failed:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
                if report.outcome == "rerun":
                    break
            item._initrequest()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        return True
'''


def test_the_last_attempt_decides(session: Session) -> None:
    """A first attempt that broke the SLA is a note of the second that kept it."""
    session.write("conftest.py", RERUN)
    write(session, "tries.append(1)\nif len(tries) < 2:\n    pytest.fail('first')\n" + KEPT, "", "tries = []")
    done = session.run()
    assert (done.exit_code, done.scenarios["test_load"]["verdict"]) == (0, "pass")
    (note,) = (note for note in done.scenarios["test_load"]["notes"] if "earlier attempt" in note)
    assert "came to fail" in note
