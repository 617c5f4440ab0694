"""Environments as a user makes them: by pip, with nothing in them but what was asked for."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "installed", "run"]

ROOT = Path(__file__).parents[2]
_READY = ".ready"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return what it prints; its whole output is in the failure where it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def installed(environment: Path, *wanted: str, python: str | Path = sys.executable) -> Path:
    """Make an environment, install into it, and return its interpreter.

    Whoever comes first makes it; other workers of the same session wait, and use it too.
    """
    interpreter = environment / "bin" / "python"
    with environment.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / _READY).exists():
            run(python, "-m", "venv", "--clear", environment, cwd=environment.parent)
            pip: list[str | Path] = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run(*pip, "--no-compile", *wanted, cwd=environment)
            (environment / _READY).touch()
    return interpreter
