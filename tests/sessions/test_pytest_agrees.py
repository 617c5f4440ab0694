"""The verdict of a load never says better than pytest says of its test, in any format."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sessions.session import Finished, Session

KEPT = 'await load(calls=2, duration="500ms")'
BROKEN = "rtt.max < 1ns"
BROKEN_FIXTURE = "@pytest.fixture\ndef broken(): raise OSError('no disk')"


def write(session: Session, body: str, mark: str = "", before: str = "") -> None:
    """Write one load test with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    session.write(
        "test_load.py",
        f"import asyncio\nimport pytest\n{before}\n{mark}\nasync def test_load(load, request):\n{lines}\n",
    )


def everywhere(session: Session, done: Finished) -> set[str]:
    """Return every verdict on the only load that any format gives, and that on the run."""
    assert done.report is not None, done.output
    (scenario,) = done.report["scenarios"]
    folder = session.folder / "report"
    properties = ElementTree.parse(session.folder / "junit.xml").iter("property")
    (by_junit,) = {item.get("value") for item in properties if item.get("name") == "sla.verdict"}
    verdict = scenario["verdict"]
    assert f"{verdict.upper()} test_load.py::test_load" in done.output
    assert f'<span class="chip">{verdict.upper()}</span>' in (folder / "report.html").read_text()
    run_verdict = json.loads((folder / "report.json").read_text())["verdict"]
    assert f"SLA verdict: {run_verdict.upper()}" in done.output
    assert f"SLA: {run_verdict}" in (folder / "summary.md").read_text()
    return {verdict, str(by_junit)}


def run(session: Session, *arguments: str) -> Finished:
    """Run with JUnit's report."""
    return session.run("--junitxml", "junit.xml", *arguments)


@pytest.mark.parametrize(
    ("mark", "body", "verdict", "exit_code"),
    [
        (f'@pytest.mark.xfail(reason="known")\n@pytest.mark.sla("{BROKEN}")', KEPT, "xfail", 0),
        ("", f'{KEPT}\npytest.xfail("known")', "pass", 0),
        ("@pytest.mark.xfail(strict=True)", KEPT, "fail", 1),
        ("@pytest.mark.xfail(strict=False)", KEPT, "pass", 0),
        ("", f'{KEPT}\nrequest.addfinalizer(lambda: pytest.fail("torn"))', "fail", 1),
        ("", f'{KEPT}\nwith request.getfixturevalue("subtests").test():\n    assert False', "fail", 1),
        ("", f"{KEPT}\nassert False", "fail", 1),
    ],
    ids=["xfail", "xfail in the middle", "xpass strict", "xpass", "teardown", "subtest", "assertion"],
)
def test_one_answer_in_all_formats(session: Session, mark: str, body: str, verdict: str, exit_code: int) -> None:
    """Terminal, HTML, Markdown, JSON, JUnit and exit code."""
    write(session, body, mark)
    done = run(session)
    assert done.exit_code == exit_code, done.output
    assert everywhere(session, done) == {verdict}
    assert done.report is not None
    assert done.report["verdict"] == ("fail" if exit_code else "pass")


def test_a_load_test_whose_fixture_fails_has_failed(session: Session) -> None:
    """An error in setup is not a run in which all is well."""
    write(
        session, KEPT, "@pytest.mark.usefixtures('broken')", "@pytest.fixture\ndef broken(): raise OSError('no disk')"
    )
    done = run(session)
    assert done.exit_code == 1
    assert everywhere(session, done) == {"fail"}
    assert done.scenarios["test_load"]["reason"].endswith("failed: no disk")


def test_a_test_that_is_skipped_after_its_load_is_not_judged(session: Session) -> None:
    """The report says so, and does not count it."""
    write(session, f'{KEPT}\npytest.skip("no codec")')
    session.write("test_other.py", f"async def test_other(load):\n    {KEPT}\n")
    done = session.run()
    assert (done.exit_code, list(done.scenarios)) == (0, ["test_other"])
    assert done.report is not None
    assert "skipped after it had made 1 load, not judged: no codec" in done.report["notes"][0]


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        'load(calls=1, duration="500ms").close()',
        f'{KEPT}\nasyncio.create_task(load(calls=1, duration="5s"))',
        'asyncio.create_task(load(calls=1, duration="5s"))\nawait asyncio.sleep(0.5)',
    ],
    ids=["no load", "not awaited", "the second not awaited", "a task"],
)
def test_a_load_that_is_not_awaited_fails_its_test(session: Session, body: str) -> None:
    """A marked test is never green unjudged."""
    write(session, body, '@pytest.mark.sla("loss.ratio < 100%")')
    done = session.run()
    assert done.exit_code == 1, done.output
    assert "was `await" in done.output
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


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "fleet"])
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
