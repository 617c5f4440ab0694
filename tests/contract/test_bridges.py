"""Bridges: making them, joining and leaving, what happens to channels in them, playing into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import EventLog, RawAri

    NewId = Callable[[str], str]

_NOT_FOUND = (404, "Bridge not found")


async def channels_in_stasis(ari: RawAri, log: EventLog, new_id: NewId, count: int) -> list[str]:
    """Make channels and forget how."""
    channels = [new_id("chan") for _ in range(count)]
    for channel in channels:
        await ari.external_media(channel, log)
    await log.forget()
    return channels


async def bridge_with(ari: RawAri, log: EventLog, new_id: NewId, channels: list[str], kind: str = "mixing") -> str:
    """Make a bridge with channels in it and forget how."""
    bridge = new_id("bridge")
    assert (await ari.post("/bridges", bridgeId=bridge, type=kind)).status == 200
    if channels:
        assert (await ari.post(f"/bridges/{bridge}/addChannel", channel=",".join(channels))).status == 204
        await log.wait_for("ChannelEnteredBridge", channels[-1])
    await log.forget()
    return bridge


async def test_a_new_bridge_is_empty(raw_ari: RawAri, new_id: NewId) -> None:
    """A bridge is told when it is made, in the list, and by id."""
    log, bridge = await raw_ari.listen(), new_id("bridge")
    body = (await raw_ari.post("/bridges", bridgeId=bridge, type="mixing", name="room")).body
    assert (await raw_ari.get(f"/bridges/{bridge}")).body == body
    assert (await raw_ari.get("/bridges")).body == [body]
    del body["creationtime"]
    assert body == {
        "id": bridge,
        "technology": "simple_bridge",
        "bridge_type": "mixing",
        "bridge_class": "stasis",
        "creator": "Stasis",
        "name": "room",
        "channels": [],
        "video_mode": "talker",
    }
    assert await log.settle() == []


@pytest.mark.parametrize(
    ("kind", "technology", "told"),
    [
        ("mixing", "simple_bridge", "mixing"),
        ("holding", "holding_bridge", "holding"),
        ("mixing,dtmf_events", "simple_bridge", "mixing"),
        ("mixing,dtmf_events,proxy_media", "simple_bridge", "mixing"),
    ],
)
async def test_the_type_chooses_the_technology(
    raw_ari: RawAri, new_id: NewId, kind: str, technology: str, told: str
) -> None:
    """Mixing bridges start simple; holding bridges hold."""
    body = (await raw_ari.post(f"/bridges/{new_id('bridge')}", type=kind)).body
    assert (body["technology"], body["bridge_type"]) == (technology, told)


async def test_without_an_id_a_bridge_gets_a_uuid(raw_ari: RawAri) -> None:
    """A bridge without a wish gets a UUID."""
    assert len((await raw_ari.post("/bridges")).body["id"]) == 36


async def test_an_unknown_type_fails(raw_ari: RawAri, new_id: NewId) -> None:
    """A type that does not exist answers 500."""
    bridge = new_id("bridge")
    reply = await raw_ari.post("/bridges", bridgeId=bridge, type="bogus")
    guess = f". Possible duplicate bridge id '{bridge}'" if raw_ari.major > 16 else ""
    assert reply.error == (500, f"Unable to create bridge{guess}")


async def test_making_a_bridge_twice(raw_ari: RawAri, new_id: NewId) -> None:
    """Asterisk 22 answers 409; in 16 a living id makes POST /bridges an update, and fails in the path with 500."""
    bridge = new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    in_query = await raw_ari.post("/bridges", bridgeId=bridge, type="mixing")
    in_path = await raw_ari.post(f"/bridges/{bridge}", type="mixing")
    if raw_ari.major > 16:
        taken = (409, f"Bridge with id '{bridge}' already exists")
        assert (in_query.error, in_path.error) == (taken, taken)
    else:
        assert in_query.status == 200
        assert in_path.error == (500, "Supplying a bridge type when updating a bridge is not allowed.")


async def test_a_bridge_id_has_one_case(raw_ari: RawAri, new_id: NewId) -> None:
    """Other than channels, bridges are found by their exact id only."""
    bridge = new_id("Bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    assert (await raw_ari.get(f"/bridges/{bridge.lower()}")).error == _NOT_FOUND


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/addChannel?channel=x"),
        ("POST", "/removeChannel?channel=x"),
        ("POST", "/moh"),
        ("DELETE", "/moh"),
        ("POST", "/play?media=sound:beep"),
        ("POST", "/record?name=never&format=wav"),
    ],
)
async def test_commands_to_no_bridge(raw_ari: RawAri, method: str, path: str) -> None:
    """What does not exist is not found."""
    assert (await raw_ari.request(method, f"/bridges/nosuch{path}")).error == _NOT_FOUND


async def test_the_first_channel_enters(raw_ari: RawAri, new_id: NewId) -> None:
    """Entering is told with the bridge as it is then; the application is subscribed to the bridge from now on."""
    log = await raw_ari.listen()
    [channel] = await channels_in_stasis(raw_ari, log, new_id, 1)
    bridge = await bridge_with(raw_ari, log, new_id, [])
    assert (await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=channel)).status == 204
    entered = await log.wait_for("ChannelEnteredBridge", channel)
    assert await log.story(channel) == ["ChannelEnteredBridge"]
    assert entered["bridge"]["channels"] == [channel]
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["channels"] == [channel]
    assert (await raw_ari.get("/applications/contract")).body["bridge_ids"] == [bridge]


async def test_two_channels_learn_of_each_other(raw_ari: RawAri, new_id: NewId) -> None:
    """With the second channel both get BRIDGEPEER; the bridge stays simple."""
    log = await raw_ari.listen()
    first, second = await channels_in_stasis(raw_ari, log, new_id, 2)
    bridge = await bridge_with(raw_ari, log, new_id, [first])
    await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=second)
    await log.wait_for("ChannelVarset", second)
    assert await log.story(second) == ["ChannelEnteredBridge", "ChannelVarset BRIDGEPEER=…"]
    assert await log.story(first) == ["ChannelVarset BRIDGEPEER=…"]
    name = (await raw_ari.get(f"/channels/{second}")).body["name"]
    assert (await raw_ari.get(f"/channels/{first}/variable", variable="BRIDGEPEER")).body == {"value": name}
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["technology"] == "simple_bridge"


async def test_the_third_channel_makes_it_mix(raw_ari: RawAri, new_id: NewId) -> None:
    """With three channels the technology is softmix, with two again it is simple."""
    log = await raw_ari.listen()
    channels = await channels_in_stasis(raw_ari, log, new_id, 3)
    bridge = await bridge_with(raw_ari, log, new_id, channels)
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["technology"] == "softmix"
    peers = (await raw_ari.get(f"/channels/{channels[0]}/variable", variable="BRIDGEPEER")).body["value"]
    assert len(peers.split(",")) == 2
    assert (await raw_ari.post(f"/bridges/{bridge}/removeChannel", channel=channels[2])).status == 204
    left = await log.wait_for("ChannelLeftBridge", channels[2])
    await log.wait_for("ChannelVarset", channels[0])
    assert left["bridge"]["channels"] == channels[:2]
    assert await log.story(channels[2]) == ["ChannelVarset BRIDGEPEER=", "ChannelLeftBridge"]
    assert await log.story(channels[0]) == ["ChannelVarset BRIDGEPEER=…"]
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["technology"] == "simple_bridge"


async def test_adding_twice_leaves_and_enters(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel that is in the bridge already leaves it and enters again."""
    log = await raw_ari.listen()
    [channel] = await channels_in_stasis(raw_ari, log, new_id, 1)
    bridge = await bridge_with(raw_ari, log, new_id, [channel])
    assert (await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=channel)).status == 204
    await log.wait_for("ChannelEnteredBridge", channel)
    assert await log.story(channel) == ["ChannelLeftBridge", "ChannelEnteredBridge"]


