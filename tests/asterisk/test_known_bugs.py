"""Known faults are found on an Asterisk that has them, and not on the simulator; ``make soak`` tries all of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.asterisk.conftest import provisioned_folder

PACK = Path(__file__).parents[2] / "scenarios" / "asterisk_bugs"
SURE = ["asterisk#1757", "bridge-variable", "bridge-record", "channel-move", "id-prefix-clash"]


def hunt(folder: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    """Run tests of the pack; return pytest's exit code, and what was said of each fault."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--sla-report", str(folder / "report")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=110, check=False)
    table = done.stdout.partition("known faults of Asterisk")[2]
    found = re.findall(r"^(\S+) +((?:has|does not show|\S+ was not tried).*)$", table, re.MULTILINE)
    assert found, done.stdout
    return done.returncode, dict(found)


def test_faults_that_show_each_time_are_found_on_asterisk_22(tmp_path: Path) -> None:
    """By name, with what was seen, over two workers; an Asterisk that died of one harms no other test."""
    tests = [f"{PACK}/test_crashes.py", f"{PACK}/test_requests.py::test_an_id_that_another_begins_with"]
    exit_code, said = hunt(tmp_path, "--asterisk", str(provisioned_folder("22")), "-n", "2", *tests)
    assert exit_code == 1
    assert sorted(said) == sorted(SURE)
    assert all(words.startswith(f"has {fault} (") for fault, words in said.items()), said
    assert "was ended by signal 11 (SIGSEGV)" in said["asterisk#1757"]


def test_asterisk_16_has_two_crashes_of_four(tmp_path: Path) -> None:
    """It knows no variables of bridges, and refuses a recording without a format."""
    exit_code, said = hunt(tmp_path, "--asterisk", str(provisioned_folder("16")), f"{PACK}/test_crashes.py")
    assert exit_code == 1
    assert [fault for fault, words in said.items() if words.startswith("has ")] == ["asterisk#1757", "channel-move"]


def test_the_simulator_has_none(tmp_path: Path) -> None:
    """What it copies of Asterisk on purpose is not tried there."""
    exit_code, said = hunt(tmp_path, f"{PACK}/test_crashes.py", f"{PACK}/test_requests.py")
    assert exit_code == 0
    assert not [words for words in said.values() if words.startswith("has ")], said
    assert "on purpose" in said["id-prefix-clash"]
