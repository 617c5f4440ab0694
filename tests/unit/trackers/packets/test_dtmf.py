from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.rtp.dtmf import DIGITS, encode
from pytest_ari_sla.trackers.packets.dtmf import DtmfTracker
from tests.unit.batches import Packet, batch_of, batch_sizes, split
from tests.unit.trackers.loads import FixedLog, context_of
from tests.unit.trackers.probes.test_latency import histogram_of

if TYPE_CHECKING:
    from collections.abc import Sequence

TICKS_PER_MS = 8


def digit(key: str, at_ms: int = 0, duration_ms: int = 100, *, leg: int = 0, ssrc: int = 1) -> list[Packet]:
    """Return the packets of a digit that begins so many ms into the stream."""
    packets = encode(DIGITS.index(key), duration_ms * TICKS_PER_MS, 160)
    return [
        Packet(
            leg=leg,
            timestamp=(2**32 - 4000 + at_ms * TICKS_PER_MS + offset) % 2**32,
            ssrc=ssrc,
            payload_type=101,
            marker=marker,
            payload=payload.tobytes(),
        )
        for payload, offset, marker in zip(
            packets.payload, packets.timestamp_offset.tolist(), packets.marker.tolist(), strict=True
        )
    ]


def received(packets: list[Packet], sizes: Sequence[int] = (4,)) -> DtmfTracker:
    """Return a tracker of two legs that has received these packets."""
    tracker = DtmfTracker()
    tracker.begin(context_of(FixedLog([0, 0]), [0, 1]))
    for batch in split(packets, list(sizes)):
        tracker.observe(batch)
    tracker.advance(0)
    return tracker


def test_digits_last_by_the_clock_that_was_agreed_on() -> None:
    """By SIP that of the audio, 48 kHz for Opus: the same stamps are a sixth of the time then."""
    tracker = DtmfTracker()
    tracker.begin(replace(context_of(FixedLog([0, 0]), [0, 1]), events_clock_hz=48_000))
    for batch in split(digit("1", 0, 300) + digit("2", 900, 300), [4]):
        tracker.observe(batch)
    values = tracker.snapshot()
    assert (values["dtmf.duration"], values["dtmf.gap"]) == (ms(50, 50), ms(100))


def snapshot_of(packets: list[Packet], sizes: Sequence[int] = (4,)) -> dict[str, Histogram | int]:
    """Return what is known once both legs have ended."""
    tracker = received(packets, sizes)
    tracker.release(np.array([0, 1], np.int32))
    return dict(tracker.snapshot())


def ms(*times: int) -> Histogram:
    """Return a histogram of times in ms."""
    return histogram_of([time * 1_000_000 for time in times])


def test_each_digit_counts_once() -> None:
    """Seven packets are one digit; the same key again is another; durations and gaps are those of the stamps."""
    packets = digit("5") + digit("5", 250) + digit("#", 500, 60)
    assert snapshot_of(packets) == {
        "dtmf.digits": 3,
        "dtmf.unfinished": 0,
        "dtmf.duration": ms(100, 100, 60),
        "dtmf.gap": ms(150, 150),
        "dtmf.other_events": 0,
    }


def test_a_digit_survives_the_loss_of_most_of_its_packets() -> None:
    """One copy of its end tells all."""
    assert snapshot_of(digit("7")[-1:])["dtmf.duration"] == ms(100)


def test_a_digit_whose_end_is_lost_is_unfinished() -> None:
    """It counts as a digit, but its duration is not known."""
    snapshot = snapshot_of(digit("7")[:-3] + digit("8", 300))
    assert (snapshot["dtmf.digits"], snapshot["dtmf.unfinished"]) == (2, 1)
    assert snapshot["dtmf.duration"] == ms(100)
    assert snapshot["dtmf.gap"] == Histogram()


def test_late_packets_of_an_earlier_digit_are_no_new_digit() -> None:
    """Reordering over a digit's end changes no count."""
    one, two = digit("1"), digit("2", 150)
    snapshot = snapshot_of([*one[:5], *two[:3], one[6], one[5], *two[3:]])
    assert (snapshot["dtmf.digits"], snapshot["dtmf.unfinished"]) == (2, 0)
    assert snapshot["dtmf.duration"] == ms(100, 100)


def test_a_digit_of_20_seconds_is_one_digit() -> None:
    """Its field overflows twice: three segments, three stamps, one duration; a late packet of a segment is no digit."""
    packets = digit("9", duration_ms=20_000)
    swap = next(turn for turn, packet in enumerate(packets) if packet.timestamp != packets[0].timestamp)
    packets[swap - 1], packets[swap + 1] = packets[swap + 1], packets[swap - 1]
    assert snapshot_of(packets)["dtmf.duration"] == ms(20_000)
    assert snapshot_of(packets)["dtmf.digits"] == 1


