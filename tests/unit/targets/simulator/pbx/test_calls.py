"""Calls without HTTP and without waiting: the scheduler is simply told that time has passed."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from pytest_ari_sla.targets.simulator.api.routes import answer
from pytest_ari_sla.targets.simulator.pbx.calls import Calls
from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
from pytest_ari_sla.targets.simulator.pbx.reply import Refused
from pytest_ari_sla.targets.simulator.pbx.state import MediaUnavailable, NoMedia, PbxState

_SECOND_NS = 1_000_000_000


class RecordingMedia(NoMedia):
    """Remembers what media is told."""

    def __init__(self) -> None:
        self.told: list[list[Any]] = []

    def echo(self, channel: str) -> None:
        """Remember."""
        self.told.append(["echo", channel])

    def bridge(self, bridge: str, channels: Any) -> None:
        """Remember."""
        self.told.append(["bridge", *channels])

    def close(self, channel: str) -> None:
        """Remember."""
        self.told.append(["close", channel])


class FullMedia(NoMedia):
    """Has no port left."""

    def open(self, channel: str, remote: tuple[str, int], payload_format: str) -> tuple[str, int]:
        """Refuse."""
        raise MediaUnavailable


@pytest.fixture
def media() -> RecordingMedia:
    """Return media that remembers."""
    return RecordingMedia()


@pytest.fixture
def pbx(media: RecordingMedia) -> Pbx:
    """Return a PBX with one listener."""
    made = Pbx(PbxState(Random(1), media))
    made.state.connect(["app"], 1, subscribe_all=False)
    return made


def later(pbx: Pbx) -> list[str]:
    """Let a second pass and return the types of the events that came."""
    pbx.state.scheduler.advance(pbx.state.scheduler.now_ns + _SECOND_NS)
    return [event["type"] for _, event in pbx.state.take_events()]


def external_media(pbx: Pbx, channel_id: str) -> None:
    """Ask for a channel."""
    query = {"app": "app", "channelId": channel_id, "external_host": "127.0.0.1:9", "format": "ulaw"}
    assert answer(pbx, "POST", "/channels/externalMedia", query, {}).status == 200


def test_nothing_happens_before_its_time(pbx: Pbx) -> None:
    """The reply comes first; the channel's way into Stasis follows when time goes on."""
    external_media(pbx, "c")
    assert pbx.state.take_events() == []
    assert later(pbx)[-1] == "StasisStart"


def test_a_channel_that_is_deleted_at_once_never_starts(pbx: Pbx) -> None:
    """Neither start nor end of Stasis is told: there was none."""
    external_media(pbx, "c")
    answer(pbx, "DELETE", "/channels/c", {}, {})
    events = later(pbx)
    assert events == ["ChannelHangupRequest", "ChannelDestroyed"]
    assert pbx.state.channels == []


def test_media_follows_the_channels(pbx: Pbx, media: RecordingMedia) -> None:
    """Two in a bridge are joined, one that goes on to Echo() echoes, one that ends is closed."""
    for channel in ("a", "b"):
        external_media(pbx, channel)
    later(pbx)
    answer(pbx, "POST", "/bridges/room", {}, {})
    answer(pbx, "POST", "/bridges/room/addChannel", {"channel": "a,b"}, {})
    assert media.told[-1] == ["bridge", "a", "b"]
    answer(pbx, "POST", "/channels/a/continue", {"context": "default", "extension": "echo"}, {})
    later(pbx)
    assert media.told[-2:] == [["bridge", "b"], ["echo", "a"]]
    answer(pbx, "DELETE", "/channels/a", {}, {})
    later(pbx)
    assert media.told[-1] == ["close", "a"]


def test_without_a_port_a_channel_is_refused(pbx: Pbx) -> None:
    """Where a real Asterisk would crash."""
    pbx.state.media = FullMedia()
    query = {"app": "app", "external_host": "127.0.0.1:9", "format": "ulaw"}
    assert answer(pbx, "POST", "/channels/externalMedia", query, {}).status == 500
    assert pbx.state.channels == []


def test_ids_are_made_up_where_none_is_asked_for() -> None:
    """And checked where one is."""
    state = PbxState(Random(1))
    calls = Calls(state)
    assert calls.local_ids("", "other") == ("0.1", "other")
    with pytest.raises(Refused, match="409"):
        calls.local_ids("same", "SAME")


def test_a_playback_runs_by_the_agenda(pbx: Pbx) -> None:
    """A prompt of 0.44 s is over within a second, and its channel goes on."""
    external_media(pbx, "a")
    later(pbx)
    answer(pbx, "POST", "/channels/a/play/p", {"media": "sound:beep"}, {})
    assert later(pbx) == ["PlaybackStarted", "PlaybackFinished"]


def test_a_recording_ends_by_its_limit(pbx: Pbx) -> None:
    """And its duration is that of the scheduler, not of a clock."""
    external_media(pbx, "a")
    later(pbx)
    answer(pbx, "POST", "/channels/a/record", {"name": "r", "format": "wav", "maxDurationSeconds": "3"}, {})
    assert later(pbx) == ["RecordingStarted"]
    for _ in range(2):
        later(pbx)
    pbx.state.scheduler.advance(pbx.state.scheduler.now_ns + _SECOND_NS)
    assert pbx.state.stored_recordings == {"r": "wav"}
