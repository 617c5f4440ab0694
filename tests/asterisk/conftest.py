"""Real Asterisks, one of each version for the whole session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROVISION = Path(__file__).with_name("provision")


def provisioned_folder(version: str) -> Path:
    """Return the folder that holds a version of Asterisk; a missing one fails the test: nothing is skipped."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache) / "pytest-ari-sla" / f"asterisk-{version}"
    if not (folder / ".provisioned").exists():
        pytest.fail(f"there is no Asterisk {version} to test on; run: {_PROVISION} {version}", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def asterisk22() -> Iterator[PrivateAsterisk]:
    """Return a running Asterisk 22."""
    with PrivateAsterisk(provisioned_folder("22")) as asterisk:
        yield asterisk


@pytest.fixture(scope="session")
def asterisk16() -> Iterator[PrivateAsterisk]:
    """Return a running Asterisk 16."""
    with PrivateAsterisk(provisioned_folder("16")) as asterisk:
        yield asterisk


@pytest.fixture(params=["22", pytest.param("16", marks=pytest.mark.soak)])
def asterisk(request: pytest.FixtureRequest) -> PrivateAsterisk:
    """Return a running Asterisk: the test runs on each version."""
    running: PrivateAsterisk = request.getfixturevalue(f"asterisk{request.param}")
    running.ensure_alive()
    return running


@pytest.fixture(params=["22", "16"])
def asterisk_folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each version, for tests that start an Asterisk of their own."""
    return provisioned_folder(request.param)
