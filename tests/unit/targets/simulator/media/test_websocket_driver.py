"""The rules of chan_websocket that no contract test can wait for."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.media.websocket_driver import DriverOptions, WebSocketDriver

OPTIONS = DriverOptions(
    channel_id="one", channel="WebSocket/x/0x1", connection_id="x", format="ulaw", frame_bytes=4, encoding="json"
)


def driver_with(**changes: object) -> WebSocketDriver:
    """Return a driver that has said MEDIA_START."""
    driver = WebSocketDriver(msgspec.structs.replace(OPTIONS, **changes))
    driver.begin()
    driver.told.clear()
    return driver


def told(driver: WebSocketDriver) -> list[str]:
    """Return the names of the events that are to be sent, and forget them."""
    names = [json.loads(text)["event"] for text in driver.told]
    driver.told.clear()
    return names


@dataclass(frozen=True)
class Level:
    """How many frames wait, and what has been told by then."""

    frames: int
    events: list[str]


@pytest.mark.parametrize("level", [Level(899, []), Level(900, ["MEDIA_XOFF"]), Level(1000, ["MEDIA_XOFF"])])
def test_xoff_is_told_once_at_900_frames(level: Level) -> None:
    """However many more come."""
    driver = driver_with()
    driver.take_media(bytes(4 * level.frames))
    assert told(driver) == level.events


def test_xon_is_told_at_the_first_tick_below_800_frames() -> None:
    """The tick that finds 799."""
    driver = driver_with()
    driver.take_media(bytes(4 * 900))
    for _ in range(101):
        assert driver.tick() is not None
    assert told(driver) == ["MEDIA_XOFF"]
    driver.tick()
    assert told(driver) == ["MEDIA_XON"]


def test_a_backlog_stays() -> None:
    """A tick takes one frame and no more: what a burst has brought is latency for the rest of the call."""
    driver = driver_with()
    driver.take_media(bytes(4 * 100))
    for _ in range(50):
        driver.tick()
        driver.take_media(bytes(4))
    driver.take_text(b'{"command":"GET_STATUS"}')
    assert json.loads(driver.told[-1])["queue_length"] == 100


def test_codecs_that_cannot_be_cut_pass_through() -> None:
    """Each message is a frame, and most commands are refused."""
    driver = driver_with(is_passthrough=True, frame_bytes=0)
    driver.take_media(b"opus")
    driver.take_media(b"o")
    assert [driver.tick(), driver.tick(), driver.tick()] == [b"opus", b"o", None]
    driver.take_text(b'{"command":"FLUSH_MEDIA"}')
    assert told(driver) == ["ERROR"]


@given(st.lists(st.binary(max_size=30), max_size=30))
def test_buffering_gives_the_same_frames_for_any_split(pieces: list[bytes]) -> None:
    """And the rest at its end."""
    driver = driver_with()
    driver.take_text(b'{"command":"START_MEDIA_BUFFERING"}')
    for piece in pieces:
        driver.take_media(piece)
    driver.take_text(b'{"command":"STOP_MEDIA_BUFFERING"}')
    frames = iter(driver.tick, None)
    whole = b"".join(pieces)
    assert list(frames) == [whole[at : at + 4] for at in range(0, len(whole), 4)]


@given(st.lists(st.binary(max_size=140) | st.text(max_size=40).map(str.encode), max_size=20))
def test_no_text_raises(texts: list[bytes]) -> None:
    """Whatever the encoding."""
    for encoding in ("json", "plain-text"):
        driver = driver_with(encoding=encoding)
        for text in texts:
            driver.take_text(text)
            driver.tick()
