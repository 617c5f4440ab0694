"""Workers that die or hang, impatient users, hopeless loads: on a real Asterisk, which must be clean afterwards."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.asterisk.conftest import provisioned_folder
from tests.sessions.ways import ALONE, FLEET, SOAK_FLEET

if TYPE_CHECKING:
    from tests.sessions.session import Running, Session

pytestmark = pytest.mark.timeout(400)  # whole sessions, on whatever else the machine does

TARGET = re.compile(r"-m pytest_ari_sla\.targets\.simulator |asterisk -f -C")
TROUBLE = """
    import asyncio, os, signal, time
    from pathlib import Path
    import pytest

    pytestmark = pytest.mark.sla("calls.success_ratio >= 100%")

    async def test_before(load):
        await load(calls=2, duration="1s")

    async def test_trouble(load, shard, ari):
        async def have_trouble():
            while len(await ari.channels()) < {up}:
                await asyncio.sleep(0.1)
            Path(f"trouble-{{shard[0]}}").write_text(str(time.time()))
            if shard == "{victim} of 2":
                os.kill(os.getpid(), signal.{signal})

        trouble = asyncio.create_task(have_trouble())
        await load(calls=40, duration="20s")
        await trouble

    async def test_after(load):
        await load(calls=2, duration="1s")

    @pytest.mark.parametrize("number", range(4))
    def test_other(number):
        pass
"""
WHEN_FAILED = """
    import time
    from pathlib import Path

    def pytest_runtest_logreport(report):
        if report.failed and "test_trouble" in report.nodeid:
            name = report.nodeid.partition("[")[2][:-1].replace(" ", "-")
            Path(f"failed-{name}").write_text(str(time.time()))
"""


@pytest.mark.parametrize("victim", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_killed_worker_fails_its_load_at_once_and_nothing_else(session_on_asterisk: Session, victim: int) -> None:
    """A sentence names the shard, the others clean up, the dead one's channels are swept, later tests run."""
    session = session_on_asterisk
    session.write("conftest.py", WHEN_FAILED)
    session.write("test_trouble.py", TROUBLE.format(victim=victim, signal="SIGKILL", up=40))
    done = session.run("-n", "2")

    died_at = float((session.folder / f"trouble-{victim}").read_text())
    for shard in (1, 2):
        failed_at = float((session.folder / f"failed-shard-{shard}-of-2").read_text())
        assert failed_at - died_at < 5
    assert f"shard {victim} of 2 is missing: its worker died" in done.output
    assert session.channels_left() == []
    assert done.count("failed") == 2
    assert done.count("passed") == 2 * 2 + 4
    survivor = done.scenarios["test_trouble"]
    assert survivor["verdict"] == "fail"
    assert f"shard {victim} of 2" in survivor["reason"]
    assert 0 < survivor["calls"]["established"] <= 20  # Asterisk lists a channel before its call is established
    assert [shard["shard"] for shard in survivor["harness"]] == [3 - victim]
    assert done.scenarios["test_after"]["verdict"] == "pass"
    assert len(done.scenarios["test_after"]["harness"]) == 2


@pytest.mark.soak
def test_a_worker_that_dies_before_its_load_begins_is_not_waited_for(session_on_asterisk: Session) -> None:
    """The one that replaces it goes on with the next test; the others are told which one it died in."""
    session = session_on_asterisk
    session.write("test_trouble.py", TROUBLE.format(victim=2, signal="SIGKILL", up=0))
    started_s = time.monotonic()
    done = session.run("-n", "2")
    assert time.monotonic() - started_s < 55
    assert "shard 2 of 2 is missing: its worker died" in done.output
    assert done.count("failed") == 2
    assert done.scenarios["test_after"]["verdict"] == "pass"
    assert session.channels_left() == []


def test_a_worker_that_hangs_is_given_up_ended_and_replaced(session_on_asterisk: Session) -> None:
    """It is not heard of any more; patience is short here."""
    session = session_on_asterisk
    session.write(
        "conftest.py",
        """
        from functools import partial
        from pytest_ari_sla.fleet.controlling import collectives
        from pytest_ari_sla.fleet.controlling import controller

        controller.Collectives = partial(collectives.Collectives, patience=collectives.Patience(silence_s=4))
        """,
    )
    session.write("test_trouble.py", TROUBLE.format(victim=2, signal="SIGSTOP", up=40))
    done = session.run("-n", "2")
    assert "shard 2 of 2 is missing: it was not heard of for 4 s" in done.output
    assert done.scenarios["test_trouble"]["duration_s"] < 12
    assert done.scenarios["test_after"]["verdict"] == "pass"
    assert session.channels_left() == []


