"""Asterisk's WebSocket media comes to a port of ours that it did not know when it was started."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.errors import AriRequestFailed, TargetIncomplete
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_WITHIN_S = 30.0
_SECTION = "/asterisk/config/dynamic/res_websocket_client/websocket_client/{id}"


class MediaServer:
    """Takes WebSockets of Asterisk, and keeps the first text message of each."""

    def __init__(self) -> None:
        self.first_words: asyncio.Queue[str] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.WebSocketResponse:
        """Speak the sub-protocol for media until the other side closes."""
        socket = web.WebSocketResponse(protocols=("media",))
        await socket.prepare(request)
        told = False
        async for message in socket:
            if not told and isinstance(message.data, str):
                told = True
                self.first_words.put_nowait(message.data)
        return socket


@pytest.fixture
async def media_server() -> AsyncIterator[tuple[MediaServer, str]]:
    """Return a server that Asterisk can connect to, and its URI."""
    server = MediaServer()
    application = web.Application()
    application.router.add_get("/legs", server.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, f"ws://127.0.0.1:{runner.addresses[0][1]}/legs"
    await runner.cleanup()


def session_with(asterisk: PrivateAsterisk) -> AriSession:
    """Return a session of its own, not opened yet."""
    name = f"w{secrets.token_hex(4)}"
    endpoint = asterisk.endpoint
    return AriSession(endpoint.base_url, endpoint.user, endpoint.password, app=name, id_prefix=name)


async def test_asterisk_connects_to_where_the_offer_says(
    asterisk22: PrivateAsterisk, media_server: tuple[MediaServer, str]
) -> None:
    """The channel is in the application; at the end neither it nor the section is left."""
    server, uri = media_server
    offer = MediaOffer(websocket_uri=uri, transport="websocket", encapsulation="none")
    async with session_with(asterisk22) as session:
        channel_id = session.new_id("channel")
        await session.external_media(channel_id, offer.external_host, "ulaw", **offer.options())
        words = await asyncio.wait_for(server.first_words.get(), _WITHIN_S)
        await session.watch(channel_id).in_stasis(_WITHIN_S)
    assert "MEDIA_START" in words
    assert channel_id in words
    async with session_with(asterisk22) as other:
        with pytest.raises(AriRequestFailed, match="not found"):
            await other.request("GET", _SECTION, path={"id": f"{session.app}.websocket-1"})


async def test_versions_without_websockets_say_what_they_lack(asterisk16: PrivateAsterisk) -> None:
    """16 has RTP only; no channel is asked for."""
    offer = MediaOffer(websocket_uri="ws://127.0.0.1:9/", transport="websocket", encapsulation="none")
    async with session_with(asterisk16) as session:
        with pytest.raises(TargetIncomplete, match="does not run res_websocket_client"):
            await session.external_media(session.new_id("channel"), "", "ulaw", **offer.options())


async def test_an_asterisk_that_keeps_no_sections_in_memory_says_what_to_write() -> None:
    """As one does that somebody else has set up."""
    with PrivateAsterisk(provisioned_folder("22"), files={"sorcery.conf": ""}) as asterisk:
        async with session_with(asterisk) as session:
            with pytest.raises(TargetIncomplete, match=r"sorcery\.conf"):
                await session.external_media(
                    session.new_id("channel"), "", "ulaw", transport="websocket", websocket_uri="ws://127.0.0.1:9/"
                )
