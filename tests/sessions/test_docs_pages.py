"""Each page of the docs, done as it says: every file written, every command given, in its order."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import provisioned_folder
from tests.pages import commands_of
from tests.sessions.fresh_environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if commands_of(page))
NAMES = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]
EXCUSED = {
    "needs hosts of yours",  # test_fleet.py makes a fleet over ssh, on this host
    "it runs until Ctrl-C",  # tests/unit/peers has the echo server
    "they run until Ctrl-C",  # and the relays
    "it builds images; tests/asterisk/test_containers.py starts on this host what it starts",
    "its addresses are those of a container and of its host",  # test_nat.py makes both kinds of NAT of sockets
    "its addresses are those of two routers",
    "the test's environment is made by it, of this repository",  # test_readme_commands.py does
}
pytestmark = pytest.mark.timeout(900)  # a page may hold half a dozen sessions

# The words of pages are what is tried here: loads are small, and nothing is said of speed.
SMALL = ["--ari-calls=2", "--ari-duration=1s", "--sla-pacing-limit=1m", "--sla-inconclusive=pass"]


@pytest.fixture(scope="module")
def pbx() -> Iterator[str]:
    """Return the credentials and address of what stands for the reader's Asterisk."""
    with SimulatorProcess() as simulator:
        yield f"{simulator.user}:{simulator.password}@{simulator.url.split('/')[2]}"


def test_every_excuse_is_known() -> None:
    """It stands above the command, on the page."""
    assert {command.not_run for page in PAGES for command in commands_of(page)} == {"", *EXCUSED}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with all that it says in one text."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_works_as_written(page: Path, pbx: str, tmp_path: Path) -> None:
    """On the simulator, or on a private Asterisk where it says so."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ARI_", "PYTEST_"))}
    for command in commands_of(page):
        if command.not_run:
            continue
        for name, code in command.files.items():
            (tmp_path / name).write_text(code)
        text = command.text.replace("user:secret@pbx:8088", pbx)
        program, *words = shlex.split(text.replace("/usr/sbin/asterisk", str(provisioned_folder("22"))))
        small = SMALL if program == "pytest" else []
        arguments = [str(Path(sys.executable).with_name(program)), *words, *small]
        done = run(arguments, tmp_path, environment)
        if program == "pytest" and done.returncode == pytest.ExitCode.TESTS_FAILED:
            # The limits on a page are for a machine that has nothing else to do.
            done = run(arguments, tmp_path, environment)
        assert done.returncode == 0, f"$ {command.text}\n{done.stdout}"
