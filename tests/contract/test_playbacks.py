"""Playbacks: queued, played, paused, stopped, failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_NOT_FOUND = (404, "Playback not found")
# A prompt of several seconds.
_LONG = "sound:vm-intro"


async def test_a_prompt_is_played(raw_ari: RawAri, new_id: NewId) -> None:
    """A playback is queued in the reply, then starts, finishes, and is gone."""
    log, channel, playback = await raw_ari.listen(), new_id("chan"), new_id("play")
    await raw_ari.external_media(channel, log)
    reply = await raw_ari.post(f"/channels/{channel}/play", media="sound:beep", playbackId=playback)
    told = {"id": playback, "media_uri": "sound:beep", "target_uri": f"channel:{channel}", "language": "en"}
    assert reply.as_queued == (201, {**told, "state": "queued"})
    started = await log.wait_for("PlaybackStarted", playback)
    assert started["playback"] == {**told, "state": "playing"}
    assert (await raw_ari.get(f"/playbacks/{playback}")).body == {**told, "state": "playing"}
    await log.wait_for("PlaybackFinished", playback)
    assert await log.story(playback) == ["PlaybackStarted playing", "PlaybackFinished done"]
    assert (await raw_ari.get(f"/playbacks/{playback}")).error == _NOT_FOUND


async def test_without_an_id_a_playback_gets_a_uuid(raw_ari: RawAri, new_id: NewId) -> None:
    """A playback without a wish gets a UUID."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert len((await raw_ari.post(f"/channels/{channel}/play", media="sound:beep")).body["id"]) == 36


async def test_several_prompts_in_a_row(raw_ari: RawAri, new_id: NewId) -> None:
    """A list of media is one playback that continues from one to the next."""
    log, channel, playback = await raw_ari.listen(), new_id("chan"), new_id("play")
    await raw_ari.external_media(channel, log)
    reply = await raw_ari.post(f"/channels/{channel}/play/{playback}", media="sound:beep,sound:beeperr")
    assert (reply.body["media_uri"], reply.body["next_media_uri"]) == ("sound:beep", "sound:beeperr")
    finished = await log.wait_for("PlaybackFinished", playback)
    assert await log.story(playback) == [
        "PlaybackStarted playing",
        "PlaybackContinuing continuing",
        "PlaybackStarted playing",
        "PlaybackFinished done",
    ]
    assert finished["playback"]["media_uri"] == "sound:beeperr"
    assert "next_media_uri" not in finished["playback"]


async def test_what_does_not_exist_fails(raw_ari: RawAri, new_id: NewId) -> None:
    """A prompt that is not there is accepted, and fails."""
    log, channel, playback = await raw_ari.listen(), new_id("chan"), new_id("play")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/play/{playback}", media="sound:nosuch")).status == 201
    await log.wait_for("PlaybackFinished", playback)
    assert await log.story(playback) == ["PlaybackStarted playing", "PlaybackFinished failed"]


async def test_playbacks_of_a_channel_wait_in_line(raw_ari: RawAri, new_id: NewId) -> None:
    """The second playback is queued until the first is stopped."""
    log, channel, first, second = await raw_ari.listen(), new_id("chan"), new_id("play"), new_id("play")
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/play/{first}", media=_LONG)
    await log.wait_for("PlaybackStarted", first)
    await raw_ari.post(f"/channels/{channel}/play/{second}", media="sound:beep")
    assert (await raw_ari.get(f"/playbacks/{second}")).body["state"] == "queued"
    assert (await raw_ari.delete(f"/playbacks/{first}")).status == 204
    await log.wait_for("PlaybackStarted", second)
    assert await log.story(first) == ["PlaybackStarted playing", "PlaybackFinished done"]


async def test_pause_and_unpause(raw_ari: RawAri, new_id: NewId) -> None:
    """Pausing is told by GET only, going on by PlaybackStarted; an unknown operation answers 400."""
    log, channel, playback = await raw_ari.listen(), new_id("chan"), new_id("play")
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/play/{playback}", media=_LONG)
    await log.wait_for("PlaybackStarted", playback)
    control = f"/playbacks/{playback}/control"
    assert (await raw_ari.post(control, operation="pause")).status == 204

    async def paused() -> bool:
        return bool((await raw_ari.get(f"/playbacks/{playback}")).body["state"] == "paused")

    await raw_ari.until(paused)
    assert (await raw_ari.post(control, operation="unpause")).status == 204
    await log.wait_for("PlaybackStarted", playback, count=2)
    for operation in ("restart", "forward", "reverse"):
        assert (await raw_ari.post(control, operation=operation)).status == 204
    assert (await raw_ari.post(control, operation="bogus")).error == (400, "Invalid operation bogus")
    assert (await raw_ari.post(control)).error == (400, "Missing operation")


async def test_hanging_up_fails_the_playback(raw_ari: RawAri, new_id: NewId) -> None:
    """The playback ends before the channel leaves Stasis."""
    log, channel, playback = await raw_ari.listen(), new_id("chan"), new_id("play")
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/play/{playback}", media=_LONG)
    await log.wait_for("PlaybackStarted", playback)
    await log.forget()
    await raw_ari.delete(f"/channels/{channel}")
    await log.wait_for("ChannelDestroyed", channel)
    assert (await log.story(channel))[:3] == [
        "ChannelHangupRequest 32 soft",
        "PlaybackFinished failed",
        "StasisEnd",
    ]


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, (500, "Failed to queue media for playback")),
        ({"media": "sound:beep", "offsetms": -1}, (400, "offsetms cannot be negative")),
        ({"media": "sound:beep", "skipms": -1}, (400, "skipms cannot be negative")),
    ],
)
async def test_impossible_playbacks(
    raw_ari: RawAri, new_id: NewId, parameters: dict[str, object], error: tuple[int, str]
) -> None:
    """Nothing to play, or from where nothing is."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/play", **parameters)).error == error


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/control?operation=pause")])
async def test_commands_to_no_playback(raw_ari: RawAri, method: str, path: str) -> None:
    """What does not exist is not found."""
    assert (await raw_ari.request(method, f"/playbacks/nosuch{path}")).error == _NOT_FOUND
