"""``pytest --help`` and sessions without loads stay light, and help tells all options."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from pytest_ari_sla.options import OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"numpy", "cffi", "aiohttp", "jinja2", "rich", "scapy", "msgspec"}
PROGRAM = """
import sys
import pytest
code = pytest.main({arguments!r})
heavy = {heavy!r} & sys.modules.keys()
print("exit code", int(code), "heavy", sorted(heavy))
"""


def modules_imported(folder: Path, *arguments: str, heavy: set[str] = HEAVY) -> str:
    """Run pytest in a process of its own, with this plugin alone; return its last line."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    program = PROGRAM.format(arguments=["-p", "no:cacheprovider", *arguments], heavy=heavy)
    # Other plugins of this environment may import what they like.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for plugin in ("pytest_asyncio.plugin", "pytest_ari_sla.plugin"):
        program = program.replace("pytest.main([", f"pytest.main(['-p', '{plugin}', ")
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()[-1]


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """The plugin is installed for load tests, and loaded by every pytest of the environment."""
    heavy = {*HEAVY, "pytest_ari_sla.session_hooks"}  # with which all rooms come that a session has
    assert modules_imported(tmp_path, "--help", heavy=heavy) == "exit code 0 heavy []"


def test_tests_without_a_load_import_nothing_heavy(tmp_path: Path) -> None:
    """A unit test pays nothing for a plugin that it does not use."""
    (tmp_path / "test_unit.py").write_text("def test_nothing(): pass\n")
    assert modules_imported(tmp_path) == "exit code 0 heavy []"


def test_all_options_are_in_the_help(tmp_path: Path) -> None:
    """Each with a line that says what it does, on the command line and for ini files."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    words = " ".join(ended.stdout.split())
    for option in OPTIONS:
        assert f"{option.flag}=" in words
        assert f"{option.key} (" in words
        assert words.count(" ".join(option.help.replace("%%", "%").split())) == 2, option.flag
