"""Pages of the documentation as steps: the files that they show, and the commands that they give."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Command", "commands_of"]

_STEP = re.compile(
    r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<code>.*?)```"
    r"|(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```console\n(?P<console>.*?)```",
    re.DOTALL,
)


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Attributes
    ----------
    text
        As a reader types it, in one line and without the comment.
    files
        The files that the page has shown before it, by their names.
    not_run
        Why no test runs it, as the page says above it; empty where one does.
    """

    text: str
    files: dict[str, str] = field(default_factory=dict, hash=False)
    not_run: str = ""

    def __str__(self) -> str:
        """Return the command, as tests are named by it."""
        return self.text

    @property
    def words(self) -> list[str]:
        """The words that a shell makes of it."""
        return shlex.split(self.text)


def commands_of(page: Path) -> list[Command]:
    """Return the commands of a page, in order.

    A block of Python, INI … under ``<!-- file: NAME -->`` is a file. In a block of ``console``, what follows ``$`` is a
    command. ``<!-- not run: WHY -->`` above a block excuses it.
    """
    files: dict[str, str] = {}
    found = []
    for step in _STEP.finditer(page.read_text(encoding="utf-8")):
        if step["file"]:
            files[step["file"]] = step["code"]
            continue
        for line in re.sub(r"\\\n\s*", "", step["console"]).splitlines():
            if line.startswith("$ "):
                text = shlex.join(shlex.split(line[2:], comments=True))
                found.append(Command(text, dict(files), step["why"] or ""))
    return found
