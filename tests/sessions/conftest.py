"""Whole pytest sessions, with xdist and without, on the simulator or a real Asterisk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.asterisk.conftest import asterisk22
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.private_asterisk import PrivateAsterisk

__all__ = ["asterisk22"]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Return a project to run pytest in; its target is the simulator."""
    return Session(tmp_path)


@pytest.fixture
def session_on_asterisk(tmp_path: Path, asterisk22: PrivateAsterisk) -> Session:
    """Return a project whose target is a real Asterisk that outlives the session."""
    asterisk22.ensure_alive()
    return Session(tmp_path, asterisk22)
