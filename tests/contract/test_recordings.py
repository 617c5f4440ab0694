"""Recordings: live ones and stored ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.raw_ari import RawAri

    NewId = Callable[[str], str]

_NOT_FOUND = (404, "Recording not found")


async def test_a_recording_lives_and_is_stored(raw_ari: RawAri, new_id: NewId) -> None:
    """A recording is queued, started, paused, stopped, stored, copied and deleted."""
    log, channel, name, copy = await raw_ari.listen(), new_id("chan"), new_id("rec"), new_id("rec")
    await raw_ari.external_media(channel, log)
    told = {"name": name, "format": "wav", "target_uri": f"channel:{channel}"}
    reply = await raw_ari.post(f"/channels/{channel}/record", name=name, format="wav")
    assert reply.as_queued == (201, {**told, "state": "queued"})
    started = await log.wait_for("RecordingStarted", channel)
    assert started["recording"] == {**told, "state": "recording"}
    live = f"/recordings/live/{name}"
    assert (await raw_ari.get(live)).body == {**told, "state": "recording"}
    again = await raw_ari.post(f"/channels/{channel}/record", name=name, format="wav")
    assert again.error == (409, f"Recording '{name}' already exists and can not be overwritten")
    assert (await raw_ari.post(f"{live}/pause")).status == 204
    assert (await raw_ari.get(live)).body["state"] == "paused"
    for method, what in (("DELETE", "pause"), ("POST", "mute"), ("DELETE", "mute")):
        assert (await raw_ari.request(method, f"{live}/{what}")).status == 204
    assert (await raw_ari.post(f"{live}/stop")).status == 204
    finished = await log.wait_for("RecordingFinished", channel)
    assert finished["recording"] == {**told, "state": "done", "duration": 0}
    stored = f"/recordings/stored/{name}"
    assert (await raw_ari.get(stored)).body == {"name": name, "format": "wav"}
    assert {"name": name, "format": "wav"} in (await raw_ari.get("/recordings/stored")).body
    assert (await raw_ari.get(f"{stored}/file")).headers["Content-Type"] == "audio/wav"
    copied = await raw_ari.post(f"{stored}/copy", destinationRecordingName=copy)
    assert (copied.status, copied.body) == (200, {"name": copy, "format": "wav"})
    refused = await raw_ari.post(f"{stored}/copy", destinationRecordingName=copy)
    assert refused.error == (409, "A recording with the same name already exists on the system")
    assert (await raw_ari.delete(stored)).status == 204
    assert (await raw_ari.delete(stored)).error == _NOT_FOUND
    assert (await raw_ari.delete(f"/recordings/stored/{copy}")).status == 204


async def test_a_cancelled_recording_is_not_stored(raw_ari: RawAri, new_id: NewId) -> None:
    """DELETE of a live recording throws it away."""
    log, channel, name = await raw_ari.listen(), new_id("chan"), new_id("rec")
    await raw_ari.external_media(channel, log)
    await raw_ari.post(f"/channels/{channel}/record", name=name, format="wav")
    await log.wait_for("RecordingStarted", channel)
    assert (await raw_ari.delete(f"/recordings/live/{name}")).status == 204
    await log.wait_for("RecordingFinished", channel)
    assert (await raw_ari.get(f"/recordings/stored/{name}")).error == _NOT_FOUND


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, (422, "specified format is unknown on this system")),
        ({"format": "bogus"}, (422, "specified format is unknown on this system")),
        ({"format": "wav", "maxDurationSeconds": -1}, (400, "max_duration_seconds cannot be negative")),
        ({"format": "wav", "maxSilenceSeconds": -1}, (400, "max_silence_seconds cannot be negative")),
        ({"format": "wav", "ifExists": "bogus"}, (400, "ifExists invalid")),
        ({"format": "wav", "terminateOn": "bogus"}, (400, "terminateOn invalid")),
    ],
)
async def test_impossible_recordings(
    raw_ari: RawAri, new_id: NewId, parameters: dict[str, object], error: tuple[int, str]
) -> None:
    """Formats and options that do not exist."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await raw_ari.external_media(channel, log)
    assert (await raw_ari.post(f"/channels/{channel}/record", name=new_id("rec"), **parameters)).error == error


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "stored/nosuch"),
        ("DELETE", "stored/nosuch"),
        ("GET", "stored/nosuch/file"),
        ("POST", "stored/nosuch/copy?destinationRecordingName=x"),
        ("GET", "live/nosuch"),
        ("DELETE", "live/nosuch"),
        ("POST", "live/nosuch/stop"),
        ("POST", "live/nosuch/pause"),
        ("DELETE", "live/nosuch/pause"),
        ("POST", "live/nosuch/mute"),
        ("DELETE", "live/nosuch/mute"),
    ],
)
async def test_commands_to_no_recording(raw_ari: RawAri, method: str, path: str) -> None:
    """What does not exist is not found."""
    assert (await raw_ari.request(method, f"/recordings/{path}")).error == _NOT_FOUND
