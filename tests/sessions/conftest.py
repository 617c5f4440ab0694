"""Whole pytest sessions, with xdist and without, on the simulator or a real Asterisk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.asterisk.conftest import asterisk22
from tests.sessions.fresh_environment import ROOT, installed
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

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


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return a folder for environments, which all workers of xdist share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "environments"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def plain_python(environments: Path) -> Path:
    """Return the interpreter of a fresh environment with this tool, and what it requires, alone."""
    return installed(environments / "plain", str(ROOT))