async def test_a_channel_changes_bridges(raw_ari: RawAri, new_id: NewId) -> None:
    """Adding a channel to another bridge takes it out of the first."""
    log = await raw_ari.listen()
    first, second = await channels_in_stasis(raw_ari, log, new_id, 2)
    mixing = await bridge_with(raw_ari, log, new_id, [first, second])
    holding = await bridge_with(raw_ari, log, new_id, [], "holding")
    await raw_ari.post(f"/bridges/{holding}/addChannel", channel=second)
    entered = await log.wait_for("ChannelEnteredBridge", second)
    assert await log.story(second) == ["ChannelVarset BRIDGEPEER=", "ChannelLeftBridge", "ChannelEnteredBridge"]
    assert entered["bridge"]["technology"] == "holding_bridge"
    assert (await raw_ari.get(f"/bridges/{mixing}")).body["channels"] == [first]
    refused = await raw_ari.post(f"/bridges/{mixing}/removeChannel", channel=second)
    assert refused.error == (422, "Channel not in this bridge")


@pytest.mark.parametrize("command", ["addChannel", "removeChannel"])
async def test_channels_that_do_not_exist(raw_ari: RawAri, new_id: NewId, command: str) -> None:
    """Naming no channel, or one that does not exist, answers 400; nothing is done for the others named with it."""
    log = await raw_ari.listen()
    [channel] = await channels_in_stasis(raw_ari, log, new_id, 1)
    bridge = await bridge_with(raw_ari, log, new_id, [])
    path = f"/bridges/{bridge}/{command}"
    assert (await raw_ari.post(path)).error == (400, "Missing parameter channel")
    assert (await raw_ari.post(path, channel="nosuch")).error == (400, "Channel not found")
    assert (await raw_ari.post(path, channel=f"{channel},nosuch")).error == (400, "Channel not found")
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["channels"] == []


