"""The ways in which a session can end; ``make soak`` tries more of them, and each ten times."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder
from tests.ends_table import ENDS, LIMIT_S, SIDE_BY_SIDE, THERE_S, End, EndedSession, run_end
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tests.ends_table import Left

pytestmark = pytest.mark.timeout(600)  # whole sessions, on whatever else the machine does


@pytest.fixture(scope="module")
def lefts(
    request: pytest.FixtureRequest, asterisk22: PrivateAsterisk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Left]]]:
    """Return what every end that is asked for leaves; some run side by side, since they mostly wait."""
    wanted = {name for name in ENDS if any(f"[{name}]" in item.name for item in request.session.items)}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {
            name: pool.submit(run_end, ENDS[name], asterisk22.endpoint, tmp_path_factory.mktemp("end"))
            for name in ENDS
            if name in wanted
        }


def test_a_stopped_container_writes_its_report_though_asterisk_hangs(tmp_path: Path) -> None:
    """It gets SIGTERM, and SIGKILL ten seconds later; what is left at Asterisk is removed when that goes on."""
    end = End(number=signal.SIGTERM)
    with (
        PrivateAsterisk(provisioned_folder("22")) as asterisk,
        EndedSession(end, asterisk.endpoint, tmp_path) as session,
    ):
        session.wait_until_there()
        os.kill(asterisk.pid, signal.SIGSTOP)
        try:
            session.end()
        finally:
            os.kill(asterisk.pid, signal.SIGCONT)
        left = session.left()
    assert left.is_nothing, left
    assert left.took_s < 10
    assert left.report, left.output


@pytest.mark.parametrize("fleet", [False, True], ids=["alone", "a worker"])
def test_callers_by_sip_are_hung_up_when_their_process_is_killed(tmp_path: Path, fleet: bool) -> None:
    """Asterisk names their channels, so that no id of ours is on them but in the Call-ID."""
    with PrivateAsterisk(provisioned_folder("22")) as asterisk:
        account, session = asterisk.endpoint, Session(tmp_path, asterisk)
        session.write(
            "test_sip.py",
            f"""
            import os
            from pathlib import Path
            from pytest_ari_sla import wait
            async def test_sip(load):
                Path(os.environ.get("PYTEST_XDIST_WORKER", "alone")).write_text(str(os.getpid()))
                await load(calls=4, duration="1s", topology="caller", via="sip", script=[wait("{THERE_S:.0f}s")],
                           to="sip:echo@{asterisk.address}:{asterisk.sip_port}",
                           sip_user="{account.user}", sip_password="{account.password}")
            """,
        )
        running = session.start(*(["-n", "2"] if fleet else []))
        try:
            running.wait_until(lambda: len(session.channels_left()) == 4, THERE_S)
            victim = int(running.wait_for("gw0")) if fleet else running.process.pid
            killed_s = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            while session.channels_left():
                assert time.monotonic() - killed_s < LIMIT_S
                time.sleep(0.1)
        finally:
            running.signal(signal.SIGKILL, everybody=True)
            running.finish()


NAMES = [pytest.param(name, marks=[pytest.mark.soak] * end.is_further) for name, end in ENDS.items()]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_ten_seconds_after_the_end(lefts: dict[str, Future[Left]], name: str) -> None:
    """No channel, bridge, process or lock on ports; a report where there was the time to write one."""
    end, left = ENDS[name], lefts[name].result()
    assert left.is_nothing, left
    assert left.code in end.codes, left.output
    assert left.report or not end.reported, left.output
