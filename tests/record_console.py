"""Records what the live console shows: ``python -m tests.record_console [ASTERISK]`` writes ``reports/sample/console``.

Runs small loads in a terminal of 80 and of 160 columns (a pseudo terminal, read by a terminal emulator) on a private
Asterisk (a binary, or the root folder of a file system that holds one), or on the simulator: a ramp, a broken
threshold, and a fleet of two workers. Of each it keeps the whole screen at two moments of the load, and at the end.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from termios import TIOCSWINSZ

import pyte

FOLDER = Path(__file__).parents[1] / "reports" / "sample" / "console"
WIDTHS = (80, 160)
LINES = 36
MOMENTS_S = (4, 9)
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
SCENARIO = '''
import pytest

from pytest_ari_sla import hold, ramp


@pytest.mark.sla("setup.p90 < 500ms", "LIMIT", "loss.ratio < 0.1%", "mos.p10 >= 4.0")
async def test_ramp(load):
    """Forty callers arrive within six seconds, and stay."""
    await load(stages=[ramp(40, over="6s"), hold("6s")])
'''
_CLOCK = re.compile(r"(\d+)(?:\.\d)? s of \d")


@dataclass(frozen=True)
class Recording:
    """What to record: its name, the limit of RTT, and more arguments of pytest."""

    name: str
    limit: str = "rtt.p99 < 60ms"
    arguments: tuple[str, ...] = ()


RECORDINGS = (
    Recording("ramp"),
    Recording("broken-threshold", limit="rtt.p99 < 10us"),
    Recording("fleet", arguments=("-n", "2", "-v")),
)


class Terminal:
    """A terminal of a size, and a program in it.

    Parameters
    ----------
    command
        What to run.
    folder
        Where.
    columns
        How wide the terminal is.

    Attributes
    ----------
    frames
        Screens that were kept, each with the moment of the load.
    """

    def __init__(self, command: list[str], folder: Path, columns: int) -> None:
        self._screen = pyte.Screen(columns, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, pack("HHHH", LINES, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(LINES)}
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.frames: list[tuple[str, str]] = []

    def watch(self) -> None:
        """Show the program until it ends; keep the screen at the moments that are wanted, and at the end."""
        wanted = list(MOMENTS_S)
        while self._read():
            moment_s = self._moment_s()
            if wanted and moment_s is not None and moment_s >= wanted[0]:
                wanted.pop(0)
                self.frames.append((f"{moment_s} s into the load", self._text()))
        self._process.wait()
        os.close(self._ours)
        self.frames.append(("at the end", self._text()))

    def _read(self) -> bool:
        """Show what has come, once nothing more comes for a moment; return whether the program goes on."""
        try:
            self._stream.feed(os.read(self._ours, 65536))
            while select.select([self._ours], [], [], 0.1)[0]:
                self._stream.feed(os.read(self._ours, 65536))
        except OSError:  # how a pseudo terminal tells that nobody writes to it any more
            return False
        return True

    def _moment_s(self) -> int | None:
        """Return the time that the picture shows; None without a picture."""
        found = _CLOCK.search(self._text())
        return int(found[1]) if found else None

    def _text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).strip("\n")


def record(recording: Recording, columns: int, target: list[str]) -> str:
    """Return the frames of a recording as one text."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text(INI)
        (folder / "test_voice.py").write_text(SCENARIO.replace("LIMIT", recording.limit))
        command = [sys.executable, "-m", "pytest", "--no-header", *target, *recording.arguments, "test_voice.py"]
        terminal = Terminal(command, folder, columns)
        terminal.watch()
    shown = " ".join(["pytest", *recording.arguments, "test_voice.py"])
    parts = [f"$ {shown}        ({columns} columns)"]
    parts += [f"{f' {moment} '.center(columns, '~')}\n{text}" for moment, text in terminal.frames]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Record everything."""
    target = ["--asterisk", str(Path(sys.argv[1]).resolve())] if len(sys.argv) > 1 else []
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for recording in RECORDINGS:
        for columns in WIDTHS:
            (FOLDER / f"{recording.name}-{columns}.txt").write_text(record(recording, columns, target))


if __name__ == "__main__":
    main()
