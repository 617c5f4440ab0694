from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.codecs.g711 import G711Codec, pcma, pcmu
from pytest_ari_sla.codecs.g722 import G722Codec
from pytest_ari_sla.codecs.speech import frames, speech_like
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.trackers.audio.mouth_to_ear import LEGS_AT_A_TIME, WINDOW_NS, MouthToEarTracker
from tests.unit.batches import MILLISECOND, START_NS, Packet, batch_of, split
from tests.unit.trackers.loads import PACKET_TIME_NS, FixedLog, context_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.hookspecs.tracker import TrackerContext

FRAMES = frames(pcmu(), 20)
SPEECH = pcmu().decode(FRAMES)


def context(received: Codec, legs: int = 2) -> TrackerContext:
    """Return a context of pairs that hear each other through a transcoder: who hears A-law has spoken PCMU."""
    pairs = np.arange(legs, dtype=np.int32) ^ 1
    voices = (Voice(received, frames(received, 20)), Voice(pcmu(), FRAMES))
    plain = context_of(FixedLog([2000] * legs), [-1] * legs)
    return replace(plain, voices=voices, voice_of_leg=pairs % 2 ^ 1, audio_legs=pairs[:, np.newaxis])


def transcoded(samples: NDArray[np.int16], delay_ms: float, *, begin: int = 0, leg: int = 0) -> list[Packet]:
    """Return A-law packets of the loop from sample ``begin`` on, each arriving so long after it was sent."""
    rows = pcma().encode(np.roll(samples, -begin)[: 8000 * 2], 20)
    return [
        Packet(
            leg=leg,
            sequence=number,
            timestamp=(2**32 - 4000 + 160 * number) % 2**32,
            payload_type=8,
            arrival_ns=START_NS + begin * 125_000 + number * PACKET_TIME_NS + round(delay_ms * MILLISECOND),
            payload=row.tobytes(),
        )
        for number, row in enumerate(rows)
    ]


def heard(packets: list[Packet], sizes: Sequence[int] = (7,), received: Codec | None = None) -> MouthToEarTracker:
    """Return a tracker that has listened to these packets for one window."""
    tracker = MouthToEarTracker()
    tracker.begin(context(received or pcma()))
    began_ns = packets[0].arrival_ns
    tracker.advance(began_ns)
    for batch in split(packets, list(sizes)):
        tracker.observe(batch)
    tracker.advance(began_ns + WINDOW_NS)
    return tracker


def delays_ms(tracker: MouthToEarTracker) -> float:
    """Return the mean of what was found."""
    histogram = tracker.snapshot()["mouth_to_ear"]
    assert isinstance(histogram, Histogram)
    return histogram.mean / MILLISECOND


@pytest.mark.parametrize("delay_ms", [0.5, 23.0, 700.0])
@pytest.mark.parametrize("begin", [0, 160 * 123, 160 * 495])
def test_the_delay_through_a_transcoder_is_found(delay_ms: float, begin: int) -> None:
    """From any place of the loop, across its end too, to within one sample."""
    tracker = heard(transcoded(SPEECH, delay_ms, begin=begin))
    assert delays_ms(tracker) == pytest.approx(delay_ms, abs=0.2)
    assert tracker.per_leg()["mouth_to_ear"][0] * 1000 == pytest.approx(delay_ms, abs=0.2)
    assert tracker.snapshot()["content.recognised"] == 1


def test_the_delay_of_the_coding_itself_counts() -> None:
    """Audio that a transcoder holds back by 5 ms is heard 5 ms later, though packets are as fast."""
    held_back = np.concatenate((np.zeros(40, np.int16), SPEECH[:-40]))
    assert delays_ms(heard(transcoded(held_back, 10.0))) == pytest.approx(15.0, abs=0.2)


