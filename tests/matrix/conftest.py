"""Environments for rows: each gets its own, above one that has the tool and the versions that it is tried on."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.matrix.rows import VERSIONS
from tests.sessions.conftest import environments
from tests.sessions.fresh_environment import ROOT, installed, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["environments"]


def packages_folder(interpreter: Path) -> str:
    """Return where an environment keeps what is installed in it."""
    command = [str(interpreter), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout.strip()


def above(interpreter: Path, environment: Path, packages: tuple[str, ...]) -> Path:
    """Return the interpreter of a new environment that adds some packages to what another one has."""
    run(interpreter, "-m", "venv", "--without-pip", environment, cwd=environment.parent)
    own = environment / "bin" / "python"
    (environment / packages_folder(own).removeprefix(f"{environment}/") / "below.pth").write_text(
        f"{packages_folder(interpreter)}\n"
    )
    if packages:
        pip: list[str | Path] = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, *packages, cwd=environment)
    return own


@pytest.fixture(scope="session")
def versions(environments: Path) -> Callable[[str], Path]:
    """Return the interpreter of an environment with the tool and one end of the supported versions."""
    return lambda end: installed(environments / end, str(ROOT), *VERSIONS[end])