async def test_leaving_for_the_dialplan(raw_ari: RawAri, new_id: NewId) -> None:
    """A bridged channel that continues leaves the bridge first."""
    log = await raw_ari.listen()
    first, second = await channels_in_stasis(raw_ari, log, new_id, 2)
    bridge = await bridge_with(raw_ari, log, new_id, [first, second])
    await raw_ari.post(f"/channels/{first}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("ChannelDialplan", first, count=2)
    assert await log.story(first) == [
        "ChannelVarset BRIDGEPEER=",
        "ChannelLeftBridge",
        "StasisEnd",
        "ChannelDialplan Answer",
        "ChannelDialplan Echo",
    ]
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["channels"] == [second]


async def test_hanging_up_in_a_bridge(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel that ends in a bridge leaves it, then Stasis."""
    log = await raw_ari.listen()
    first, second = await channels_in_stasis(raw_ari, log, new_id, 2)
    bridge = await bridge_with(raw_ari, log, new_id, [first, second])
    await raw_ari.delete(f"/channels/{first}")
    await log.wait_for("ChannelDestroyed", first)
    assert await log.story(first) == [
        "ChannelHangupRequest 32 soft",
        "ChannelVarset BRIDGEPEER=",
        "ChannelLeftBridge",
        "StasisEnd",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 16",
    ]
    assert (await raw_ari.get(f"/bridges/{bridge}")).body["channels"] == [second]


async def test_deleting_a_bridge_frees_its_channels(raw_ari: RawAri, new_id: NewId) -> None:
    """The channels leave and stay in Stasis; the bridge is gone, and deleting it again answers 404.

    With its last channel an application loses its subscription to the bridge; only who subscribed sees the end.
    """
    log, other = await raw_ari.listen(), await raw_ari.listen("other")
    [channel] = await channels_in_stasis(raw_ari, log, new_id, 1)
    bridge = await bridge_with(raw_ari, log, new_id, [channel])
    await raw_ari.post("/applications/other/subscription", eventSource=f"bridge:{bridge}")
    assert (await raw_ari.delete(f"/bridges/{bridge}")).status == 204
    await other.wait_for("BridgeDestroyed", bridge)
    assert await other.story(bridge) == ["ChannelLeftBridge", "BridgeDestroyed"]
    assert await log.story(bridge) == ["ChannelLeftBridge"]
    assert (await raw_ari.get("/applications/contract")).body["bridge_ids"] == []
    assert (await raw_ari.get(f"/bridges/{bridge}")).error == _NOT_FOUND
    assert (await raw_ari.delete(f"/bridges/{bridge}")).error == _NOT_FOUND
    assert (await raw_ari.get(f"/channels/{channel}")).body["dialplan"]["app_name"] == "Stasis"


async def test_music_in_a_bridge(raw_ari: RawAri, new_id: NewId) -> None:
    """Music on hold starts and stops; stopping what does not play answers 409."""
    bridge = new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    assert (await raw_ari.post(f"/bridges/{bridge}/moh")).status == 204
    assert (await raw_ari.delete(f"/bridges/{bridge}/moh")).status == 204
    assert (await raw_ari.delete(f"/bridges/{bridge}/moh")).error == (409, "Bridge isn't playing music")


async def test_playing_into_a_bridge(raw_ari: RawAri, new_id: NewId) -> None:
    """A prompt is played to all in the bridge."""
    log, playback = await raw_ari.listen(), new_id("play")
    [channel] = await channels_in_stasis(raw_ari, log, new_id, 1)
    bridge = await bridge_with(raw_ari, log, new_id, [channel])
    reply = await raw_ari.post(f"/bridges/{bridge}/play", media="sound:beep", playbackId=playback)
    expected: dict[str, Any] = {"id": playback, "media_uri": "sound:beep", "target_uri": f"bridge:{bridge}"}
    assert reply.as_queued == (201, {**expected, "language": "en", "state": "queued"})
    await log.wait_for("PlaybackFinished", playback)
    assert await log.story(playback) == ["PlaybackStarted playing", "PlaybackFinished done"]


async def test_playing_nothing_into_a_bridge(raw_ari: RawAri, new_id: NewId) -> None:
    """Without media the answer is 500, in a form that no other error has."""
    bridge = new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    reply = await raw_ari.post(f"/bridges/{bridge}/play")
    assert (reply.status, reply.body) == (500, {"error": "Allocation failed"})


async def test_recording_a_bridge(raw_ari: RawAri, new_id: NewId) -> None:
    """A bridge is recorded until it is stopped."""
    log, name = await raw_ari.listen(), new_id("rec")
    [channel] = await channels_in_stasis(raw_ari, log, new_id, 1)
    bridge = await bridge_with(raw_ari, log, new_id, [channel])
    reply = await raw_ari.post(f"/bridges/{bridge}/record", name=name, format="wav")
    expected = {"name": name, "format": "wav", "state": "queued", "target_uri": f"bridge:{bridge}"}
    assert reply.as_queued == (201, expected)
    await log.wait_for("RecordingStarted")
    assert (await raw_ari.post(f"/recordings/live/{name}/stop")).status == 204
    await log.wait_for("RecordingFinished")
    assert (await raw_ari.delete(f"/recordings/stored/{name}")).status == 204
