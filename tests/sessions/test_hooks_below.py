"""Hooks in a conftest.py below the folder that pytest is given: a fleet finds them as a session alone does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pages import commands_of
from tests.sessions.test_authors_guide import GUIDE
from tests.sessions.ways import ALONE, SOAK_FLEET

if TYPE_CHECKING:
    from tests.sessions.session import Session

TRACKER = commands_of(GUIDE)[0].files["conftest.py"]
SCENARIO = """
import pytest

@pytest.mark.sla("{metric} > 0")
async def test_{name}(load): await load(calls=2, duration="1s")
"""
NOTES = """
def pytest_ari_sla_verdict_reached(scenario, verdict): scenario.notes.append(f"told of {verdict}")
"""


@pytest.fixture
def project(session: Session) -> Session:
    """Return a project with hooks in two folders below the one that is given."""
    for folder, name, metric, conftest in (
        ("voice", "voice", "gap.count", TRACKER),
        ("bots/long", "bots", "calls.established", NOTES),
    ):
        (session.folder / "scenarios" / folder).mkdir(parents=True)
        session.write(f"scenarios/{folder}/conftest.py", conftest)
        session.write(f"scenarios/{folder}/test_{name}.py", SCENARIO.format(name=name, metric=metric))
    return session


@pytest.mark.parametrize("fleet", [ALONE, SOAK_FLEET])
def test_hooks_below_the_folder_that_is_given_are_found(project: Session, fleet: tuple[str, ...]) -> None:
    """The metric of a tracker is judged, and who is told of verdicts is told, alone and in a fleet."""
    done = project.run("scenarios", *fleet, "--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    assert done.scenarios["test_voice"]["metrics"]["gap"]["count"] > 0
    for scenario in done.scenarios.values():
        assert sum(note.startswith("told of ") for note in scenario["notes"]) == 1


def test_what_the_controller_cannot_load_is_a_usage_error(project: Session) -> None:
    """It says which file, before the first call."""
    only_in_workers = "import os\nif 'PYTEST_XDIST_WORKER' not in os.environ: raise ValueError('no worker')\n"
    project.write("scenarios/voice/conftest.py", only_in_workers + TRACKER)
    done = project.run("scenarios", "-n", "2")
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR, done.output
    assert "scenarios/voice/conftest.py cannot be loaded" in done.output
    assert "no worker" in done.output
    assert "INTERNALERROR" not in done.output
