"""The page on the architecture speaks of what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_ari_sla"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
_NAMED = re.findall(r"`([\w./]+)`", PAGE)
PATHS = {path for path in _NAMED if path.endswith((".py", "/")) or path.startswith("plugins/")}


def test_every_path_that_is_named_exists() -> None:
    """In the package, or beside it."""
    parts = (PACKAGE, PACKAGE / "targets" / "simulator", ROOT)
    assert [path for path in sorted(PATHS) if not any((part / path).exists() for part in parts)] == []


def test_every_room_is_named() -> None:
    """A stranger finds each of them, but those of templates, helpers and tests."""
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    named = {path.split("/")[0] for path in PATHS}
    assert rooms - named - {"scaffold", "testing"} == set()


def test_the_page_names_many_paths() -> None:
    """The tests above look at something."""
    assert len(PATHS) > 40


@pytest.mark.parametrize(("way", "most"), [("call", 12), ("threshold", 10)])
def test_the_ways_through_the_tool_are_short(way: str, most: int) -> None:
    """Whoever follows a call or a threshold reads one file after the other, and not many."""
    section = re.search(rf"## The way of a {way}.*?\n(1\. .*?)\n\n", PAGE, re.DOTALL)
    assert section
    steps = re.findall(r"^\d+\. `([\w/]+\.py)`", section[1], re.MULTILINE)
    assert len(steps) == section[1].count("\n") + 1 == len(set(steps))
    assert most / 2 < len(set(re.findall(r"`([\w/]+\.py)`", section[1]))) <= most


def test_a_threshold_is_parsed_by_those_who_read_what_the_user_wrote_and_nobody_else() -> None:
    """Everybody else is given the parsed one."""
    assert {path for path in _modules() if "parse" in _imported_from(path, "pytest_ari_sla.sla.threshold")} == {
        "fixtures/load.py",  # load(until=…)
        "judging/thresholds.py",  # marker, sla.toml, ini and command line
    }


def _modules() -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}


def _imported_from(path: str, module: str) -> set[str]:
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == module]
    return {alias.name for node in found for alias in node.names}
