from __future__ import annotations

import io
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.reporting.live.live_state import LiveState
from pytest_ari_sla.session.reports.live_views import LiveViews
from pytest_ari_sla.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = LiveState(scenario="t.py::test_a", elapsed_s=1.0, total_s=60.0)


class Terminal:
    """Pytest's terminal reporter, as far as views look at it, over a file."""

    def __init__(self, stream: Any) -> None:
        self._tw = SimpleNamespace(_file=stream)


def config_with(reporter: object) -> Any:
    """Return a configuration with that terminal reporter, or none."""
    return SimpleNamespace(pluginmanager=SimpleNamespace(getplugin=lambda name: reporter))


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Any]:
    """Return a file that stands for the standard output."""
    with (tmp_path / "output.txt").open("w+", encoding="utf-8") as stream:
        yield stream


def test_off_a_terminal_a_load_is_a_plain_line(output: Any, tmp_path: Path) -> None:
    """As in the log of a CI job."""
    views = LiveViews(config_with(Terminal(output)), Settings())
    views.update(STATE)
    views.close()
    assert (tmp_path / "output.txt").read_text().startswith("t.py::test_a: 1 s of 60 s")


def test_the_view_stays_on_the_terminal_while_a_test_s_output_is_captured(output: Any, tmp_path: Path) -> None:
    """Pytest points the same file descriptor elsewhere then."""
    views = LiveViews(config_with(Terminal(output)), Settings())
    captured = os.open(tmp_path / "captured.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(captured, output.fileno())
    views.update(STATE)
    views.close()
    os.close(captured)
    assert (tmp_path / "captured.txt").read_text() == ""
    assert "test_a" in (tmp_path / "output.txt").read_text()


def test_an_output_that_is_no_file_is_written_to_as_it_is() -> None:
    """Where somebody runs pytest inside a program."""
    stream = io.StringIO()
    views = LiveViews(config_with(Terminal(stream)), Settings())
    views.update(STATE)
    views.close()
    assert "test_a" in stream.getvalue()


@pytest.mark.parametrize(("live", "reporter"), [("off", True), ("auto", False)])
def test_nobody_looks_where_it_is_switched_off_or_pytest_writes_nothing(output: Any, live: str, reporter: bool) -> None:
    """``--sla-live off``, and ``-p no:terminal``."""
    views = LiveViews(config_with(Terminal(output) if reporter else None), Settings(live=live))
    assert not views.wanted
    views.update(STATE)
    views.clear()
    views.close()
    assert output.tell() == 0
