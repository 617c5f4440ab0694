"""Each supported Python that is on this machine: the tool is installed by its pip, and makes a load."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.matrix.rows import ROWS
from tests.matrix.test_rows import try_row
from tests.sessions.fresh_environment import ROOT, installed, run

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def found(version: str) -> Path | None:
    """Return an interpreter of that version: of the system, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    of_system = shutil.which(f"python{version}")
    for candidate in [Path(of_system or "/"), *pyenv.glob(f"{version}.*/bin/python")]:
        if not candidate.is_file():
            continue
        told = subprocess.run([candidate, "-c", "import ensurepip"], capture_output=True, check=False)
        if told.returncode == 0:  # a shim of pyenv stands for a version that is not chosen, too
            return candidate
    return None


@pytest.mark.parametrize("version", SUPPORTED)
def test_a_python_makes_a_load(version: str, environments: Path, tmp_path: Path) -> None:
    """Alone and as one of a fleet; its `ari-sla` answers."""
    interpreter = found(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} on this machine")
    python = installed(environments / f"python{version}", str(ROOT), python=interpreter)
    assert "ari-sla" in run(python.with_name("ari-sla"), "--version", cwd=tmp_path)
    for name, fleet in (("alone", ()), ("fleet", ("-n", "2"))):
        (tmp_path / name).mkdir()
        try_row(ROWS[0], python, tmp_path / name, fleet)