def test_legs_and_sources_have_digits_of_their_own() -> None:
    """The same key at the same time, from two sources and at two legs, is three digits, without a gap between."""
    tracker = received(digit("5") + digit("5", ssrc=2) + digit("5", leg=1))
    assert tracker.snapshot()["dtmf.digits"] == 3
    assert tracker.snapshot()["dtmf.gap"] == Histogram()
    assert tracker.per_leg()["dtmf.digits"].tolist() == [2, 1]


def test_only_events_are_read() -> None:
    """Audio, and a payload too short for an event, are no digits."""
    audio = Packet(payload=b"\x05\x80\x00\xa0")
    short = Packet(payload_type=101, payload=b"\x05\x80")
    assert received([audio, short]).snapshot()["dtmf.digits"] == 0


def test_many_digits_that_never_end_take_no_memory() -> None:
    """Old ones are given up, and counted."""
    packets = [packet for turn in range(50) for packet in digit("3", turn * 200)[:2]]
    assert received(packets).snapshot()["dtmf.unfinished"] == 46
    assert snapshot_of(packets)["dtmf.unfinished"] == 50


@given(st.lists(st.tuples(st.sampled_from("159*"), st.integers(0, 1), st.integers(0, 127)), max_size=12), batch_sizes())
def test_any_batches_give_what_single_packets_give(keys: list[tuple[str, int, int]], sizes: list[int]) -> None:
    """Digits at two legs, with packets missing, cut into batches in any way."""
    packets = [
        packet
        for turn, (key, leg, missing) in enumerate(keys)
        for place, packet in enumerate(digit(key, turn * 150, leg=leg))
        if not missing >> place & 1
    ]
    assert snapshot_of(packets, sizes) == snapshot_of(packets, [1])
    expected = sum(missing != 127 for _, _, missing in keys)
    assert snapshot_of(packets, sizes)["dtmf.digits"] == expected


def test_a_later_call_presses_its_own_keys() -> None:
    """The same stamp in another call is another digit."""
    tracker = received(digit("5"))
    tracker.release(np.array([0], np.int32))
    tracker.observe(batch_of(digit("5")))
    assert tracker.snapshot()["dtmf.digits"] == 2
    assert tracker.per_leg()["dtmf.digits"].tolist() == [1, 0]


def event_packets(*packets: tuple[int, int, int, bool, bool]) -> list[Packet]:
    """Return packets of telephone-event: (event, time stamp, duration, marker, end) each."""
    return [
        Packet(
            timestamp=timestamp,
            payload_type=101,
            marker=marker,
            payload=bytes([event, 0x80 * is_end | 10]) + duration.to_bytes(2, "big"),
        )
        for event, timestamp, duration, marker, is_end in packets
    ]


@pytest.mark.parametrize("event", [16, 32, 255])
def test_a_hook_flash_or_a_tone_is_no_digit(event: int) -> None:
    """Events 0 to 15 are digits; the others count once each, and for themselves."""
    flash = event_packets((event, 5000, 400, True, False), *[(event, 5000, 800, False, True)] * 3)
    snapshot = snapshot_of(digit("5") + flash + digit("6", 1000))
    assert (snapshot["dtmf.digits"], snapshot["dtmf.other_events"], snapshot["dtmf.unfinished"]) == (2, 1, 0)
    assert (snapshot["dtmf.duration"], snapshot["dtmf.gap"]) == (ms(100, 100), ms(900))


def test_the_segments_of_a_long_digit_may_be_of_any_length() -> None:
    """Each begins where the one before it ended, without the marker (RFC 4733, 2.5.1.3)."""
    segments = [(5, start, 8000, start == 0, False) for start in range(0, 80_000, 8000)]
    snapshot = snapshot_of(event_packets(*segments, (5, 80_000, 4000, False, True)))
    assert (snapshot["dtmf.digits"], snapshot["dtmf.duration"]) == (1, ms(10_500))


def test_the_same_key_pressed_again_at_once_is_another_digit() -> None:
    """The marker tells, though the first one's end was lost."""
    snapshot = snapshot_of(event_packets((5, 0, 800, True, False), (5, 800, 800, True, True)))
    assert (snapshot["dtmf.digits"], snapshot["dtmf.unfinished"]) == (2, 1)


def test_digits_that_overlap_have_no_gap() -> None:
    """Time stamps that say so are the sender's mistake, not half a day."""
    snapshot = snapshot_of(digit("5", 0, 100) + digit("6", 50, 100))
    assert snapshot["dtmf.gap"] == ms(0)
