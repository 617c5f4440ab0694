"""What applications meet under load: answers and events that overtake each other, and commands that come too early."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_MANY = 30


async def test_every_channel_starts_once_whenever_its_reply_comes(raw_ari: RawAri, new_id: NewId) -> None:
    """Of many channels at once each has exactly one StasisStart, before or after its POST returns."""
    log, channels = await raw_ari.listen(), [new_id("chan") for _ in range(_MANY)]
    await asyncio.gather(*(raw_ari.external_media(channel) for channel in channels))
    for channel in channels:
        await log.wait_for("StasisStart", channel)
    started = [event["channel"]["id"] for event in await log.settle() if event["type"] == "StasisStart"]
    assert sorted(started) == channels


async def test_hangup_right_after_creation(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel deleted at once ends once; it may never have been in Stasis, but has no end without a beginning."""
    log, channels = await raw_ari.listen(), [new_id("chan") for _ in range(_MANY)]

    async def make_and_delete(channel: str) -> None:
        await raw_ari.external_media(channel)
        assert (await raw_ari.delete(f"/channels/{channel}")).status == 204

    await asyncio.gather(*map(make_and_delete, channels))

    async def all_gone() -> bool:
        return not (await raw_ari.get("/channels")).body

    await raw_ari.until(all_gone)
    for channel in channels:
        story = await log.story(channel)
        assert [told for told in story if told.startswith("Stasis")] in (["StasisStart", "StasisEnd"], [])
        assert [told for told in story if told.startswith("ChannelDestroyed")] == ["ChannelDestroyed 16"]


async def test_adding_a_channel_that_left_stasis(raw_ari: RawAri, new_id: NewId) -> None:
    """A channel outside Stasis cannot be added to a bridge: 422."""
    log, channel, bridge = await raw_ari.listen(), new_id("chan"), new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("StasisEnd", channel)
    refused = await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=channel)
    assert refused.error == (422, "Channel not in Stasis application")


async def test_adding_a_channel_before_it_is_in_stasis(raw_ari: RawAri, new_id: NewId) -> None:
    """Right after its creation a channel is added, or refused with 422; once it is in Stasis it is always added."""
    log, bridge = await raw_ari.listen(), new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    for _ in range(_MANY):
        channel = new_id("chan")
        await raw_ari.external_media(channel)
        early = await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=channel)
        assert early.status in (204, 422), early.body
        if early.status == 422:
            assert early.error == (422, "Channel not in Stasis application")
            await log.wait_for("StasisStart", channel)
            assert (await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=channel)).status == 204
        await raw_ari.delete(f"/channels/{channel}")


async def test_a_channel_that_never_enters_stasis_cannot_be_bridged(raw_ari: RawAri, new_id: NewId) -> None:
    """The far half of a Local channel runs the dialplan: 422."""
    log, near, bridge = await raw_ari.listen(), new_id("near"), new_id("bridge")
    await raw_ari.post("/bridges", bridgeId=bridge)
    await raw_ari.post("/channels", endpoint="Local/echo@default", app="contract", channelId=near)
    await log.wait_for("StasisStart", near)
    refused = await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=f"{near};2")
    assert refused.error == (422, "Channel not in Stasis application")


async def test_one_id_for_many_at_once(raw_ari: RawAri, new_id: NewId) -> None:
    """Of several requests for one id at the same time one gets it."""
    log, channel = await raw_ari.listen(), new_id("chan")
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw", "channelId": channel}
    replies = await asyncio.gather(*(raw_ari.post("/channels/externalMedia", **options) for _ in range(5)))
    assert sorted(reply.status for reply in replies)[0] == 200
    assert sum(reply.status == 200 for reply in replies) == 1
    await log.wait_for("StasisStart", channel)
    assert (await log.story(channel)).count("StasisStart") == 1
