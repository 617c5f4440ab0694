import os
from dataclasses import replace
from io import StringIO

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_ari_sla.reporting.live.live_console import LiveConsole, is_interactive, make_live_console
from tests.unit.reporting.live_states import live_state


class Terminal(StringIO):
    """A terminal of a given size that shows what is written to it."""

    def __init__(self, columns: int = 80, lines: int = 40) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, lines)
        # A terminal driver turns line feeds into new lines.
        self.screen.set_mode(pyte.modes.LNM)
        self._emulator = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        """Show a text."""
        self._emulator.feed(text)
        return len(text)

    def isatty(self) -> bool:
        """Tell that this is a terminal."""
        return True

    def size(self) -> os.terminal_size:
        """Return columns and lines."""
        return os.terminal_size((self.screen.columns, self.screen.lines))

    def shown(self) -> list[str]:
        """Return the lines that are not empty."""
        return [line.rstrip() for line in self.screen.display if line.strip()]


def test_a_new_picture_takes_the_place_of_the_old_one() -> None:
    """The screen does not scroll."""
    terminal = Terminal()
    console = LiveConsole(terminal, terminal.size, interactive=True)
    console.update(live_state(elapsed_s=83))
    first = terminal.shown()
    console.update(live_state(elapsed_s=84))
    assert len(terminal.shown()) == len(first)
    assert sum("84 s of" in line for line in terminal.shown()) == 1
    assert not any("83 s of" in line for line in terminal.shown())


def test_pytests_output_and_the_picture_are_never_mixed() -> None:
    """A progress line that is not ended goes on where it was."""
    terminal = Terminal()
    console = LiveConsole(terminal, terminal.size, interactive=True)
    pytest_output = console.guarded(terminal)
    pytest_output.write("test_a.py \x1b[32m.\x1b[0m")
    console.update(live_state())
    assert terminal.shown()[0] == "test_a.py ."
    pytest_output.write("F")
    console.update(live_state())
    pytest_output.write(".\ntest_b.py ")
    console.update(live_state())
    assert terminal.shown()[:2] == ["test_a.py .F.", "test_b.py"]
    console.clear()
    assert terminal.shown() == ["test_a.py .F.", "test_b.py"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text("ab. \n", max_size=90)), max_size=12))
def test_whatever_is_written_between_pictures_ends_up_as_without_them(steps: list[str | None]) -> None:
    """The law of the console: it leaves no trace."""
    with_pictures, without = Terminal(lines=200), Terminal(lines=200)
    console = LiveConsole(with_pictures, with_pictures.size, interactive=True)
    output = console.guarded(with_pictures)
    for step in steps:
        if step is None:
            console.update(live_state())
        else:
            output.write(step)
            without.write(step)
    console.clear()
    assert with_pictures.screen.display == without.screen.display


def test_a_picture_that_is_too_tall_leaves_room_for_pytest() -> None:
    """On ten lines, two are pytest's."""
    terminal = Terminal(lines=10)
    LiveConsole(terminal, terminal.size, interactive=True).update(live_state())
    assert len(terminal.shown()) == 8


def test_off_a_terminal_lines_come_soon_at_first_and_then_every_ten_seconds() -> None:
    """Who waits sees that something happens, and a log is not flooded; a new scenario is announced at once."""
    log = StringIO()
    console = LiveConsole(log, lambda: os.terminal_size((80, 24)), interactive=False)
    for second in range(37):
        console.update(live_state(elapsed_s=float(second)))
    console.update(live_state(elapsed_s=0.0, scenario="other"))
    console.clear()
    lines = log.getvalue().splitlines()
    assert [line.split("; ")[0].rpartition(": ")[2] for line in lines] == [
        "0 s of 5:00 min ramp",
        "1 s of 5:00 min ramp",
        "3 s of 5:00 min ramp",
        "7 s of 5:00 min ramp",
        "15 s of 5:00 min ramp",
        "25 s of 5:00 min ramp",
        "35 s of 5:00 min ramp",
        "0 s of 5:00 min ramp",
    ]
    assert "\x1b" not in log.getvalue()


def test_off_a_terminal_a_line_begins_below_pytests_progress() -> None:
    """``test_a.py ..`` stays a line of its own."""
    log = StringIO()
    console = LiveConsole(log, lambda: os.terminal_size((80, 24)), interactive=False)
    console.guarded(log).write("test_a.py ..")
    console.update(live_state())
    assert log.getvalue().startswith("test_a.py ..\nscenarios/")


def test_a_guarded_stream_is_otherwise_the_stream_itself() -> None:
    """Pytest asks it for its encoding and whether it is a terminal."""
    terminal = Terminal()
    guarded = LiveConsole(terminal, terminal.size, interactive=True).guarded(terminal)
    assert guarded.isatty()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("mode", "term", "tty", "kind"),
    [
        ("off", "xterm", True, "none"),
        ("auto", "xterm", True, "picture"),
        ("auto", "dumb", True, "lines"),
        ("on", "dumb", True, "picture"),
        ("auto", "xterm", False, "lines"),
        ("on", "xterm", False, "lines"),
    ],
)
def test_the_option_chooses_between_picture_lines_and_nothing(
    mode: str, term: str, tty: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``auto`` looks at the terminal, ``on`` insists, ``off`` is silent."""
    monkeypatch.setenv("TERM", term)
    stream = Terminal() if tty else StringIO()
    console = make_live_console(stream, mode, lambda: os.terminal_size((80, 24)))
    assert is_interactive(stream) == (tty and term == "xterm")
    if console is None:
        assert kind == "none"
        return
    console.update(replace(live_state(), elapsed_s=0.0))
    written = "\n".join(stream.shown()) if isinstance(stream, Terminal) else stream.getvalue()
    assert ("picture" if "Threshold" in written else "lines") == kind
