"""Callers that an application takes for callers: the far half of a Local channel, which rings in its application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.contract.rtp_endpoint import RtpEndpoint, pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import EventLog, RawAri

    NewId = Callable[[str], str]


async def dial(ari: RawAri, near: str, far: str, extension: str = "bot@stasis", **more: str) -> None:
    """Originate a Local channel whose near half is ours."""
    reply = await ari.post(
        "/channels",
        endpoint=f"Local/{extension}",
        app="contract",
        channelId=near,
        otherChannelId=far,
        formats="ulaw",
        **more,
    )
    assert reply.status == 200, reply.body


async def ringing(ari: RawAri, near: str, far: str, **more: str) -> tuple[EventLog, EventLog]:
    """Dial the application ``bot``; return what we hear, and what it hears once its channel is there."""
    bot, ours = await ari.listen("bot"), await ari.listen()
    await dial(ari, near, far, **more)
    await bot.wait_for("StasisStart", far)
    return ours, bot


async def test_the_application_sees_a_channel_that_rings(raw_ari: RawAri, new_id: NewId) -> None:
    """As one that comes in, with caller id; our half is not answered yet."""
    near, far = new_id("near"), new_id("far")
    ours, bot = await ringing(raw_ari, near, far, callerId="Alice <100>")
    start = await bot.wait_for("StasisStart", far)
    channel = start["channel"]
    assert channel["name"].startswith("Local/bot@stasis-")
    assert channel["name"].endswith(";2")
    assert channel["state"] == "Ring"
    assert start["args"] == []
    assert channel["caller"] == {"name": "Alice", "number": "100"}
    assert (await raw_ari.get(f"/channels/{near}")).body["state"] == "Down"
    await ours.settle()
    assert "StasisStart" not in {event["type"] for event in ours.events}


async def test_its_answer_is_ours(raw_ari: RawAri, new_id: NewId) -> None:
    """Then our half enters our application."""
    near, far = new_id("near"), new_id("far")
    ours, bot = await ringing(raw_ari, near, far)
    await ours.forget()
    await raw_ari.post(f"/channels/{far}/answer")
    start = await ours.wait_for("StasisStart", near)
    assert start["channel"]["state"] == "Up"
    story = [one for one in await ours.story(near) if not one.startswith("ChannelDialplan")]
    assert story == ["ChannelStateChange Up", "Dial ANSWER", "ChannelVarset STASISSTATUS=", "StasisStart"]
    assert "ChannelStateChange Up" in await bot.story(far)


async def test_its_ringing_is_heard_by_ours(raw_ari: RawAri, new_id: NewId) -> None:
    """As a state of our half."""
    near, far = new_id("near"), new_id("far")
    ours, _ = await ringing(raw_ari, near, far)
    await ours.forget()
    await raw_ari.post(f"/channels/{far}/ring")
    changed = await ours.wait_for("ChannelStateChange", near)
    assert changed["channel"]["state"] == "Ringing"


async def test_a_call_that_it_refuses_ends_ours(raw_ari: RawAri, new_id: NewId) -> None:
    """With the cause that it gave."""
    near, far = new_id("near"), new_id("far")
    ours, bot = await ringing(raw_ari, near, far)
    await raw_ari.delete(f"/channels/{far}", reason="busy")
    ended = await ours.wait_for("ChannelDestroyed", near)
    await bot.wait_for("StasisEnd", far)
    assert ended["cause"] == 17


async def test_a_caller_who_gives_up_ends_its_channel(raw_ari: RawAri, new_id: NewId) -> None:
    """Before it was answered."""
    near, far = new_id("near"), new_id("far")
    ours, bot = await ringing(raw_ari, near, far)
    await raw_ari.delete(f"/channels/{near}")
    await ours.wait_for("ChannelDestroyed", near)
    await bot.wait_for("StasisEnd", far)

    async def gone() -> bool:
        return (await raw_ari.get(f"/channels/{far}")).status == 404

    await raw_ari.until(gone)


async def test_an_application_that_nobody_has_registered_ends_the_call(raw_ari: RawAri, new_id: NewId) -> None:
    """Our half is never answered."""
    near, far = new_id("near"), new_id("far")
    ours = await raw_ari.listen()
    await dial(raw_ari, near, far, "nobody@stasis")
    await ours.wait_for("ChannelDestroyed", near)
    assert "StasisStart" not in {event["type"] for event in ours.events}


async def test_both_hear_each_other(raw_ari: RawAri, new_id: NewId, new_rtp: Callable[[], RtpEndpoint]) -> None:
    """Our ExternalMedia leg bridged to the near half, the application's to the far one; mu-law passes untouched."""
    near, far = new_id("near"), new_id("far")
    ours, bot = await ringing(raw_ari, near, far)
    await raw_ari.post(f"/channels/{far}/answer")
    await ours.wait_for("StasisStart", near)
    ends = [await joined(raw_ari, log, half, new_id, new_rtp()) for log, half in ((ours, near), (bot, far))]
    for speaker, listener in (ends, ends[::-1]):
        await heard(speaker, listener)


async def test_a_local_channel_that_ends_in_echo_gives_our_voice_back(
    raw_ari: RawAri, new_id: NewId, new_rtp: Callable[[], RtpEndpoint]
) -> None:
    """The media path's own share, without an application."""
    near, far = new_id("near"), new_id("far")
    ours = await raw_ari.listen()
    await dial(raw_ari, near, far, "echo@default")
    await ours.wait_for("StasisStart", near)
    end = await joined(raw_ari, ours, near, new_id, new_rtp())
    await heard(end, end)


async def joined(ari: RawAri, log: EventLog, half: str, new_id: NewId, rtp: RtpEndpoint) -> RtpEndpoint:
    """Bridge a channel with an ExternalMedia leg of its application."""
    leg, bridge = new_id("leg"), new_id("bridge")
    app = "bot" if log is not ari.logs[-1] else "contract"
    reply = await ari.external_media(leg, external_host=rtp.address, app=app)
    await log.wait_for("StasisStart", leg)
    variables = reply.body["channelvars"]
    rtp.remote = (variables["UNICASTRTP_LOCAL_ADDRESS"], int(variables["UNICASTRTP_LOCAL_PORT"]))
    await ari.post("/bridges", bridgeId=bridge, type="mixing")
    await ari.post(f"/bridges/{bridge}/addChannel", channel=f"{half},{leg}")
    await log.wait_for("ChannelEnteredBridge", half)
    await log.wait_for("ChannelEnteredBridge", leg)
    return rtp


async def heard(speaker: RtpEndpoint, listener: RtpEndpoint) -> None:
    """Speak until what was said has come through."""
    received: set[bytes] = set()
    number = 0
    async with asyncio.timeout(20):
        while pattern(5) not in received:
            speaker.send(number, number * 160, pattern(5))
            number += 1
            received |= {packet.payload for packet in await listener.collect(0.02)}
