"""The commands of the README, as a new user gives them: in a fresh environment, in a folder of their own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import provisioned_folder
from tests.pages import Command, commands_of
from tests.sessions.fresh_environment import ROOT, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = ROOT / "README.md"
COMMANDS = commands_of(README)
EXCUSED = {
    "needs this repository, and is what CI runs",
    "the test's environment is made by it, of this repository",
}
LONG = {
    "ari-sla doctor",  # half a minute of all cores
    "pytest --ari-url http://user:secret@pbx:8088 scenarios/",  # as the first command, with other tests
}
"""Commands that `make matrix` runs, and not `make test`."""

RUN = [command for command in COMMANDS if not command.not_run]
SMALL = ["--ari-calls=4", "--ari-duration=1s", "--sla-pacing-limit=1m", "--sla-inconclusive=pass", "-pno:cacheprovider"]
RAMP = "scenarios/test_ramp.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def pbx() -> Iterator[str]:
    """Return the credentials and address of what stands for the reader's Asterisk."""
    with SimulatorProcess() as simulator:
        yield f"{simulator.user}:{simulator.password}@{simulator.url.split('/')[2]}"


@pytest.fixture
def project(tmp_path: Path, plain_python: Path) -> Path:
    """Return a folder as the README leaves it: with what it shows, and what ``ari-sla init`` writes."""
    for name, code in COMMANDS[0].files.items():
        (tmp_path / name).write_text(code)
    run(plain_python.with_name("ari-sla"), "init", cwd=tmp_path)
    return tmp_path


def as_here(command: Command, pbx: str) -> Command:
    """Put what there is here in the place of the reader's Asterisks."""
    text = command.text.replace("user:secret@pbx:8088", pbx)
    return replace(command, text=text.replace("/usr/sbin/asterisk", str(provisioned_folder("22"))))


def test_only_what_cannot_run_here_is_excused() -> None:
    """Each excuse stands above the command, and is one of these."""
    assert {command.not_run for command in COMMANDS} == {"", *EXCUSED}
    assert {command.words[0] for command in RUN} == {"pytest", "ari-sla"}


def by(program: str) -> list[object]:
    """Return the commands of a program; the long ones are left to ``make matrix``."""
    marks = dict.fromkeys(LONG, pytest.mark.matrix)
    return [
        pytest.param(command, id=command.text, marks=marks.get(command.text, ()))
        for command in RUN
        if command.words[0] == program
    ]


@pytest.mark.parametrize("command", by("ari-sla"))
def test_a_command_of_ari_sla_works_as_written(command: Command, plain_python: Path, tmp_path: Path, pbx: str) -> None:
    """Where the tool alone is installed."""
    program, *words = as_here(command, pbx).words
    assert run(plain_python.with_name(program), *words, cwd=tmp_path)


@pytest.mark.parametrize("command", by("pytest"))
def test_a_session_works_as_written(command: Command, plain_python: Path, project: Path, pbx: str) -> None:
    """Where the tool alone is installed; loads are made small."""
    program, *words = as_here(command, pbx).words
    small = list(SMALL)
    if RAMP in words:
        shutil.copy(ROOT / RAMP, project / RAMP)
        small += ["-k", "test_capacity"]  # stages of the other test want more than a second
    printed = run(plain_python.with_name(program), *words, *small, cwd=project)
    record = json.loads((project / "reports" / "latest" / "report.json").read_text())
    assert record["scenarios"], printed
    assert all(scenario["calls"]["established"] == 4 for scenario in record["scenarios"]), printed
