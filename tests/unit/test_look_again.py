"""What becomes of a part of the tests in which some have failed: ``tests/look_again``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

SCRIPT = Path(__file__).parents[1] / "look_again"
TESTS = """
    import pathlib
    import pytest

    def test_passes():
        pass

    @pytest.mark.parametrize("number", range({unlucky}))
    def test_unlucky(number):
        been = pathlib.Path(__file__).with_name(f"been{{number}}")
        first = not been.exists()
        been.touch()
        assert not first

    def test_last():
        assert {last}
"""


def look_again(folder: Path, unlucky: int, last: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tests of which some fail the first time, and one perhaps always."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(dedent(TESTS.format(unlucky=unlucky, last=last)))
    here = {"VENV": str(Path(sys.executable).parents[1]), **environment}
    command = [str(SCRIPT), "-q", "-p", "no:ari_sla", "-c", str(folder / "pytest.ini"), str(folder)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "ONCE"))}
    return subprocess.run(command, env=inherited | here, capture_output=True, text=True, check=False)


def test_what_passes_alone_is_listed_and_does_not_fail_the_part(tmp_path: Path) -> None:
    """Only the failed test runs again."""
    done = look_again(tmp_path, unlucky=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout
    assert "1 passed" in done.stdout
    assert done.stdout.endswith("(explain it):\ntest_it.py::test_unlucky[0]\n")


@pytest.mark.parametrize(
    ("unlucky", "last", "environment"),
    [(1, False, {}), (4, True, {}), (1, True, {"ONCE": "1"})],
    ids=["fails alone as well", "too many", "asked to do without"],
)
def test_what_is_no_accident_fails_the_part(
    tmp_path: Path, unlucky: int, last: bool, environment: dict[str, str]
) -> None:
    """A test that fails alone, more than three, or any where the repetition is the point."""
    done = look_again(tmp_path, unlucky, last, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "(explain it)" not in done.stdout
