"""WebSocket media, connected by the peer: ``/media/ID`` beside ARI. Since Asterisk 20.16 and 22.6."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.contract.rtp_endpoint import pattern
from tests.contract.stream_peers import MediaConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]


@pytest.fixture(params=["simulator", "asterisk-22"])
def target_name(request: pytest.FixtureRequest) -> str:
    """Run the test once for each target that has WebSocket media."""
    return str(request.param)


async def ask(ari: RawAri, channel: str) -> str:
    """Ask for a channel that awaits our connection; return that connection's id."""
    options = {"app": "contract", "format": "ulaw", "encapsulation": "none", "transport": "websocket"}
    reply = await ari.post(
        "/channels/externalMedia",
        channelId=channel,
        connection_type="server",
        transport_data="f(json)",
        **options,
    )
    assert reply.status == 200, reply.body
    assert reply.body["name"].startswith("WebSocket/INCOMING/0x")
    connection_id = reply.body["channelvars"]["MEDIA_WEBSOCKET_CONNECTION_ID"]
    assert isinstance(connection_id, str)
    return connection_id


def url_of(ari: RawAri, connection_id: str) -> str:
    """Return where a connection is awaited."""
    return f"{ari.base.removesuffix('/ari')}/media/{connection_id}"


@asynccontextmanager
async def connected(ari: RawAri, connection_id: str) -> AsyncIterator[MediaConnection]:
    """Connect, without credentials: the id is the secret."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url_of(ari, connection_id), protocols=("media",)) as socket,
    ):
        connection = MediaConnection(socket)
        reading = asyncio.create_task(connection.read())
        yield connection
        await socket.close()
        await reading


async def test_the_channel_waits_for_the_connection(raw_ari: RawAri, new_id: NewId) -> None:
    """Only then it is answered and enters the application."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection_id = await ask(raw_ari, channel)
    await log.settle()
    assert "StasisStart" not in {event["type"] for event in log.events}
    async with connected(raw_ari, connection_id) as connection:
        start = await connection.event("MEDIA_START")
        assert (start["channel_id"], start["connection_id"]) == (channel, connection_id)
        await log.wait_for("StasisStart", channel)
        assert await log.story(channel) == [
            "Dial",
            "ChannelStateChange Up",
            "Dial ANSWER",
            "ChannelVarset STASISSTATUS=",
            "StasisStart",
        ]


async def test_media_comes_back_untouched(raw_ari: RawAri, new_id: NewId) -> None:
    """The peer's frames are masked, Asterisk's are not."""
    log, channel = await raw_ari.listen(), new_id("chan")
    async with connected(raw_ari, await ask(raw_ari, channel)) as connection:
        await log.wait_for("StasisStart", channel)
        await raw_ari.post(f"/channels/{channel}/continue", context="default", extension="echo")
        await log.wait_for("StasisEnd", channel)
        await connection.socket.send_bytes(pattern(1))
        await connection.heard(pattern(1))


async def test_a_peer_that_closes_ends_the_call(raw_ari: RawAri, new_id: NewId) -> None:
    """Without a cause."""
    log, channel = await raw_ari.listen(), new_id("chan")
    async with connected(raw_ari, await ask(raw_ari, channel)):
        await log.wait_for("StasisStart", channel)
    assert (await log.wait_for("ChannelDestroyed", channel))["cause"] == 0


async def test_a_channel_that_is_hung_up_closes_its_connection(raw_ari: RawAri, new_id: NewId) -> None:
    """Code 1000, normal closure."""
    log, channel = await raw_ari.listen(), new_id("chan")
    async with connected(raw_ari, await ask(raw_ari, channel)) as connection:
        await log.wait_for("StasisStart", channel)
        await raw_ari.delete(f"/channels/{channel}")
        assert await connection.over() == 1000


async def test_an_id_that_nobody_awaits_is_not_found(raw_ari: RawAri) -> None:
    """Nor is one whose channel has ended."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(raw_ari, "40325ec2-5efd-4bd3-805f-53576e581d13"):
            pass
    assert refused.value.status == 404


async def test_a_second_connection_is_a_conflict(raw_ari: RawAri, new_id: NewId) -> None:
    """The first one goes on."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection_id = await ask(raw_ari, channel)
    async with connected(raw_ari, connection_id) as connection:
        await log.wait_for("StasisStart", channel)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(raw_ari, connection_id):
                pass
        assert refused.value.status == 409
        await connection.command("GET_STATUS")
        await connection.event("STATUS")


async def test_a_channel_that_nobody_connects_to_can_be_hung_up(raw_ari: RawAri, new_id: NewId) -> None:
    """It never was in the application."""
    log, channel = await raw_ari.listen("contract", subscribeAll="true"), new_id("chan")
    connection_id = await ask(raw_ari, channel)
    assert (await raw_ari.delete(f"/channels/{channel}")).status == 204
    await log.wait_for("ChannelDestroyed", channel)
    assert "StasisStart" not in {event["type"] for event in log.events}
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with connected(raw_ari, connection_id):
            pass
