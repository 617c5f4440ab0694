"""Each hook, implemented as a team would in its conftest.py; one test for each, named after it."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.sessions.session import Session

if TYPE_CHECKING:
    from tests.sessions.session import Finished

LETTERBOX = Path(__file__).with_name("examples").joinpath("letterbox.py").read_text(encoding="utf-8")
LOAD = '''
    async def test_load(load):
        """A small load."""
        await load(calls=2, duration="1s"{more})
'''
TRACKER = """
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.testing import PerPacketTracker

    class Counter:
        name = "counter"
        metrics = (Metric("counted", "count", "count", "Packets that were counted"),)

        def begin(self, context):
            self.counted = 0

        def observe(self, batch):
            self.counted += len(batch)
            {in_observe}

        def advance(self, now_ns):
            pass

        def release(self, legs):
            pass

        def snapshot(self):
            return {{"counted": self.counted}}

        def per_leg(self):
            return {{}}

    def pytest_ari_sla_register_trackers():
        return [Counter()]
"""


def write(session: Session, conftest: str, more: str = "") -> None:
    """Write a project: a plug-in in its conftest.py, and one small load."""
    session.write("conftest.py", dedent(conftest))
    session.write("test_hooks.py", LOAD.format(more=more))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a session with a plug-in that implements several hooks, and with a load for each."""
    session = Session(tmp_path_factory.mktemp("hooks"))
    session.write(
        "conftest.py",
        """
        from dataclasses import dataclass
        from typing import ClassVar

        from pytest_ari_sla.codecs.g711 import pcmu

        class Loud:
            name = "LOUD"

            def __getattr__(self, name):
                return getattr(pcmu(), name)

        @dataclass(frozen=True)
        class Twice:
            times: int = 1
            name: ClassVar[str] = "twice"
            relay_legs: ClassVar[int] = 0

            @property
            def heard_leg(self):
                return range(self.times)

            async def establish(self, call):
                for _ in range(self.times):
                    await call.continue_to_echo(await call.external_media())

        def pytest_ari_sla_register_codecs():
            return [Loud()]

        def pytest_ari_sla_register_topologies():
            return [Twice()]

        def pytest_ari_sla_call_started(call):
            print("started", call.id)

        def pytest_ari_sla_verdict_reached(scenario, verdict):
            scenario.notes.append(f"{scenario.nodeid} came to {verdict}")
        """,
    )
    session.write(
        "test_hooks.py",
        """
        import pytest

        @pytest.mark.sla("rtt.max < 1ns")
        async def test_loud(load):
            await load(calls=2, duration="1s", codec="LOUD")

        async def test_thrice(load):
            await load(calls=2, duration="1s", topology="twice", times=3)
        """,
    )
    return session.run("-s", "--sla-inconclusive", "pass")


def test_pytest_ari_sla_register_codecs(done: Finished) -> None:
    """A codec of one's own is sent, named in the report, and as good as any other."""
    scenario = done.scenarios["test_loud"]
    assert (scenario["codec"], scenario["metrics"]["loss"]["lost"]) == ("LOUD", 0), done.output


def test_pytest_ari_sla_register_topologies(done: Finished) -> None:
    """A topology of one's own builds calls; its fields are options of load()."""
    metrics = done.scenarios["test_thrice"]["metrics"]
    assert metrics["loss"]["sent"] + metrics["harness"]["not_sent"] == 2 * 3 * 50


def test_pytest_ari_sla_call_started(done: Finished) -> None:
    """Every call is told of before it is built."""
    assert done.output.count("started sla-") == 2 + 2


def test_pytest_ari_sla_verdict_reached(done: Finished) -> None:
    """What a plug-in adds to the notes is in the report."""
    assert "test_hooks.py::test_loud came to fail" in done.scenarios["test_loud"]["notes"]
    assert "test_hooks.py::test_thrice came to pass" in done.scenarios["test_thrice"]["notes"]


