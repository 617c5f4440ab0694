"""Loads during which a process of ours stands still: what came back meanwhile is not lost, and the stall is named."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sessions.session import Finished, Session

pytestmark = pytest.mark.timeout(180)

STALLED_S = 5.0

LOAD = """
    import os
    from pathlib import Path

    import pytest


    @pytest.mark.sla("loss.ratio <= 0%")
    async def test_stalled(load):
        Path("up").write_text(str(os.getpid()))
        await load(calls=5, duration="9s", topology="{topology}")
    """


def stall(session: Session, victim: str, *arguments: str, topology: str = "echo") -> Finished:
    """Run a load of 9 s, and have a process stand still in the middle of it."""
    session.write("test_stall.py", LOAD.format(topology=topology))
    running = session.start("test_stall.py", *arguments)
    pid = int(running.wait_for("up"))
    time.sleep(2)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STALLED_S)
    os.kill(pid, signal.SIGCONT)
    return running.finish()


def test_what_came_back_while_pytest_stood_still_is_not_lost(session: Session) -> None:
    """The process that moves packets went on: all 2,250 are known to be back, and the report names the stall."""
    finished = stall(session, "pytest")
    (scenario,) = finished.scenarios.values()
    loss = scenario["metrics"]["loss"]
    assert loss["lost"] == 0, finished.output
    assert scenario["verdict"] != "fail", finished.output
    assert loss["received"] + loss["unknown"] + loss["dropped_here"] >= 5 * 9 * 50 - 5
    assert any("The measuring process stood still for" in note for note in scenario["notes"]), scenario["notes"]


def test_a_worker_of_a_fleet_that_stood_still_is_no_loss_either(session: Session) -> None:
    """Its shard is measured as if it had not: by the kernel's stamps."""
    finished = stall(session, "worker", "-n", "1")
    (scenario,) = finished.scenarios.values()
    assert scenario["metrics"]["loss"]["lost"] == 0, finished.output
    assert any("The measuring process stood still for" in note for note in scenario["notes"]), scenario["notes"]
