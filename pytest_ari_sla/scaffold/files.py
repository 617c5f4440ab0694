"""Template files: a tree of them becomes a tree of files, with ``$words`` in contents and names filled in."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

__all__ = ["planned_files", "write_files"]

_SUFFIX = ".tmpl"


def planned_files(trees: Sequence[str], words: Mapping[str, str]) -> dict[str, str]:
    """Return the content of each file that some trees of templates give, by its path."""
    templates = files("pytest_ari_sla.scaffold") / "templates"
    return {
        Template(path).substitute(words): Template(template.read_text(encoding="utf-8")).substitute(words)
        for tree in trees
        for path, template in _walk(templates / tree)
    }


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Write files below a folder; return their paths, sorted."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return sorted(folder / name for name in contents)


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    """Give all templates below a folder, with the path that each one's file will have."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            yield prefix + entry.name.removesuffix(_SUFFIX), entry
