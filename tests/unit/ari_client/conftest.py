from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari_client.session import AriSession
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def fake_ari() -> AsyncIterator[FakeAri]:
    """Return a small ARI that behaves until told otherwise."""
    async with FakeAri() as server:
        yield server


@pytest.fixture
async def session(fake_ari: FakeAri) -> AsyncIterator[AriSession]:
    """Return a session with that ARI."""
    async with AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", request_timeout_s=5) as session:
        yield session
