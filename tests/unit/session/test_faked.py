"""What is faked in a process that is to make a load is told before the first call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.session.machine import faked
from pytest_ari_sla.session.machine.faked import check_nothing_is_faked

if TYPE_CHECKING:
    from pathlib import Path


def test_a_usual_process_makes_loads() -> None:
    """Its clocks and its files are the machine's."""
    check_nothing_is_faked()


@pytest.mark.parametrize("clock", ["monotonic_ns", "time_ns"])
def test_a_clock_that_is_faked_is_told(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """One that stands still would keep a load from ever ending."""
    monkeypatch.setattr(time, clock, lambda: 1_577_836_800_000_000_000)
    with pytest.raises(UsageError, match="freezegun"):
        check_nothing_is_faked()


def test_a_file_system_that_is_faked_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes and their memory are not in it."""
    monkeypatch.setattr(faked, "_PROC", tmp_path / "proc")
    with pytest.raises(UsageError, match="pyfakefs"):
        check_nothing_is_faked()
