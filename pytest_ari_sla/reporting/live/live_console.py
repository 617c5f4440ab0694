"""The live console: a picture of the running load below pytest's own output, or a plain line now and then.

On a terminal the picture is the last thing on the screen. It is taken away before anybody else writes (pytest's
progress, failures, captured logs) and drawn again with the next state: nothing is ever mixed. For that, whatever
writes to the same terminal does so through :meth:`LiveConsole.guarded`.
"""

from __future__ import annotations

import os
import re
from io import StringIO
from threading import RLock
from typing import TYPE_CHECKING, Final, TextIO

from rich.cells import cell_len
from rich.console import Console

from pytest_ari_sla.reporting.live.live_view import live_line, live_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.reporting.live.live_state import LiveState

__all__ = ["GuardedStream", "LiveConsole", "is_interactive", "make_live_console"]

_PLAIN_FIRST_S: Final = 1.0
_PLAIN_INTERVAL_S: Final = 10.0
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_UP_AND_CLEAR: Final = "\x1b[1A\x1b[2K"
_HIGHEST: Final = 0.8
"""Share of the terminal's height that the picture may take; pytest needs some as well."""


def is_interactive(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def make_live_console(stream: TextIO, mode: str, size: Callable[[], os.terminal_size]) -> LiveConsole | None:
    """Return a live console for ``--sla-live``: ``auto`` or ``on``; None for ``off``.

    Parameters
    ----------
    stream
        Where pytest writes.
    mode
        ``auto`` and ``on`` show the picture on a terminal and lines elsewhere; ``on`` also trusts a terminal that says
        it can do nothing.
    size
        Columns and lines of the terminal now.
    """
    if mode == "off":
        return None
    return LiveConsole(stream, size, interactive=is_interactive(stream) or (mode == "on" and stream.isatty()))


class LiveConsole:
    """Shows states of a running load; any thread may call it.

    Parameters
    ----------
    stream
        Where to.
    size
        Columns and lines of the terminal now.
    interactive
        Whether to draw a picture; else a line now and then: soon at the beginning of a load, later every ten seconds.
    """

    def __init__(self, stream: TextIO, size: Callable[[], os.terminal_size], *, interactive: bool) -> None:
        self._stream = stream
        self._size = size
        self._interactive = interactive
        # Taken twice where other text is written: that clears the picture first.
        self._lock = RLock()
        self._shown_lines = 0
        self._shown_columns = 0
        self._column = 0
        self._next_line: tuple[tuple[str, str], float, float] = (("", ""), 0.0, 0.0)

    def update(self, state: LiveState) -> None:
        """Show a new state: called about once a second."""
        with self._lock:
            if self._interactive:
                self._draw(state)
            else:
                self._write_line(state)

    def clear(self) -> None:
        """Take the picture away: the load is over, or somebody else wants to write."""
        with self._lock:
            if self._shown_lines:
                self._stream.write(self._erasing())
                self._stream.flush()
                self._shown_lines = 0

    def guarded(self, stream: TextIO) -> GuardedStream:
        """Return a stream to the same terminal that takes the picture away before it writes."""
        return GuardedStream(stream, self)

    def write_through(self, stream: TextIO, text: str) -> int:
        """Write somebody else's text where the picture was."""
        with self._lock:
            self.clear()
            self._column = _column_after(text, self._column) % max(1, self._size().columns)
            return stream.write(text)

    def _draw(self, state: LiveState) -> None:
        columns, height = self._size()
        lines = _rendered(state, columns)[: max(1, int(height * _HIGHEST))]
        erasing = self._erasing() if self._shown_lines else ""
        # Whoever wrote last may not have ended the line: the picture begins below it.
        below = "\n" if self._column else ""
        self._stream.write("".join((erasing, below, *(line + "\n" for line in lines))))
        self._stream.flush()
        self._shown_lines, self._shown_columns = len(lines), columns

    def _erasing(self) -> str:
        """Return what brings the cursor back to where it was before the picture was drawn."""
        # A terminal that has become narrower since has wrapped the lines: at most so many more are to be erased.
        wrapped = -(-self._shown_columns // max(1, self._size().columns))
        back = f"\x1b[1A\x1b[{self._column + 1}G" if self._column else ""
        return f"\r{_UP_AND_CLEAR * (self._shown_lines * wrapped)}{back}"

    def _write_line(self, state: LiveState) -> None:
        load, due_s, pause_s = self._next_line
        is_new = (state.scenario, state.step) != load
        if is_new or state.elapsed_s >= due_s:
            pause_s = _PLAIN_FIRST_S if is_new else min(2 * pause_s, _PLAIN_INTERVAL_S)
            self._next_line = ((state.scenario, state.step), state.elapsed_s + pause_s, pause_s)
            below = "\n" if self._column else ""
            self._stream.write(f"{below}{live_line(state)}\n")
            self._stream.flush()
            self._column = 0


class GuardedStream:
    """A text stream that shares a terminal with a live console; everything but writing is the stream's own."""

    def __init__(self, stream: TextIO, console: LiveConsole) -> None:
        self._stream = stream
        self._console = console

    def write(self, text: str) -> int:
        """Write where the picture was; it comes back with the next state."""
        return self._console.write_through(self._stream, text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _rendered(state: LiveState, columns: int) -> list[str]:
    """Return the picture as lines with escape sequences, none wider than the terminal."""
    # One column is left free: a full line makes some terminals wrap at once.
    console = Console(
        file=StringIO(), width=columns - 1, force_terminal=True, color_system="standard", highlight=False, markup=False
    )
    with console.capture() as capture:
        console.print(live_view(state, columns - 1))
    return capture.get().splitlines()


def _column_after(text: str, column: int) -> int:
    """Return the cursor's column after writing a text that began at ``column``."""
    rest = re.split(r"[\r\n]", _ESCAPES.sub("", text))
    return cell_len(rest[-1]) + (column if len(rest) == 1 else 0)
