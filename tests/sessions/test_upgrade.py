"""Two targets compared by the same loads, made on both in turns: two simulators, one of them with a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

LOAD = """
async def test_load(load):
    '''A load.'''
    result = await load(calls=2, duration="{duration}")
    assert result.calls.established == 2
"""
CAPACITY = """
import pytest

@pytest.mark.sla("calls.failed == 0")
async def test_how_many(capacity):
    '''How many calls at a time?'''
    assert (await capacity(start=2, most=2, hold="1s", settle="1s")).calls == 2
"""


def address(simulator: SimulatorProcess) -> str:
    """Return where a simulator is, with user and password."""
    return simulator.url.replace("://", f"://{simulator.user}:{simulator.password}@")


@pytest.mark.soak
def test_a_target_whose_media_is_late_is_worse_than_another_one(tmp_path: Path) -> None:
    """The run fails with the figure; terminal, page, summary and record say what the change came to."""
    with SimulatorProcess() as before, SimulatorProcess(faults={"rtp_delay_s": 0.1}) as after:
        session = Session(tmp_path, after)
        session.write("test_load.py", LOAD.format(duration="6s"))
        done = session.run("--sla-against", address(before))
    assert done.exit_code == 1, done.output
    assert "Regression: rtt.p50 is worse" in done.output
    assert "Compared: WORSE" in done.output
    assert done.report is not None
    assert done.report["comparison"]["verdict"] == "worse"
    assert before.url in done.report["comparison"]["before"]
    assert before.password not in str(done.report)
    first, last = done.scenarios.values()
    assert first["baseline"] is None
    assert last["baseline"]["in_turns"]
    assert {item["metric"]: item["verdict"] for item in last["baseline"]["comparisons"]}["rtt.p50"] == "worse"
    for name in ("report.html", "summary.md"):
        text = (tmp_path / "report" / name).read_text()
        assert "both loaded in turns" in text
        assert "The change is worse" in text


@pytest.mark.soak
def test_a_fleet_loads_both_and_tells_where_that_was_too_short(tmp_path: Path) -> None:
    """Every worker makes its share of each turn on either target."""
    with SimulatorProcess() as before, SimulatorProcess() as after:
        session = Session(tmp_path, after)
        session.write("test_load.py", LOAD.format(duration="1s"))
        done = session.run("-n", "2", "--sla-against", address(before))
    assert done.exit_code == 0, done.output
    assert done.report is not None
    assert done.report["comparison"]["verdict"] == "cannot tell"
    last = done.scenarios["test_load load 2"]
    assert last["baseline"]["source"] == before.url
    assert any("too short to compare" in note for note in last["notes"])


@pytest.mark.soak
def test_capacities_are_compared_by_their_answers(tmp_path: Path) -> None:
    """Each target's own search, and what both came to."""
    with SimulatorProcess() as before, SimulatorProcess() as after:
        session = Session(tmp_path, after)
        session.write("test_capacity.py", CAPACITY)
        done = session.run("--sla-against", address(before))
    assert done.exit_code == 0, done.output
    (compared,) = done.scenarios["test_how_many"]["baseline"]["comparisons"]
    assert (compared["metric"], compared["verdict"]) == ("capacity", "same")
    assert "Compared: SAME" in done.output


def test_another_target_that_is_not_there_is_named_before_the_first_call(tmp_path: Path) -> None:
    """As one would be that is the session's own."""
    session = Session(tmp_path)
    session.write("test_load.py", LOAD.format(duration="1s"))
    done = session.run("--sla-against", "http://user:secret@127.0.0.1:9")
    assert done.exit_code == 4
    assert "127.0.0.1:9" in done.output
    assert "secret" not in done.output.replace("user:secret@127.0.0.1:9", "")
