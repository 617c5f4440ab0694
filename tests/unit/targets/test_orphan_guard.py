from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from pytest_ari_sla.targets import orphan_guard

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_parent_that_is_gone_already_counts_as_dead(tmp_path: Path) -> None:
    """The guard does its work at once: the parent may die while the guard starts."""
    program = subprocess.Popen(["sleep", "60"])
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    not_our_parent = 1 << 30  # above the highest process id there can be
    orphan_guard.main([str(not_our_parent), str(program.pid), str(folder)])
    assert program.wait(5) == -15
    assert not folder.exists()


def test_a_process_that_is_not_its_parent_does_not_hold_it(tmp_path: Path) -> None:
    """After the parent's death another process may have its number."""
    program = subprocess.Popen(["sleep", "60"])
    stranger = subprocess.Popen(["sleep", "60"])
    orphan_guard.guard(stranger.pid, program.pid, tmp_path / "missing")
    assert program.wait(5) == -15
    stranger.kill()
    stranger.wait()


def test_a_program_that_ended_before_is_left_in_peace(tmp_path: Path) -> None:
    """Only the folder is left to remove."""
    program = subprocess.Popen(["true"])
    program.wait()
    orphan_guard.guard(1 << 30, program.pid, tmp_path)
    assert not tmp_path.exists()
    tmp_path.mkdir()


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked first; the time that it has is shortened here."""
    monkeypatch.setattr(orphan_guard, "_GRACE_S", 0.1)
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    program = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    orphan_guard.guard(1 << 30, program.pid, tmp_path / "missing")
    assert program.wait(5) == -9
    program.stdout.close()