@pytest.mark.parametrize(
    "everybody",
    [pytest.param(True, id="Ctrl-C"), pytest.param(False, id="only pytest's own process", marks=pytest.mark.soak)],
)
@pytest.mark.parametrize("arguments", [ALONE, FLEET])
def test_an_interrupted_session_leaves_no_channel_behind(
    session_on_asterisk: Session, arguments: tuple[str, ...], everybody: bool
) -> None:
    """Every process removes what it made before pytest ends, and what all of them measured is judged."""
    session = session_on_asterisk
    session.write(
        "test_long.py",
        """
        from pathlib import Path
        import pytest

        @pytest.mark.sla("calls.leaked == 0")
        async def test_long(load):
            await load(calls=30, duration="60s")

        async def test_never(load):
            Path("never").write_text("never")
            await load(calls=30, duration="60s")
        """,
    )
    running = session.start(*arguments)
    running.wait_until(lambda: len(session.channels_left()) == 30)
    running.signal(signal.SIGINT, everybody=everybody)
    interrupted_s = time.monotonic()
    done = running.finish()
    assert time.monotonic() - interrupted_s < 20
    assert done.exit_code == 2, done.output
    assert session.channels_left() == []
    assert not (session.folder / "never").exists()
    assert "INTERNALERROR" not in done.output
    scenario = done.scenarios["test_long"]
    assert scenario["verdict"] == "fail"
    assert "KeyboardInterrupt" in scenario["reason"], scenario["reason"]
    assert scenario["thresholds"][0]["verdict"] != "fail", scenario["thresholds"]
    assert scenario["calls"]["requested"] == 30


@pytest.mark.parametrize("arguments", [ALONE, SOAK_FLEET])
def test_a_hopeless_load_is_ended_and_judged(session: Session, arguments: tuple[str, ...]) -> None:
    """``abort_after``: broken at that time, the load ends on all shards, with the reason in the report."""
    session.write(
        "test_hopeless.py",
        """
        import pytest

        @pytest.mark.sla("rtt.p99 < 1us", abort_after="3s")
        async def test_hopeless(load):
            await load(calls=5, duration="60s")
        """,
    )
    done = session.run(*arguments)
    scenario = done.scenarios["test_hopeless"]
    assert scenario["verdict"] == "fail"
    assert 3 <= scenario["duration_s"] < 15
    assert any(re.search(r"Ended after \d s instead of 60 s: rtt.p99 < 1us", note) for note in scenario["notes"])
    assert scenario["calls"]["dropped"] == 0


@pytest.mark.parametrize("arguments", [ALONE, SOAK_FLEET])
def test_a_load_ends_in_good_order_when_its_condition_comes_true(session: Session, arguments: tuple[str, ...]) -> None:
    """``until``: over the whole fleet, and no failure."""
    session.write(
        "test_until.py",
        """
        from pytest_ari_sla import ramp

        async def test_until(load):
            result = await load(stages=[ramp(60, over="60s")], until="calls.established >= 6")
            assert 6 <= result.calls.established < 20
        """,
    )
    done = session.run(*arguments)
    assert done.exit_code == 0, done.output
    assert any("when calls.established >= 6 came true" in note for note in done.scenarios["test_until"]["notes"])


@pytest.mark.parametrize("kind", [pytest.param("simulator", marks=pytest.mark.soak), "private Asterisk"])
@pytest.mark.parametrize("arguments", [ALONE, SOAK_FLEET])
def test_a_target_of_our_own_that_dies_is_named_with_its_last_words(
    session: Session, arguments: tuple[str, ...], kind: str
) -> None:
    """The load ends at once, and neither lost packets nor a refused connection are blamed for it."""
    session.write(
        "test_death.py",
        """
        import asyncio
        from pathlib import Path

        async def test_death(load):
            waiting = asyncio.create_task(asyncio.sleep(3))
            waiting.add_done_callback(lambda _: Path("up").write_text("up"))
            await load(calls=10, duration="10m")

        async def test_after(load):
            await load(calls=1, duration="1s")
        """,
    )
    own = ("--asterisk", str(provisioned_folder("22"))) if kind == "private Asterisk" else ()
    running = session.start(*arguments, *own)
    running.wait_for("up")
    victim = target_of(running)
    victim.kill()
    done = running.finish()  # which waits less long than the load would take
    words = f"the {kind} (process {victim.pid}) was ended by signal 9 (SIGKILL)"
    assert words in done.output
    scenario = done.scenarios["test_death"]
    assert scenario["verdict"] == "fail"
    assert scenario["reason"].startswith(words)
    assert 0 < scenario["duration_s"] < 60  # killed some 2 s after the load began, or sooner where it began late
    assert done.scenarios["test_after"]["verdict"] == "fail"
    assert done.scenarios["test_after"]["reason"].startswith(words)
    assert "INTERNALERROR" not in done.output


def target_of(running: Running) -> psutil.Process:
    """Return the process of the target that a session has started."""
    children = psutil.Process(running.process.pid).children(recursive=True)
    return next(child for child in children if TARGET.search(" ".join(child.cmdline())))
