from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import AriAuthenticationFailed, TargetIncomplete
from tests.unit.ari_client.ari_server import PASSWORD, USER, FakeAri, cut, refusal

if TYPE_CHECKING:
    from aiohttp import web

OURS = "ws://127.0.0.1:4000/media"
SECTION = "/ari/asterisk/config/dynamic/res_websocket_client/websocket_client/run.websocket-1"


def session_of(fake_ari: FakeAri) -> AriSession:
    """Return a session, not opened yet."""
    return AriSession(fake_ari.url, USER, PASSWORD, app="app", id_prefix="run", request_timeout_s=5)


async def call(session: AriSession, offer: MediaOffer) -> None:
    """Make a channel by what an endpoint offers."""
    await session.external_media(session.new_id("channel"), offer.external_host, "ulaw", **offer.options())


def offer_of(uri: str) -> MediaOffer:
    """Return what a leg offers whose WebSocket comes to us."""
    return MediaOffer(websocket_uri=uri, transport="websocket", encapsulation="none")


async def test_the_section_is_written_once_before_the_first_channel_and_removed_at_the_end(fake_ari: FakeAri) -> None:
    """Asterisk takes the name of a section, never a URI."""
    async with session_of(fake_ari) as session:
        await asyncio.gather(*(call(session, offer_of(OURS)) for _ in range(3)))
        assert fake_ari.sections == {
            "run.websocket-1": {"connection_type": "per_call_config", "uri": OURS, "protocols": "media"}
        }
    hosts = [query["external_host"] for method, path, query in fake_ari.requests if path.endswith("externalMedia")]
    assert hosts == ["run.websocket-1"] * 3
    assert fake_ari.seen("PUT", SECTION) == 1
    assert fake_ari.sections == {}


async def test_each_uri_has_a_section_of_its_own(fake_ari: FakeAri) -> None:
    """Two transports, or one that tells calls apart by path."""
    async with session_of(fake_ari) as session:
        for uri in ("ws://127.0.0.1:1/a", "ws://127.0.0.1:1/b", "ws://127.0.0.1:1/a"):
            await call(session, offer_of(uri))
        assert {name: section["uri"] for name, section in fake_ari.sections.items()} == {
            "run.websocket-1": "ws://127.0.0.1:1/a",
            "run.websocket-2": "ws://127.0.0.1:1/b",
        }


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (404, "configClass 'res_websocket_client' not found", "load it and chan_websocket in modules.conf"),
        (403, "Cannot create sorcery objects of type 'websocket_client'", r"add to sorcery\.conf"),
        (400, "Creation of object 'x' failed field value validation", r"did not take .* \(400: Creation of object"),
    ],
)
async def test_a_refusal_says_what_to_load_or_to_write(fake_ari: FakeAri, status: int, reason: str, words: str) -> None:
    """No channel is asked for, and nothing of it is kept: the next call asks again."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return refusal(status, reason) if request.method == "PUT" else None

    async with session_of(fake_ari) as session:
        fake_ari.interfere = refuse
        for _ in range(2):
            with pytest.raises(TargetIncomplete, match=words):
                await call(session, offer_of(OURS))
    assert fake_ari.seen("PUT", SECTION) == 2
    assert fake_ari.seen("DELETE", SECTION) == 0
    assert fake_ari.channels == {}


async def test_a_user_that_may_only_read_is_told_from_a_configuration_that_nobody_may_write(fake_ari: FakeAri) -> None:
    """Both are answered with 403."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return refusal(403, "Write access denied") if request.method == "PUT" else None

    async with session_of(fake_ari) as session:
        fake_ari.interfere = refuse
        with pytest.raises(AriAuthenticationFailed, match="read_only"):
            await call(session, offer_of(OURS))


async def test_a_section_whose_request_broke_is_removed_all_the_same(fake_ari: FakeAri) -> None:
    """Asterisk may have written it."""

    async def write_and_cut(request: web.Request) -> web.StreamResponse | None:
        if request.method != "PUT":
            return None
        fake_ari.sections[request.path.rpartition("/")[2]] = {}
        return await cut(request)

    async with session_of(fake_ari) as session:
        fake_ari.interfere = write_and_cut
        with pytest.raises(Exception, match="closed the connection"):
            await call(session, offer_of(OURS))
    assert fake_ari.sections == {}


async def test_a_section_that_stays_is_noted(fake_ari: FakeAri) -> None:
    """It harms nobody, but it is ours."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return refusal(500, "no") if request.method == "DELETE" and "websocket" in request.path else None

    async with session_of(fake_ari) as session:
        await call(session, offer_of(OURS))
        fake_ari.interfere = refuse
    assert "section run.websocket-1 of websocket_client.conf is left at Asterisk" in str(session.notes[-1])


async def test_a_check_leaves_nothing(fake_ari: FakeAri) -> None:
    """It writes a section that leads nowhere, and removes it."""
    async with session_of(fake_ari) as session:
        await session.check_websocket_clients()
        assert fake_ari.sections == {}
    assert [method for method, path, _ in fake_ari.requests if "websocket_client" in path] == ["PUT", "DELETE"]
