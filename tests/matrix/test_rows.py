"""Each row of the table of plug-ins, at both ends of the supported versions, alone and in a fleet."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.matrix.conftest import above
from tests.matrix.rows import INI, ROWS, VERSIONS, Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]
OPTIONS = ("--sla-live=off", "--sla-report=report", "--sla-pacing-limit=1m", "--sla-inconclusive=pass")


def try_row(row: Row, python: Path, folder: Path, fleet: tuple[str, ...]) -> None:
    """Run the tests of a row, and look at what came out."""
    for name, text in {"pytest.ini": INI, **row.files}.items():
        (folder / name).write_text(text)
    command = [str(python), "-m", "pytest", *OPTIONS, *row.arguments, *fleet]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    printed = done.stdout + done.stderr
    assert "INTERNALERROR" not in printed
    assert "Traceback" not in printed
    if fleet and row.in_a_fleet is not None:
        code, words = row.in_a_fleet
        assert done.returncode == code, printed
        assert words in " ".join(printed.split())
        return
    assert done.returncode == 0, printed
    parts = 2 if fleet else 1
    if "no:terminal" not in row.arguments:
        found = re.search(r"(\d+) passed", printed)
        assert found, printed
        assert int(found[1]) == parts * row.passed, printed
    scenarios = json.loads((folder / "report" / "report.json").read_text())["scenarios"]
    assert len(scenarios) == row.passed, printed
    assert all(scenario["calls"]["established"] == 1 for scenario in scenarios), printed
    if row.check is not None:
        row.check(folder)


@pytest.mark.parametrize("end", VERSIONS)
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_row_holds(row: Row, end: str, versions: Callable[[str], Path], tmp_path: Path) -> None:
    """In an environment of its own, alone and as one of a fleet."""
    python = above(versions(end), tmp_path / "environment", row.packages)
    for name, fleet in (("alone", ()), ("fleet", ("-n", "2"))):
        (tmp_path / name).mkdir()
        try_row(row, python, tmp_path / name, fleet)
