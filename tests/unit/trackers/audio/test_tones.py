"""Digits as they are heard: found among noise and codecs, followed in the order in which they were dialled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.g722 import G722Codec
from pytest_ari_sla.codecs.gsm import GsmCodec
from pytest_ari_sla.codecs.speech import dialling, dtmf, speech_like
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.rtp.keypad import KEYPAD
from pytest_ari_sla.trackers.audio.tones import NO_DIGIT, ToneTracker, digits_of
from tests.unit.batches import START_NS, Packet, split
from tests.unit.trackers.loads import PACKET_TIME_NS, FixedLog, context_of

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.codec import Codec

BLOCK = 160
PACKETS_PER_DIGIT = 10


def found(audio: np.ndarray[tuple[int], np.dtype[np.int16]]) -> str:
    """Return what is found in each 20 ms of audio at 8 kHz: a digit, or a dot."""
    blocks = audio[: len(audio) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return "".join("." if digit == NO_DIGIT else KEYPAD[digit] for digit in digits_of(blocks, 8000).tolist())


def test_all_sixteen_digits_are_told_apart() -> None:
    """Five blocks of tone and five of silence each."""
    assert found(dtmf(KEYPAD, 8000)) == "".join(digit * 5 + "." * 5 for digit in KEYPAD)


@pytest.mark.parametrize("offset", [1, 40, 79, 120])
def test_blocks_need_not_begin_where_digits_do(offset: int) -> None:
    """At least the four whole blocks of each digit are found."""
    heard = found(np.roll(dtmf("159D", 8000), offset))
    assert all(digit * 4 in heard for digit in "159D")


def test_a_digit_among_noise_is_found() -> None:
    """15 dB of it, as on a bad line (ITU-T Q.24)."""
    tones = dtmf("7", 8000).astype(np.float64)
    noise = np.random.default_rng(1).normal(size=len(tones)) * tones.std() * 10 ** (-15 / 20)
    assert found((tones + noise).astype(np.int16)).startswith("77777")


@pytest.mark.parametrize("hertz", [[697], [1209], [697, 770], [425], [697, 1209, 2500]])
def test_other_tones_are_no_digits(hertz: list[int]) -> None:
    """One tone alone, two of the same group, a dial tone, and a chord."""
    time_s = np.arange(8000) / 8000
    chord = np.sum([np.sin(2 * np.pi * one * time_s) for one in hertz], axis=0)
    assert set(found((4000 * chord).astype(np.int16))) == {"."}


def test_speech_and_silence_dial_nothing() -> None:
    """A block now and then may sound like a digit, but never two in a row."""
    heard = found(speech_like(30, 8000))
    assert not any(digit * 2 in heard for digit in KEYPAD)
    assert set(found(np.zeros(8000, np.int16))) == {"."}


def packets(rows: np.ndarray[tuple[int, int], np.dtype[np.uint8]], payload_type: int = 0) -> list[Packet]:
    """Return these payloads as what leg 0 hears, one after the other."""
    return [
        Packet(
            leg=0,
            sequence=number,
            payload_type=payload_type,
            arrival_ns=START_NS + number * PACKET_TIME_NS,
            payload=row.tobytes(),
        )
        for number, row in enumerate(rows)
    ]


def counted(heard: list[Packet], digits: str, codec: Codec | None = None, size: int = 10) -> tuple[int, int, int]:
    """Return digits, lost and wrong ones of a leg that hears these packets where ``digits`` are dialled."""
    codec = codec or pcmu()
    voice = Voice(codec, dialling(codec, 20, digits), digits)
    plain = context_of(FixedLog([2000, 2000]), [-1, -1])
    tracker = ToneTracker()
    tracker.begin(replace(plain, voices=(voice,), audio_legs=np.array([[1], [-1]], np.int32)))
    for batch in split(heard, [size]):
        tracker.observe(batch)
    told = tracker.snapshot()
    assert tracker.per_leg()["tones.digits"][0] == told["tones.digits"]
    assert np.isnan(tracker.per_leg()["tones.digits"][1])
    digits_heard, lost, wrong = (told[f"tones.{name}"] for name in ("digits", "lost", "wrong"))
    assert isinstance(digits_heard, int)
    assert isinstance(lost, int)
    assert isinstance(wrong, int)
    return digits_heard, lost, wrong


@pytest.mark.parametrize("codec", [pcmu(), G722Codec(), GsmCodec()], ids=lambda codec: codec.name)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_digit_is_counted_once(codec: Codec, size: int) -> None:
    """Round after round, in any batches, also by decoders that have a memory."""
    rows = np.tile(dialling(codec, 20, KEYPAD), (3, 1))
    assert counted(packets(rows, codec.payload_type), KEYPAD, codec, size) == (3 * 16, 0, 0)


def test_a_round_holds_each_digit_wherever_it_begins() -> None:
    """One may be cut in two, and be heard at both ends; none is heard twice in between, which would count as lost."""
    rounds = np.tile(dialling(pcmu(), 20, KEYPAD), (2, 1))
    length = len(rounds) // 2
    told = {counted(packets(rounds[start : start + length]), KEYPAD) for start in range(length)}
    assert told == {(16, 0, 0), (17, 0, 0)}


def test_the_same_digit_twice_is_two_digits() -> None:
    """The silence between them parts them."""
    rows = np.tile(dialling(pcmu(), 20, "1122"), (2, 1))
    assert counted(packets(rows), "1122") == (8, 0, 0)


def test_a_missing_digit_is_lost_when_a_later_one_is_heard() -> None:
    """Told by the order in which they were dialled; where a leg begins to listen, nothing is lost yet."""
    rows = dialling(pcmu(), 20, "12345")
    without_three = np.delete(rows, np.arange(2 * PACKETS_PER_DIGIT, 3 * PACKETS_PER_DIGIT), axis=0)
    assert counted(packets(without_three), "12345") == (4, 1, 0)
    assert counted(packets(rows[2 * PACKETS_PER_DIGIT :]), "12345") == (3, 0, 0)


def test_a_digit_that_nobody_dialled_is_wrong() -> None:
    """It is crosstalk, or another caller's."""
    assert counted(packets(dialling(pcmu(), 20, "19")), "12") == (2, 0, 1)


def test_a_short_gap_in_a_tone_makes_no_second_digit() -> None:
    """One lost packet, or one of another payload type, within a digit."""
    rows = dialling(pcmu(), 20, "5")
    assert counted(packets(np.delete(rows, 2, axis=0)), "5") == (1, 0, 0)
    heard = packets(rows)
    heard[2] = heard[2]._replace(payload_type=101)
    assert counted(heard, "5") == (1, 0, 0)


def test_a_released_leg_begins_anew() -> None:
    """Another call's digits have an order of their own."""
    voice = Voice(pcmu(), dialling(pcmu(), 20, "123"), "123")
    tracker = ToneTracker()
    plain = context_of(FixedLog([2000, 2000]), [-1, -1])
    tracker.begin(replace(plain, voices=(voice,), audio_legs=np.array([[1], [-1]], np.int32)))
    for digits in ("1", "3"):
        for batch in split(packets(dialling(pcmu(), 20, digits)), [50]):
            tracker.observe(batch)
        tracker.release(np.zeros(1, np.int32))
    assert tracker.snapshot() == {"tones.digits": 2, "tones.lost": 0, "tones.wrong": 0}
    assert tracker.per_leg()["tones.digits"][0] == 0
