"""The page on the architecture speaks of what there is."""

from __future__ import annotations

import re
from pathlib import Path

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