def test_another_sample_rate_is_compared_as_well() -> None:
    """G.722 samples at 16 kHz and stamps at 8 kHz; the delay of its filters shows, and is below 5 ms."""
    wide = np.repeat(SPEECH[: 8000 * 2], 2).astype(np.int16)
    rows = G722Codec().encode(wide, 20)
    packets = [
        packet._replace(payload=row.tobytes(), payload_type=9)
        for packet, row in zip(transcoded(SPEECH, 10.0), rows, strict=True)
    ]
    assert 10.0 <= delays_ms(heard(packets, received=G722Codec())) < 15.0


def test_jitter_gaps_and_reordering_do_not_show() -> None:
    """Packets are put where their time stamps say, and the median of their arrivals counts."""
    packets = transcoded(SPEECH, 10.0)
    late = [
        packet._replace(arrival_ns=packet.arrival_ns + (turn % 3 == 0) * 9 * MILLISECOND)
        for turn, packet in enumerate(packets)
    ]
    kept = [packet for turn, packet in enumerate(late) if turn % 10 != 4]
    kept[5], kept[6] = kept[6], kept[5]
    assert delays_ms(heard(kept)) == pytest.approx(10.0, abs=0.2)


def test_a_time_stamp_that_jumps_is_left_out() -> None:
    """One wild packet neither hides the audio nor takes memory for the hours it claims."""
    packets = transcoded(SPEECH, 10.0)
    packets[20] = packets[20]._replace(timestamp=2**31)
    assert delays_ms(heard(packets)) == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize(
    "samples", [np.zeros(80_000, np.int16), speech_like(10.0, 8000, seed=5)], ids=["silence", "another voice"]
)
def test_audio_that_is_not_ours_has_no_delay(samples: NDArray[np.int16]) -> None:
    """It is counted as unrecognised instead."""
    tracker = heard(transcoded(samples, 10.0))
    snapshot = tracker.snapshot()
    assert (snapshot["content.recognised"], snapshot["content.unrecognised"]) == (0, 1)
    assert snapshot["mouth_to_ear"] == Histogram()


def test_any_batches_give_the_same() -> None:
    """One packet at a time, or all at once; and the memory of a batch may be used again."""
    packets = transcoded(SPEECH, 10.0)
    assert heard(packets, [1]).snapshot() == heard(packets, [1000]).snapshot() == heard(packets, [13, 0, 5]).snapshot()


def test_too_little_audio_is_not_looked_up() -> None:
    """Less than half a window may be a pause, or the end of a call."""
    snapshot = heard(transcoded(SPEECH, 10.0)[:20]).snapshot()
    assert (snapshot["content.recognised"], snapshot["content.unrecognised"]) == (0, 0)


class StrictCodec(G711Codec):
    """A-law that decodes whole frames only, as codecs of speech do."""

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode packets of 160 bytes."""
        assert payload.shape[1] == 160
        return super().decode(payload)


def test_digits_are_not_taken_for_audio() -> None:
    """A telephone-event is never given to a codec."""
    packets = transcoded(SPEECH, 10.0)
    packets[30] = packets[30]._replace(payload_type=101, payload=b"\5\x80\0\xa0")
    strict = StrictCodec(**{field.name: getattr(pcma(), field.name) for field in fields(G711Codec)})
    assert delays_ms(heard(packets, received=strict)) == pytest.approx(10.0, abs=0.2)


def test_a_new_source_does_not_hide_the_audio() -> None:
    """Its time stamps begin anywhere; what most of the window holds is looked up."""
    packets = transcoded(SPEECH, 10.0)
    packets[:10] = [packet._replace(ssrc=9, timestamp=packet.timestamp ^ 2**30) for packet in packets[:10]]
    assert delays_ms(heard(packets)) == pytest.approx(10.0, abs=0.2)


def test_each_window_is_looked_up_by_itself() -> None:
    """What arrives after a window's end, or before its beginning, plays no part, however late time advances."""
    first, second = transcoded(SPEECH, 10.0), transcoded(SPEECH, 60.0)
    tracker = MouthToEarTracker()
    tracker.begin(context(pcma()))
    tracker.advance(START_NS)
    tracker.observe(batch_of(first[:49] + second[49:]))
    tracker.advance(START_NS + 2 * WINDOW_NS)
    assert tracker.per_leg()["mouth_to_ear"][0] == pytest.approx(0.010, abs=2e-4)
    tracker.observe(batch_of(second[:40]))
    tracker.advance(START_NS + 4 * WINDOW_NS)
    assert tracker.per_leg()["mouth_to_ear"][0] == pytest.approx(0.060, abs=2e-4)


