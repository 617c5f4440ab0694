"""Pastes what the README's commands print into the README: ``python -m tests.refresh_readme [NAME …]``.

A block begins with ``<!-- output NAME: COMMAND -->`` and ends with ``<!-- end -->``; what is between is replaced. The
output is 80 columns wide, without colours, and without the lines that tell of this machine.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
BLOCK = re.compile(r"<!-- output (?P<name>[\w-]+): (?P<command>.+?) -->\n```text\n.*?```\n<!-- end -->", re.DOTALL)
_NOISE = re.compile(r"^(platform|plugins|asyncio|timeout|rootdir|configfile|cachedir|hypothesis).*\n", re.MULTILINE)


def output_of(command: str) -> str:
    """Return what a command prints, as a reader may see it."""
    words = shlex.split(os.path.expanduser(command.replace("~", str(Path.home()))))
    words[0] = str(Path(sys.executable).with_name(words[0]))
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    text = _NOISE.sub("", done.stdout)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def refresh(names: list[str]) -> None:
    """Run the commands of these blocks, or of all, and write the README."""

    def replaced(match: re.Match[str]) -> str:
        if names and match["name"] not in names:
            return match[0]
        command = match["command"]
        return f"<!-- output {match['name']}: {command} -->\n```text\n{output_of(command)}\n```\n<!-- end -->"

    README.write_text(BLOCK.sub(replaced, README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    refresh(sys.argv[1:])
