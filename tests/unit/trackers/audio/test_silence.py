from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.g722 import G722Codec
from pytest_ari_sla.codecs.gsm import GsmCodec
from pytest_ari_sla.codecs.l16 import l16_narrowband
from pytest_ari_sla.codecs.speech import frames, speech_like
from pytest_ari_sla.hookspecs.codec import Codec, Voice
from pytest_ari_sla.trackers.audio.silence import ENOUGH_SAMPLES, SAMPLED_ONE_IN, SilenceTracker
from tests.unit.batches import Packet, batch_of, batch_sizes, split
from tests.unit.trackers.loads import FixedLog, context_of, echo

ENOUGH = ENOUGH_SAMPLES * SAMPLED_ONE_IN
SPEECH = [row.tobytes() for row in pcmu().encode(speech_like(4.0, 8000), 20)]
SILENCE = b"\xff" * 160


def heard(payloads: list[bytes], leg: int = 0, first_sequence: int = 0) -> list[Packet]:
    """Return packets without probes that carry this audio."""
    return [
        Packet(leg=leg, sequence=(first_sequence + turn) % 2**16, payload=payload)
        for turn, payload in enumerate(payloads)
    ]


def listened(packets: list[Packet], sizes: list[int] | None = None, sent: int = 1000) -> SilenceTracker:
    """Return a tracker of two legs that has heard these packets."""
    tracker = SilenceTracker()
    tracker.begin(context_of(FixedLog([sent, 0]), [-1, -1]))
    for batch in split(packets, sizes or [50]):
        tracker.observe(batch)
    tracker.advance(0)
    return tracker


def one_way_legs(tracker: SilenceTracker) -> object:
    """Return how many legs turn out one-way when both end."""
    tracker.release(np.array([0, 1], np.int32))
    return tracker.snapshot()["audio.one_way_legs"]


def test_speech_with_its_pauses_is_no_one_way_audio() -> None:
    """Some packets are silent, never all."""
    tracker = listened(heard(SPEECH))
    assert 0 < tracker.per_leg()["audio.silent_ratio"][0] < 0.6
    assert one_way_legs(tracker) == 0


def test_silence_that_flows_is_one_way_audio() -> None:
    """All packets arrive, and nothing is to be heard."""
    tracker = listened(heard([SILENCE] * ENOUGH))
    assert tracker.snapshot() == {
        "audio.sampled": 8,
        "audio.silent": 8,
        "audio.undecodable": 0,
        "audio.one_way_legs": 0,
    }
    assert one_way_legs(tracker) == 1


def test_a_single_word_in_a_silent_call_is_enough() -> None:
    """A leg that heard one packet of speech has heard the other side."""
    assert one_way_legs(listened(heard([SILENCE] * ENOUGH + [max(SPEECH, key=lambda p: len(set(p)))] * 16))) == 0


def test_a_call_too_short_to_tell_is_not_judged() -> None:
    """It may have been a pause."""
    assert one_way_legs(listened(heard([SILENCE] * (ENOUGH - SAMPLED_ONE_IN)))) == 0


@pytest.mark.parametrize(("sent", "legs"), [(ENOUGH - 1, 0), (ENOUGH, 1)])
def test_a_leg_that_hears_no_packet_at_all(sent: int, legs: int) -> None:
    """After the same time of sending, no packet is as bad as silence; a leg that did not send either is idle."""
    assert one_way_legs(listened([], sent=sent)) == legs


def test_a_packet_with_our_probe_is_our_audio() -> None:
    """Its first bytes are no audio, so it is not decoded; that it came back is enough."""
    packets = [echo(probe)._replace(payload=SILENCE) for probe in range(ENOUGH)]
    tracker = listened(packets)
    assert tracker.per_leg()["audio.silent_ratio"][0] == 0
    assert one_way_legs(tracker) == 0


@pytest.mark.parametrize(("amplitude", "silent"), [(60, 1.0), (200, 0.0)])
def test_the_limit_of_silence(amplitude: int, silent: float) -> None:
    """Soft noise (-55 dB) is silence, soft speech (-44 dB) is not."""
    noise = np.where(np.random.default_rng(1).random(160) < 0.5, amplitude, -amplitude).astype(np.int16)
    payload = pcmu().encode(noise, 20).tobytes()
    assert listened(heard([payload] * 32)).per_leg()["audio.silent_ratio"][0] == silent


@given(st.lists(st.sampled_from(["speech", "silence", "short", "empty", "digit"]), max_size=80), batch_sizes())
def test_any_batches_give_what_single_packets_give(kinds: list[str], sizes: list[int]) -> None:
    """Payloads of any length, none at all, DTMF in between: the same packets are listened to, with the same result."""
    payloads = {"speech": SPEECH[30], "silence": SILENCE, "short": SPEECH[31][:80], "empty": b"", "digit": b"\1\2\3\4"}
    packets = [
        packet._replace(payload_type=101 if kind == "digit" else 0, leg=turn % 2)
        for turn, (kind, packet) in enumerate(
            zip(kinds, heard([payloads[kind] for kind in kinds], first_sequence=65530), strict=True)
        )
    ]
    whole, single = listened(packets, sizes), listened(packets, [1])
    assert whole.snapshot() == single.snapshot()
    np.testing.assert_array_equal(whole.per_leg()["audio.silent_ratio"], single.per_leg()["audio.silent_ratio"])


def test_a_later_call_is_judged_by_itself() -> None:
    """What the leg heard in an earlier call is forgotten."""
    tracker = listened(heard(SPEECH))
    tracker.release(np.array([0], np.int32))
    tracker.observe(batch_of(heard([SILENCE] * ENOUGH)))
    assert one_way_legs(tracker) == 1


@pytest.mark.parametrize("payload_type", [13, 19])
@pytest.mark.parametrize("codec", [pcmu(), l16_narrowband(), G722Codec(), GsmCodec()], ids=lambda codec: codec.name)
def test_comfort_noise_is_silence_whatever_the_codec(codec: Codec, payload_type: int) -> None:
    """One byte that describes noise (RFC 3389) is no audio that a codec could decode."""
    tracker = SilenceTracker()
    context = replace(context_of(FixedLog([1000]), [-1]), voices=(Voice(codec, frames(codec, 20)),))
    tracker.begin(context)
    tracker.observe(batch_of([Packet(payload=b"\x40", payload_type=payload_type)] * ENOUGH))
    snapshot = tracker.snapshot()
    assert (snapshot["audio.sampled"], snapshot["audio.silent"], snapshot["audio.undecodable"]) == (8, 8, 0)


def test_what_is_not_audio_of_the_codec_is_neither_silent_nor_loud() -> None:
    """Another payload type, an odd length, no payload at all: each counts for itself, and costs the others nothing."""
    codec = l16_narrowband()
    tracker = SilenceTracker()
    tracker.begin(replace(context_of(FixedLog([1000]), [-1]), voices=(Voice(codec, frames(codec, 20)),)))
    bad = [Packet(payload=bytes(159), payload_type=10), Packet(payload_type=10), Packet(payload=bytes(160))]
    good = Packet(payload=bytes(320), payload_type=10)
    tracker.observe(batch_of([packet for packet in (*bad, good) for _ in range(SAMPLED_ONE_IN)]))
    snapshot = tracker.snapshot()
    assert (snapshot["audio.sampled"], snapshot["audio.silent"], snapshot["audio.undecodable"]) == (1, 1, 3)
    tracker.release(np.zeros(1, np.int32))
    assert tracker.snapshot()["audio.one_way_legs"] == 0
