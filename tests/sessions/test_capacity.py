"""How much a target carries, on a simulator that carries a number of channels that the test has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCENARIO = """
import pytest

@pytest.mark.sla("calls.failed == 0", "rtt.p50 < 10s")
async def test_how_many(capacity):
    '''How many calls at a time?'''
    found = await capacity(start={start}, most={most}, hold="1s", settle="1s", precision="10%")
    assert found.calls >= {wanted}
"""
LIMIT = 3


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A project whose target carries so many calls."""
    with SimulatorProcess(faults={"max_media_channels": LIMIT}) as simulator:
        yield Session(tmp_path, simulator)


def test_the_answer_is_what_the_target_carries(session: Session) -> None:
    """One load stands for it, that of the highest level that was carried."""
    session.write("test_capacity.py", SCENARIO.format(start=2, most=4, wanted=LIMIT))
    done = session.run()
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
    assert "<h3>Capacity</h3>" in (session.folder / "report" / "report.html").read_text()


def test_a_fleet_asks_for_no_more_than_it_was_asked_for(session: Session) -> None:
    """All its workers come to the same answer: at least so many."""
    session.write("test_capacity.py", SCENARIO.format(start=2, most=2, wanted=2))
    done = session.run("-n", "2")
    assert done.exit_code == 0, done.output
    (scenario,) = done.scenarios.values()
    assert scenario["capacity"]["interval"] == [2, None]
    assert "At least 2 calls are carried" in done.output


def test_a_throttled_generator_gives_no_number(session: Session) -> None:
    """No step is believed in which packets left later than they may: the verdict is inconclusive."""
    session.write("test_capacity.py", SCENARIO.format(start=2, most=8, wanted=0))
    done = session.run("--sla-pacing-limit", "1us")
    assert done.exit_code == 1, done.output
    (scenario,) = done.scenarios.values()
    assert scenario["verdict"] == "inconclusive"
    assert (scenario["capacity"]["calls"], scenario["capacity"]["limited_by"]) == (0, "generator")


def test_without_limits_there_is_nothing_to_search_for(session: Session) -> None:
    """Said before the first call."""
    session.write("test_capacity.py", "async def test_how_many(capacity):\n    await capacity()\n")
    done = session.run()
    assert done.exit_code != 0
    assert "capacity() needs limits" in done.output
