from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari_client.event_stream.events import back_off_s, words_for_close

if TYPE_CHECKING:
    from pytest_ari_sla.ari_client.session import AriSession
    from tests.unit.ari_client.ari_server import FakeAri


async def first_note(session: AriSession, kind: str) -> str:
    """Wait for a note of a kind and return its reason."""
    async with asyncio.timeout(5):
        while not (found := [note.reason for note in session.notes if note.kind == kind]):
            await asyncio.sleep(0.001)
    return found[0]


@given(st.integers(0, 10_000))
def test_pauses_double_up_to_a_cap(attempt: int) -> None:
    """However long it lasts."""
    assert back_off_s(0) == 0.1
    assert back_off_s(attempt + 1) == min(5.0, 2 * back_off_s(attempt))


async def test_a_stream_that_asterisk_closes_is_restored(fake_ari: FakeAri, session: AriSession) -> None:
    """As it does when it restarts; the note has the close code."""
    await fake_ari.sockets[0].close(code=1001)
    assert "closed by Asterisk with code 1001" in await first_note(session, "disconnected")
    await first_note(session, "reconnected")


async def test_an_event_that_is_not_utf8_is_read_all_the_same(fake_ari: FakeAri, session: AriSession) -> None:
    """A caller's name in Latin-1 must not cost the stream, nor the event."""
    writer = fake_ari.sockets[0]._writer
    assert writer is not None
    watch = session.watch("x")
    event = b'{"type": "StasisStart", "channel": {"id": "x", "caller": {"name": "M\xfcller"}}}'
    await writer.send_frame(event, WSMsgType.TEXT)
    await watch.in_stasis(60)
    assert session.notes == []


@pytest.mark.parametrize(
    ("code", "failure", "words"),
    [
        (1006, None, "websocket_write_timeout"),
        (None, None, "websocket_write_timeout"),
        (1006, aiohttp.ServerTimeoutError(), "no answer to a ping"),
        (1000, None, "closed by Asterisk with code 1000"),
    ],
)
def test_each_way_to_end_has_its_own_words(code: int | None, failure: Exception | None, words: str) -> None:
    """A slow reader, a dead peer and an orderly end call for different remedies."""
    socket = SimpleNamespace(close_code=code, exception=lambda: failure)
    assert words in words_for_close(cast("Any", socket))