def test_pytest_ari_sla_register_trackers(session: Session) -> None:
    """What it measures is in thresholds and in the report."""
    write(session, TRACKER.format(in_observe="pass"))
    done = session.run("--sla", "counted >= 90", "--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    assert done.scenarios["test_load"]["metrics"]["counted"]["value"] >= 90


def test_a_tracker_that_fails_costs_its_own_metrics_only(session: Session) -> None:
    """The load goes on; the report and the terminal name the plug-in, and a threshold on its metric fails."""
    write(session, TRACKER.format(in_observe="raise ValueError('oh no')"))
    done = session.run("--sla", "counted >= 90", "--sla-inconclusive", "pass")
    assert done.exit_code == pytest.ExitCode.TESTS_FAILED
    scenario = done.scenarios["test_load"]
    assert scenario["metrics"]["loss"]["lost"] == 0
    assert scenario["metrics"]["harness"]["trackers_failed"] == 1
    (note,) = (note for note in scenario["notes"] if "counter" in note)
    assert note.endswith("failed in observe() and was left out: ValueError: oh no")
    assert "conftest.py" in note
    assert "ValueError: oh no" in " ".join(done.output.split())


def test_pytest_ari_sla_register_peer_faults(session: Session) -> None:
    """A plug-in's fault has a name that loads can ask for, and exists for the transports that it says."""
    session.write(
        "conftest.py",
        """
        from pytest_ari_sla.media.peer_faults import Mute, PeerFault, Wait

        def pytest_ari_sla_register_peer_faults():
            return [PeerFault("drop_out", (Wait(500), Mute()), ("audiosocket",))]
        """,
    )
    session.write(
        "test_faults.py",
        """
        import pytest

        @pytest.mark.parametrize("fault", ["drop_out", "drop_in", "burst:x"])
        async def test_fault(load, fault):
            await load(calls=1, duration="1s", peer_faults={fault: "100%"})
        """,
    )
    done = session.run()
    assert "peer fault 'drop_out' exists for audiosocket; this load uses rtp" in " ".join(done.output.split())
    assert "peer fault 'drop_in'" in done.output


def test_pytest_ari_sla_register_transports(session: Session) -> None:
    """A stranger's transport carries a load, with all built-in trackers: its delay is what they measure."""
    session.write("conftest.py", LETTERBOX)
    session.write(
        "test_transport.py",
        """
        import pytest

        @pytest.mark.sla("calls.success_ratio >= 100%")
        @pytest.mark.parametrize("topology", ["echo", "pair"])
        async def test_frames(load, topology):
            await load(calls=2, duration="2s", topology=topology, transport="letterbox")

        async def test_unknown(load):
            await load(calls=1, duration="1s", transport="pigeon")
        """,
    )
    done = session.run("--sla-inconclusive", "pass")
    assert done.count("passed") == 2, done.output
    assert "transport 'pigeon'" in done.output
    for name, time in (("test_frames[echo]", "rtt"), ("test_frames[pair]", "one_way")):
        metrics = done.scenarios[name]["metrics"]
        assert metrics["loss"]["sent"] > metrics["loss"]["lost"] == 0
        assert 0.005 <= metrics[time]["p50"] < 0.5
        assert metrics["harness"]["trackers_failed"] == 0


def test_a_strangers_transport_is_short_and_needs_to_know_no_room_of_the_house() -> None:
    """What it builds on is public."""
    assert len(LETTERBOX.splitlines()) < 150
    assert set(re.findall(r"^from (pytest_ari_sla[\w.]*)", LETTERBOX, re.MULTILINE)) == {"pytest_ari_sla"}


def test_pytest_ari_sla_call_ended(session: Session) -> None:
    """What came of every call is told; a plug-in that fails is told no more, and named in the report."""
    write(
        session,
        """
        told = []

        def pytest_ari_sla_call_ended(call):
            print("ended", call.id, call.state)
            raise LookupError("no such dashboard")
        """,
    )
    done = session.run("-s")
    assert done.exit_code == 0, done.output
    assert done.output.count("ended sla-") == 1
    notes = done.scenarios["test_load"]["notes"]
    assert any("pytest_ari_sla_call_ended and is not told any more: LookupError" in note for note in notes), notes


def test_pytest_ari_sla_update_run_record(session: Session) -> None:
    """The record of a fleet is amended once, in the process that writes it."""
    write(
        session,
        """
        def pytest_ari_sla_update_run_record(record):
            record.notes.append(f"build 7 of {len(record.scenarios)} loads on {record.run.shards} shards")
        """,
    )
    done = session.run("-n", "2")
    assert done.exit_code == 0, done.output
    assert done.report is not None
    assert done.report["notes"] == ["build 7 of 1 loads on 2 shards"]


def test_pytest_ari_sla_register_report_sections(session: Session) -> None:
    """A team's own part is in every report, and its markup is no markup; a wrong one costs a note only."""
    write(
        session,
        """
        from pytest_ari_sla import ReportSection

        class Bad:
            def pytest_ari_sla_register_report_sections(self):
                return [ReportSection(title="bad", columns=["one"], rows=[["1", "2"]])]

        def pytest_configure(config):
            config.pluginmanager.register(Bad(), "bad-sections")

        def pytest_ari_sla_register_report_sections(record):
            rows = [[scenario.nodeid, "<b>mine</b>"] for scenario in record.scenarios]
            record.extra["build"] = {"id": 7}
            words = ["First.", "Second."]
            return [ReportSection(title="Of <i>ours</i>", paragraphs=words, columns=["Test", "*Word*"], rows=rows)]
        """,
    )
    done = session.run("--sla-report", "report")
    assert done.exit_code == 0, done.output
    page = (session.folder / "report" / "report.html").read_text()
    summary = (session.folder / "report" / "summary.md").read_text()
    assert "<h2>Of &lt;i&gt;ours&lt;/i&gt;</h2>" in page
    assert "<p>First.</p><p>Second.</p>" in page
    assert "<td>&lt;b&gt;mine&lt;/b&gt;</td>" in page
    assert "### Of &lt;i&gt;ours&lt;/i&gt;" in summary
    assert "&lt;b&gt;mine&lt;/b&gt;" in summary
    assert "Of <i>ours</i>" in done.output
    assert "<b>mine</b>" in done.output
    assert done.report is not None
    assert [section["title"] for section in done.report["sections"]] == ["Of <i>ours</i>"]
    assert all("7" in text for text in (page.partition("<h2>build</h2>")[2][:200], summary.partition("### build")[2]))
    (note,) = done.report["notes"]
    assert "bad-sections" in note
    assert "a row of section 'bad' has 2 cells for 1 columns" in note


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("def pytest_ari_sla_register_tracker(): return []", "did you mean pytest_ari_sla_register_trackers?"),
        ("def pytest_ari_sla_register_trackers(): return None", "must return a list of tracker objects from"),
        (
            "def pytest_ari_sla_register_trackers(): return [7]",
            "registered 7 as a tracker, but it has no name",
        ),
        (
            "from pytest_ari_sla.topologies import echo\n"
            "def pytest_ari_sla_register_topologies(): return [echo.Echo()]",
            "two plug-ins register a topology 'echo'",
        ),
        ("def pytest_ari_sla_register_codecs(): return 1 / 0", "pytest_ari_sla_register_codecs: ZeroDivisionError"),
    ],
)
def test_mistakes_are_told_with_the_name_of_the_plugin(session: Session, plugin: str, message: str) -> None:
    """Before the first test, in one line, as a usage error."""
    write(session, plugin)
    done = session.run()
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in done.output.splitlines() if line.startswith("ERROR"))
    assert "conftest.py" in line
    assert message in line
