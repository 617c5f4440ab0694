from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.guarded_process import GuardedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Starts a guarded program, says its process id and folder, then ends in the way that its argument names.
_OWNER = """
import os, signal, sys, time
from pathlib import Path
from pytest_ari_sla.targets.guarded_process import GuardedProcess
process = GuardedProcess("owned-", Path(sys.argv[1]))
process.start(["sleep", "60"])
print(process.pid, process.folder, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "forks":
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)
    print(process.alive and process.folder.exists(), flush=True)
"""


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait up to ten seconds for a condition; return whether it came true."""
    deadline_s = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return condition()


def is_running(pid: int) -> bool:
    """Whether a process exists and is not only waiting to be reaped."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def process(tmp_path: Path) -> Iterator[GuardedProcess]:
    """Return a guarded process that has not been started; it is ended whatever the test does."""
    process = GuardedProcess("test-", tmp_path)
    yield process
    process.end()


def test_the_program_works_in_the_folder_and_its_output_is_kept(process: GuardedProcess) -> None:
    """Both streams go to one file, in order."""
    process.start(["sh", "-c", "pwd; echo problem >&2"])
    assert comes_true(lambda: not process.alive)
    assert process.output_path.read_text() == f"{process.folder}\nproblem\n"


def test_the_end_leaves_neither_program_nor_folder(process: GuardedProcess) -> None:
    """A second end does no harm."""
    process.start(["sleep", "60"])
    pid = process.pid
    assert process.alive
    process.end()
    process.end()
    assert not is_running(pid)
    assert not process.folder.exists()


def test_a_program_that_does_not_listen_is_killed(process: GuardedProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked first; the time that it has is shortened here."""
    monkeypatch.setattr("pytest_ari_sla.targets.guarded_process._GRACE_S", 0.1)
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    process.start([sys.executable, "-c", deaf])
    assert comes_true(lambda: process.output_path.read_text() != "")
    process.end()
    assert process.ending() == "was ended by signal 9 (SIGKILL)"


def test_the_ending_names_exit_code_or_signal(process: GuardedProcess, tmp_path: Path) -> None:
    """As the end of a sentence."""
    process.start(["sleep", "60"])
    assert process.ending() == "has not ended"
    os.kill(process.pid, signal.SIGKILL)
    assert comes_true(lambda: not process.alive)
    assert process.ending() == "was ended by signal 9 (SIGKILL)"
    other = GuardedProcess("other-", tmp_path)
    other.start(["sh", "-c", "exit 3"])
    assert comes_true(lambda: not other.alive)
    assert other.ending() == "ended with exit code 3"
    other.end()


def test_a_command_that_does_not_exist_is_an_os_error(process: GuardedProcess) -> None:
    """The folder is still there, and goes with the end."""
    with pytest.raises(FileNotFoundError):
        process.start(["no-such-program"])
    assert not process.alive
    assert process.pid == 0
    process.end()
    assert not process.folder.exists()


@pytest.mark.parametrize("ending", ["leaves", "killed"])
def test_nothing_outlives_the_owner(tmp_path: Path, ending: str) -> None:
    """An interpreter that exits cleans up by itself; for one that is killed the guard does it."""
    owner = subprocess.run([sys.executable, "-c", _OWNER, str(tmp_path), ending], capture_output=True, text=True)
    pid, folder = owner.stdout.split()
    assert comes_true(lambda: not is_running(int(pid)))
    assert comes_true(lambda: not Path(folder).exists())


def test_a_forked_child_that_exits_ends_nothing(tmp_path: Path) -> None:
    """It inherits the exit handler, but does not own the program."""
    owner = subprocess.run([sys.executable, "-c", _OWNER, str(tmp_path), "forks"], capture_output=True, text=True)
    assert owner.stdout.splitlines()[-1] == "True"
