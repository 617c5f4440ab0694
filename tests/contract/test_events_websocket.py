"""The event WebSocket: several applications, everything at once, a connection that takes over from another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri


async def test_one_socket_can_serve_several_applications(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """Events of several applications share a socket and say whose they are."""
    log, first, second = await raw_ari.listen("first,second"), new_id("chan"), new_id("chan")
    await raw_ari.external_media(first, app="first")
    await raw_ari.external_media(second, app="second")
    started = [await log.wait_for("StasisStart", channel) for channel in (first, second)]
    await log.settle()
    assert [event["application"] for event in started] == ["first", "second"]
    assert all(event["asterisk_id"] for event in log.events)


@pytest.mark.parametrize("query", [{}, {"app": ""}, {"subscribeAll": "true"}])
async def test_a_socket_without_an_application_is_refused(raw_ari: RawAri, query: dict[str, str]) -> None:
    """The handshake answers 400 when no application is named.

    On a connection of its own: Asterisk answers such a handshake twice, and the second answer would be taken for that
    of the next request.
    """
    async with aiohttp.ClientSession(headers={"Authorization": raw_ari.endpoint.authorization}) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(raw_ari.base + "/events", params=query)
    assert refused.value.status == 400


async def test_events_cannot_be_fetched_by_plain_http(raw_ari: RawAri) -> None:
    """GET /events without an upgrade answers 426."""
    async with raw_ari.session.get(raw_ari.base + "/events", params={"app": "plain"}) as response:
        assert response.status == 426


async def test_a_second_socket_takes_an_application_over(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """The first socket is told that it was replaced and stays open, but events go to the second one only."""
    first = await raw_ari.listen("wanted")
    second = await raw_ari.listen("wanted")
    replaced = await first.wait_for("ApplicationReplaced")
    assert replaced["application"] == "wanted"
    channel = new_id("chan")
    await raw_ari.external_media(channel, app="wanted")
    await second.wait_for("StasisStart", channel)
    assert [event["type"] for event in await first.settle()] == ["ApplicationReplaced"]
    assert first.closed is None


async def test_a_replaced_socket_does_not_take_the_application_along(raw_ari: RawAri) -> None:
    """Closing the socket that was replaced leaves the application to the other."""
    first = await raw_ari.listen("wanted")
    await raw_ari.listen("wanted")
    await first.wait_for("ApplicationReplaced")
    await first.socket.close()
    await first.settle()
    assert await raw_ari.has_applications(["wanted"])


async def test_only_the_shared_application_is_replaced(raw_ari: RawAri) -> None:
    """Of two applications on one socket the other one goes on."""
    both = await raw_ari.listen("stays,moves")
    await raw_ari.listen("moves")
    await both.wait_for("ApplicationReplaced")
    replaced = [event["application"] for event in await both.settle()]
    assert replaced == ["moves"]
    assert await raw_ari.has_applications(["stays", "moves"])


async def test_subscribe_all_shows_everything(raw_ari: RawAri, new_id: Callable[[str], str]) -> None:
    """With subscribeAll an application sees channels from their creation, bridges and device states of others."""
    watcher = await raw_ari.listen("everything", subscribeAll="true")
    await raw_ari.listen()
    topics = {
        "channel_ids": ["__AST_CHANNEL_ALL_TOPIC"],
        "bridge_ids": ["__AST_BRIDGE_ALL_TOPIC"],
        "endpoint_ids": ["__AST_ENDPOINT_ALL_TOPIC"],
        "device_names": ["__AST_DEVICE_STATE_ALL_TOPIC"],
    }

    async def subscribed() -> bool:
        told = (await raw_ari.get("/applications/everything")).body
        return all(told[kind] == topic for kind, topic in topics.items())

    await raw_ari.until(subscribed)
    channel, bridge, device = new_id("chan"), new_id("bridge"), new_id("Stasis:dev")
    port = (await raw_ari.external_media(channel)).body["channelvars"]["UNICASTRTP_LOCAL_PORT"]
    await watcher.wait_for("ChannelVarset", channel, count=3)
    await raw_ari.delete(f"/channels/{channel}")
    await watcher.wait_for("ChannelDestroyed", channel)
    assert await watcher.story(channel) == [
        "ChannelCreated",
        "ChannelVarset UNICASTRTP_LOCAL_ADDRESS=127.0.0.1",
        f"ChannelVarset UNICASTRTP_LOCAL_PORT={port}",
        "ChannelDialplan AppDial2",
        "Dial",
        "ChannelStateChange Up",
        "Dial ANSWER",
        "ChannelVarset STASISSTATUS=",
        "ChannelHangupRequest 32 soft",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 16",
    ]
    await raw_ari.post("/bridges", bridgeId=bridge)
    await raw_ari.delete(f"/bridges/{bridge}")
    assert await watcher.story(bridge) == ["BridgeCreated", "BridgeDestroyed"]
    await raw_ari.put(f"/deviceStates/{device}", deviceState="BUSY")
    changes = [event["device_state"] for event in await watcher.settle() if event["type"] == "DeviceStateChanged"]
    assert {"name": device, "state": "BUSY"} in changes
    await raw_ari.delete(f"/deviceStates/{device}")
