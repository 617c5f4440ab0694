from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.dtmf import DIGITS, MAX_DURATION, encode, parse


def lengths(
    payload: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return the lengths of rows that are full."""
    return np.full(len(payload), payload.shape[1], np.int32)


def test_a_digit_of_100_ms() -> None:
    """At 8 kHz and 20 ms: durations grow by 160, the end comes three times, one stamp, the marker on the first."""
    packets = encode(5, 800, 160)
    events = parse(packets.payload, lengths(packets.payload))
    assert events.duration.tolist() == [160, 320, 480, 640, 800, 800, 800]
    assert events.is_end.tolist() == [False] * 4 + [True] * 3
    assert packets.marker.tolist() == [True] + [False] * 6
    assert packets.timestamp_offset.tolist() == [0] * 7
    assert {DIGITS[event] for event in events.event} == {"5"}


def test_the_bytes_on_the_wire() -> None:
    """Event, E bit and volume, duration, in network byte order (RFC 4733, 2.3)."""
    assert encode(11, 160, 160, volume_dbm0=-10).payload.tolist() == [[11, 0x80 | 10, 0, 160]] * 3


@given(st.integers(0, 255), st.integers(1, 200_000), st.integers(80, 2_000), st.integers(-63, 0))
def test_an_encoded_event_is_read_back(event: int, duration: int, step: int, volume: int) -> None:
    """Event, volume and the whole duration survive; times never go back; a full segment ends with a full field."""
    packets = encode(event, duration, step, volume)
    events = parse(packets.payload, lengths(packets.payload))
    assert events.valid.all()
    assert set(events.event.tolist()) == {event}
    assert set(events.volume_dbm0.tolist()) == {volume}
    times = packets.timestamp_offset.astype(np.int64) + events.duration
    assert times[-1] == duration
    assert (np.diff(times[:-2]) > 0).all()
    ends = np.flatnonzero(np.diff(packets.timestamp_offset.astype(np.int64)) > 0)
    assert (events.duration[ends] == MAX_DURATION).all()
    assert events.is_end.tolist() == [False] * (len(times) - 3) + [True] * 3


@pytest.mark.parametrize(
    ("event", "duration", "step", "volume"), [(256, 1, 1, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 1, 1, 1)]
)
def test_what_no_field_can_hold_is_refused(event: int, duration: int, step: int, volume: int) -> None:
    """An impossible event is a mistake of the caller."""
    with pytest.raises(ValueError, match="no such event"):
        encode(event, duration, step, volume)


@pytest.mark.parametrize("width", [3, 4, 160])
def test_payloads_too_short_for_an_event_are_none(width: int) -> None:
    """Three bytes are not read as an event, whatever stands behind them in the row."""
    payload = np.full((2, width), 0xFF, np.uint8)
    events = parse(payload, np.array([3, width], np.int32))
    assert events.valid.tolist() == [False, width >= 4]
    assert not events.is_end[0]
    assert events.event[0] == events.duration[0] == 0