def test_all_legs_have_their_turn() -> None:
    """A few legs are listened to at a time; after all turns each has been, and a released one is not."""
    legs = 3 * LEGS_AT_A_TIME
    tracker = MouthToEarTracker()
    voice = Voice(pcma(), pcma().encode(SPEECH, 20))
    tracker.begin(replace(context(pcma(), legs), voices=(voice, voice)))
    packets = [packet._replace(leg=leg) for packet in transcoded(SPEECH, 10.0) for leg in range(legs)]
    for turn in range(3):
        tracker.advance(START_NS + turn * WINDOW_NS)
        if turn == 2:
            tracker.release(np.array([legs - 1], np.int32))
        shifted = [packet._replace(arrival_ns=packet.arrival_ns + turn * WINDOW_NS) for packet in packets]
        tracker.observe(batch_of(shifted))
    tracker.advance(START_NS + 3 * WINDOW_NS)
    assert tracker.snapshot()["content.recognised"] == legs - 1
    assert np.isnan(tracker.per_leg()["mouth_to_ear"]).tolist() == [False] * (legs - 1) + [True]


def test_without_knowing_who_is_heard_nothing_is_looked_up() -> None:
    """Where the sender of the audio is unknown, the tracker stays idle."""
    tracker = MouthToEarTracker()
    tracker.begin(replace(context(pcma()), audio_legs=None))
    tracker.advance(START_NS)
    tracker.observe(batch_of(transcoded(SPEECH, 10.0)))
    tracker.advance(START_NS + WINDOW_NS)
    assert tracker.snapshot()["content.unrecognised"] == 0


def conference(audible: Sequence[int], phase_ms: int) -> MouthToEarTracker:
    """Return a tracker of a conference whose third leg listened for 16 windows, the first beginning at this phase."""
    voices = tuple(Voice(pcmu(), frames(pcmu(), 20, 6.0, turn=(leg, 3))) for leg in range(3))
    others = np.array([[1, 2], [0, 2], [0, 1]], np.int32)
    plain = context_of(FixedLog([2000] * 3), [-1] * 3)
    tracker = MouthToEarTracker()
    tracker.begin(replace(plain, voices=voices, voice_of_leg=np.arange(3, dtype=np.int32), audio_legs=others))
    spoken = np.sum([pcmu().decode(voices[leg].frames).astype(np.int64) for leg in audible], axis=0)
    rows = pcmu().encode(np.tile(spoken.astype(np.int16), 3), 20)
    packets = [
        Packet(
            leg=2,
            sequence=number,
            timestamp=160 * number,
            payload_type=0,
            arrival_ns=START_NS + number * PACKET_TIME_NS + MILLISECOND,
            payload=row.tobytes(),
        )
        for number, row in enumerate(rows)
    ]
    began_ns = START_NS + phase_ms * MILLISECOND
    for window in range(17):
        end_ns = began_ns + window * WINDOW_NS
        tracker.advance(end_ns)
        arriving = [packet for packet in packets if end_ns <= packet.arrival_ns < end_ns + WINDOW_NS]
        tracker.observe(batch_of(arriving))
    tracker.release(np.array([2], np.int32))
    return tracker


@pytest.mark.parametrize("phase_ms", range(0, 1000, 100))
def test_who_is_not_heard_is_found_wherever_windows_begin(phase_ms: int) -> None:
    """A window that holds the end of one turn and the beginning of the next must not stand for both speakers."""
    assert conference([1], phase_ms).snapshot()["content.unheard"] == 1
    assert conference([0, 1], phase_ms).snapshot()["content.unheard"] == 0
