"""Writes the skeleton of a plugin: ``ari-sla new tracker|codec|topology NAME``.

The templates are the files of a package that works as it is; ``$words`` in them, and in their names, are filled in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.scaffold.files import planned_files, write_files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KINDS", "Kind", "write_skeleton"]

Kind = Literal["tracker", "codec", "topology"]
KINDS: tuple[str, ...] = get_args(Kind)
_PLURALS = {"tracker": "trackers", "codec": "codecs", "topology": "topologies"}

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class _Words:
    """How one name is written in different places.

    Attributes
    ----------
    kind
        What is added.
    name
        As the author gave it: ``packet-size``.
    """

    kind: str
    name: str

    def mapping(self) -> dict[str, str]:
        """Return the words that templates use."""
        words = re.split("[-_]", self.name)
        return {
            "kind": self.kind,
            "kind_plural": _PLURALS[self.kind],
            "name": "_".join(words),
            "title": " ".join(words),
            "distribution": f"pytest-ari-sla-{'-'.join(words)}",
            "package": f"pytest_ari_sla_{'_'.join(words)}",
            "class_name": "".join(word.capitalize() for word in words),
            "codec_name": "".join(words).upper(),
        }


def write_skeleton(kind: str, name: str, parent: Path) -> list[Path]:
    """Write a package ``pytest-ari-sla-NAME`` into a folder.

    Parameters
    ----------
    kind
        ``tracker``, ``codec`` or ``topology``.
    name
        Lower-case words joined by ``-`` or ``_``.
    parent
        The folder that will hold the package's own.

    Returns
    -------
    The files written, sorted.

    Raises
    ------
    UnknownName
        There is no such kind.
    UsageError
        The name cannot be that of a package, or its folder exists already.
    """
    if kind not in KINDS:
        raise UnknownName("kind of plugin", kind, KINDS)
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} cannot name a package: use lower-case words joined by '-', such as packet-size")
    words = _Words(kind, name).mapping()
    folder = parent / words["distribution"]
    if folder.exists():
        raise UsageError(f"{folder} exists already, and is left as it is")
    return write_files(folder, planned_files(("common", kind), words))
