"""Stasis applications: registering by listening, subscriptions, event filters, user events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]


def application(name: str, **subscriptions: Any) -> dict[str, Any]:
    """Return what ARI tells of an application."""
    empty: dict[str, Any] = {
        "name": name,
        "channel_ids": [],
        "bridge_ids": [],
        "endpoint_ids": [],
        "device_names": [],
        "events_allowed": [],
        "events_disallowed": [],
    }
    return empty | subscriptions


async def test_an_application_exists_while_somebody_listens(raw_ari: RawAri) -> None:
    """Listening registers an application; closing the socket removes it."""
    log = await raw_ari.listen("short")
    assert (await raw_ari.get("/applications")).body == [application("short")]
    assert (await raw_ari.get("/applications/short")).body == application("short")
    await log.socket.close()

    async def gone() -> bool:
        return not await raw_ari.has_applications(["short"])

    await raw_ari.until(gone)
    assert (await raw_ari.get("/applications/short")).error == (404, "Application not found")


async def test_an_application_outlives_its_socket_while_it_has_channels(raw_ari: RawAri, new_id: NewId) -> None:
    """An application that still has a subscription stays when its socket is closed."""
    log, channel = await raw_ari.listen("widow"), new_id("chan")
    await raw_ari.external_media(channel, log, app="widow")
    await log.socket.close()
    assert (await raw_ari.get("/applications/widow")).body == application("widow", channel_ids=[channel])


async def test_a_subscription_brings_another_applications_events(raw_ari: RawAri, new_id: NewId) -> None:
    """A subscribed application sees what happens to the channel, but neither StasisStart nor StasisEnd: not its own."""
    own, other, channel = await raw_ari.listen(), await raw_ari.listen("other"), new_id("chan")
    await raw_ari.external_media(channel, own)
    for _ in range(2):  # twice does no harm
        reply = await raw_ari.post("/applications/other/subscription", eventSource=f"channel:{channel}")
        assert reply.body == application("other", channel_ids=[channel])
    assert (await raw_ari.delete(f"/channels/{channel}")).status == 204
    await own.wait_for("ChannelDestroyed", channel)
    await other.wait_for("ChannelDestroyed", channel)
    assert await other.story(channel) == [
        "ChannelHangupRequest 32 soft",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 16",
    ]
    assert (await raw_ari.get("/applications/other")).body == application("other")


async def test_a_subscription_to_a_bridge(raw_ari: RawAri, new_id: NewId) -> None:
    """A subscribed application sees a bridge end; nobody else does."""
    own, other, bridge = await raw_ari.listen(), await raw_ari.listen("other"), new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    reply = await raw_ari.post("/applications/other/subscription", eventSource=f"bridge:{bridge}")
    assert reply.body == application("other", bridge_ids=[bridge])
    await raw_ari.delete(f"/bridges/{bridge}")
    assert await other.story(bridge) == ["BridgeDestroyed"]
    assert await own.story(bridge) == []


async def test_unsubscribing_ends_the_events(raw_ari: RawAri, new_id: NewId) -> None:
    """After DELETE of a subscription nothing more of the channel arrives."""
    own, other, channel = await raw_ari.listen(), await raw_ari.listen("other"), new_id("chan")
    await raw_ari.external_media(channel, own)
    await raw_ari.post("/applications/other/subscription", eventSource=f"channel:{channel}")
    reply = await raw_ari.delete("/applications/other/subscription", eventSource=f"channel:{channel}")
    assert (reply.status, reply.body) == (200, application("other"))
    await raw_ari.delete(f"/channels/{channel}")
    await own.wait_for("ChannelDestroyed", channel)
    assert await other.settle() == []


@pytest.mark.parametrize(
    ("app", "source", "error"),
    [
        ("contract", None, (400, "Missing parameter eventSource")),
        ("contract", "bogus:x", (400, "Invalid event source URI scheme")),
        ("contract", "channel:nosuch", (422, "Event source does not exist")),
        ("contract", "bridge:nosuch", (422, "Event source does not exist")),
        ("contract", "endpoint:PJSIP/x", (422, "Event source does not exist")),
        ("nosuch", "channel:x", (404, "Application not found")),
    ],
)
async def test_impossible_subscriptions(raw_ari: RawAri, app: str, source: str | None, error: tuple[int, str]) -> None:
    """Subscribing to nothing, to an unknown kind, to what is not there, or for nobody."""
    await raw_ari.listen()
    parameters = {"eventSource": source} if source else {}
    assert (await raw_ari.post(f"/applications/{app}/subscription", **parameters)).error == error


@pytest.mark.parametrize(
    ("app", "source", "error"),
    [
        ("contract", None, (400, "Missing parameter eventSource")),
        ("contract", "bogus", (400, "Invalid event source URI scheme")),
        ("contract", "channel:nosuch", (422, "Event source was not subscribed to")),
        ("contract", "deviceState:Stasis:never", (422, "Event source was not subscribed to")),
        ("nosuch", "channel:x", (404, "Application not found")),
    ],
)
async def test_impossible_unsubscriptions(
    raw_ari: RawAri, app: str, source: str | None, error: tuple[int, str]
) -> None:
    """Unsubscribing from what was never subscribed to."""
    await raw_ari.listen()
    parameters = {"eventSource": source} if source else {}
    assert (await raw_ari.delete(f"/applications/{app}/subscription", **parameters)).error == error


async def test_subscribing_to_all_channels(raw_ari: RawAri, new_id: NewId) -> None:
    """The event source "channel:" means every channel, from its creation on."""
    watcher, own, channel = await raw_ari.listen("all_channels"), await raw_ari.listen(), new_id("chan")
    reply = await raw_ari.post("/applications/all_channels/subscription", eventSource="channel:")
    assert reply.body == application("all_channels", channel_ids=["__AST_CHANNEL_ALL_TOPIC"])
    await raw_ari.external_media(channel)
    await own.wait_for("StasisStart", channel)
    await watcher.wait_for("ChannelVarset", channel, count=3)
    assert (await watcher.story(channel))[0] == "ChannelCreated"


@pytest.mark.parametrize(
    ("body", "status", "filters"),
    [
        ({"allowed": [{"type": "StasisStart"}]}, 200, {"events_allowed": [{"type": "StasisStart"}]}),
        ({"disallowed": [{"type": "Dial"}]}, 200, {"events_disallowed": [{"type": "Dial"}]}),
        ({"bogus": 1}, 200, {}),
        ({}, 200, {}),
        ({"allowed": "x"}, 400, None),
        ({"allowed": [{"x": 1}]}, 400, None),
    ],
)
async def test_event_filters_are_told(
    raw_ari: RawAri, body: dict[str, Any], status: int, filters: dict[str, Any] | None
) -> None:
    """PUT eventFilter answers with the application and its filters, or 400 for what is no filter."""
    await raw_ari.listen("filtered")
    reply = await raw_ari.put("/applications/filtered/eventFilter", body)
    if filters is None:
        assert reply.error == (status, "Invalid format definition")
    else:
        assert (reply.status, reply.body) == (status, application("filtered", **filters))
    await raw_ari.put("/applications/filtered/eventFilter", {})


async def test_event_filters_hold_back_events(raw_ari: RawAri, new_id: NewId) -> None:
    """Only allowed events arrive, and what is disallowed does not, even if it is allowed."""
    log, channel = await raw_ari.listen("filtered"), new_id("chan")
    allowed = [{"type": "StasisEnd"}, {"type": "StasisStart"}]
    await raw_ari.put(
        "/applications/filtered/eventFilter", {"allowed": allowed, "disallowed": [{"type": "StasisStart"}]}
    )
    await raw_ari.external_media(channel, app="filtered")
    await log.settle()
    await raw_ari.delete(f"/channels/{channel}")
    await log.wait_for("StasisEnd", channel)
    assert await log.story(channel) == ["StasisEnd"]
    await raw_ari.put("/applications/filtered/eventFilter", {})


async def test_filtering_for_nobody_answers_404(raw_ari: RawAri) -> None:
    """An application that nobody registered has no filter."""
    assert (await raw_ari.put("/applications/nosuch/eventFilter", {})).error == (404, "Application not found")


async def test_user_events_reach_the_application(raw_ari: RawAri, new_id: NewId) -> None:
    """A user event brings its variables, and the channel that it is about."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post("/events/user/plain", application="contract")).status == 204
    body = {"variables": {"colour": "blue"}}
    source = f"channel:{channel}"
    assert (await raw_ari.post("/events/user/about", body, application="contract", source=source)).status == 204
    plain, about = await log.wait_for("ChannelUserevent"), await log.wait_for("ChannelUserevent", channel)
    await log.settle()
    assert (plain["eventname"], plain["userevent"]) == ("plain", {"eventname": "plain"})
    assert about["userevent"] == {"eventname": "about", "colour": "blue"}
    assert "channel" not in plain
    assert about["channel"]["id"] == channel


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, (400, "Missing parameter application")),
        ({"application": "nosuch"}, (404, "Application not found")),
        ({"application": "contract", "source": "channel:nosuch"}, (422, "Event source was not found")),
        ({"application": "contract", "source": "bogus:x"}, (400, "Invalid event source URI scheme")),
    ],
)
async def test_impossible_user_events(raw_ari: RawAri, parameters: dict[str, str], error: tuple[int, str]) -> None:
    """User events for nobody, or about nothing."""
    await raw_ari.listen()
    assert (await raw_ari.post("/events/user/hello", **parameters)).error == error
