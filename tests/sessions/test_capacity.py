"""How much a target carries, on a simulator that carries a number of channels that the test has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """
import pytest

@pytest.mark.sla("calls.failed == 0", "{media}")
async def test_how_many(capacity):
    '''How many calls at a time?'''
    found = await capacity(start={start}, most={most}, hold="1s", settle="1s", precision="10%")
    assert found.calls >= {wanted}
"""
LIMIT = 3
REFUSED = "calls.failed == 0"
NEVER = "rtt.p50 < 10s"
LATE = "rtt.p50 < 90ms"
"""Half a call too many adds 143 ms to the delay each second."""
PACKET_S = 0.02
REFUSES = {"max_media_channels": LIMIT}
IS_LATE = {"rtp_service_s": PACKET_S / (LIMIT + 0.5)}
PATIENCE_S = 300.0
"""A search is four loads one after the other, each with a fleet's start and end."""
KILLER = """
import os
import signal

import pytest

PIDS = []
STARTED = []

@pytest.fixture(autouse=True)
def pid_of_target(target):
    PIDS.append(target.pid)

def pytest_ari_sla_call_started(call):
    STARTED.append(call)
    if len(STARTED) == 5:
        os.kill(PIDS[0], signal.SIGKILL)
"""
"""Kills the target with the third call of the second step: the first had two."""


@pytest.mark.timeout(PATIENCE_S + 30)
@pytest.mark.parametrize(
    ("workers", "faults", "media", "broken"),
    [
        pytest.param((), IS_LATE, LATE, LATE.replace(" ", "@hold ", 1), id="alone"),
        pytest.param(("-n", "2"), REFUSES, NEVER, REFUSED, id="fleet", marks=pytest.mark.soak),
    ],
)
def test_the_answer_is_what_the_target_carries(
    tmp_path: Path, workers: tuple[str, ...], faults: dict[str, float], media: str, broken: str
) -> None:
    """One load stands for it, that of the highest level that was carried; all workers come to the same."""
    with SimulatorProcess(faults=faults) as simulator:
        session = Session(tmp_path, simulator)
        session.write("test_capacity.py", SCENARIO.format(start=LIMIT, most=LIMIT + 1, wanted=LIMIT, media=media))
        done = session.start(*workers).finish(timeout_s=PATIENCE_S)
    assert done.exit_code == 0, done.output
    (scenario,) = done.scenarios.values()
    found = scenario["capacity"]
    assert (found["calls"], found["interval"], found["limited_by"]) == (LIMIT, [LIMIT, LIMIT + 1], "target")
    assert found["sentence"].startswith(f"{LIMIT} calls are carried, {LIMIT + 1} are not (")
    assert f"{LIMIT} calls are carried" in done.output
    assert scenario["verdict"] == "pass"
    assert scenario["calls"]["established"] == LIMIT
    assert [item["stage"] for item in scenario["thresholds"] if item["metric"] == "rtt"] == ["hold"]
    assert {step["verdict"] for step in found["steps"]} == {"pass", "fail"}
    assert found["broken"] == broken
    assert all(step["figures"]["rtt.p99"] for step in found["steps"])
    page = (session.folder / "report" / "report.html").read_text()
    assert "<h3>Capacity</h3>" in page
    assert "s1-ladder" in page
    assert f"step 2 at {LIMIT + 1} calls ({LIMIT} carried)" in done.output


def test_a_target_that_dies_is_the_answer_and_no_pass(tmp_path: Path) -> None:
    """Named, with the level that it did not survive and the one that it did."""
    session = Session(tmp_path)
    session.write("conftest.py", KILLER)
    session.write("test_capacity.py", SCENARIO.format(start=2, most=8, wanted=2, media=NEVER))
    done = session.run()
    assert done.exit_code == 1, done.output
    (scenario,) = done.scenarios.values()
    found = scenario["capacity"]
    assert (found["calls"], found["interval"], found["died_at"], found["limited_by"]) == (2, [2, 4], 4, "target")
    assert scenario["verdict"] == "fail"
    assert "2 calls were carried; at 4 the load broke off: the simulator" in done.output
    assert "SIGKILL" in scenario["reason"]
    # Of the time in which the level would have been held nothing is known, which is no broken limit.
    (threshold,) = (item for item in scenario["thresholds"] if item["metric"] == "rtt")
    assert threshold["verdict"] == "inconclusive"
    assert "the load was cut short" in threshold["sentence"]


def test_a_throttled_generator_gives_no_number(tmp_path: Path) -> None:
    """No step is believed in which packets left later than they may: the verdict is inconclusive."""
    session = Session(tmp_path)
    session.write("test_capacity.py", SCENARIO.format(start=2, most=8, wanted=0, media=NEVER))
    done = session.run("--sla-pacing-limit", "1us")
    assert done.exit_code == 1, done.output
    (scenario,) = done.scenarios.values()
    assert scenario["verdict"] == "inconclusive"
    assert (scenario["capacity"]["calls"], scenario["capacity"]["limited_by"]) == (0, "generator")


def test_without_limits_there_is_nothing_to_search_for(tmp_path: Path) -> None:
    """Said before the first call."""
    session = Session(tmp_path)
    session.write("test_capacity.py", "async def test_how_many(capacity):\n    await capacity()\n")
    done = session.run()
    assert done.exit_code != 0
    assert "capacity() needs limits" in done.output
