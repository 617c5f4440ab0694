"""The author's guide, done as it says: every file written, every session run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pages import Command, commands_of
from tests.sessions.ways import ALONE, SOAK_FLEET

if TYPE_CHECKING:
    from tests.sessions.session import Session

GUIDE = Path(__file__).parents[2] / "plugins" / "README.md"
_FIRST = "pytest test_gaps.py"
STEPS = [command for command in commands_of(GUIDE) if command.text.startswith("pytest ")]


def follow(session: Session, command: Command) -> list[str]:
    """Write the files; return the arguments of the command."""
    for name, code in command.files.items():
        session.write(name, code)
    return command.words[1:]


def test_the_guide_has_steps() -> None:
    """One for each kind of plug-in, one for its tests, and one for hooks."""
    assert [command.text for command in STEPS] == [
        _FIRST,
        "pytest test_tracker.py",
        "pytest test_size.py",
        "pytest test_ringing.py",
        "pytest test_soft.py",
        "pytest test_notes.py",
        "pytest test_billed.py",
    ]


@pytest.mark.parametrize("command", STEPS, ids=str)
def test_every_step_of_the_guide_works(session: Session, command: Command) -> None:
    """On the simulator, with nothing but what stands there."""
    done = session.run(*follow(session, command), "--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("fleet", [ALONE, SOAK_FLEET])
def test_a_tracker_of_one_page_is_everywhere(session: Session, fleet: tuple[str, ...]) -> None:
    """Under forty lines: in thresholds, terminal, report.json, its course over time, and HTML; merged over a fleet."""
    command = STEPS[0]
    assert len(command.files["conftest.py"].strip().splitlines()) < 40
    done = session.run(*follow(session, command), *fleet, "--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    scenario = done.scenarios["test_gaps"]
    assert [threshold["metric"] for threshold in scenario["thresholds"]] == ["gap", "gap"]
    # Five calls of 100 packets: each leg waits 99 times, whichever worker it is on.
    assert scenario["metrics"]["gap"]["count"] == 5 * 99
    assert 0.015 < scenario["metrics"]["gap"]["p50"] < 0.025
    assert scenario["histograms"]["gap"]["unit"] == "s"
    assert any(scenario["time_series"]["gap.p50"])
    assert "gap" in (session.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"^ *gap +495 ", done.output, re.MULTILINE)
