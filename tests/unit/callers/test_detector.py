"""The speech detector: what it is held to is webrtcvad, and the places where speech was put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import webrtcvad

from pytest_ari_sla.callers.detector import BLOCK_NS, HANGOVER_NS, SpeechChange, SpeechDetector, levels_db
from pytest_ari_sla.codecs.speech import speech_like

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 8000
BLOCK = RATE_HZ // 100
MS = 1_000_000


def hear(audio: NDArray[np.int16], detector: SpeechDetector | None = None, leg: int = 0) -> list[SpeechChange]:
    """Return what a detector says of audio that begins at time 0."""
    detector = detector or SpeechDetector(1)
    levels = levels_db(audio[: len(audio) // BLOCK * BLOCK].reshape(-1, BLOCK))
    changes = []
    for number, level in enumerate(levels):
        changes += detector.hear(np.array([leg]), np.array([number * BLOCK_NS]), np.array([level]))
    return changes + detector.advance(len(levels) * BLOCK_NS + HANGOVER_NS)


def noise(seconds: float, level_db: float) -> NDArray[np.int16]:
    """Return noise of a level."""
    samples = np.random.default_rng(3).normal(0, 32768 * 10 ** (level_db / 20), round(seconds * RATE_HZ))
    return samples.astype(np.int16)


def put(audio: NDArray[np.int16], into: NDArray[np.int16], at_s: float) -> NDArray[np.int16]:
    """Return audio with more of it at a place."""
    mixed = into.astype(np.int32)
    first = round(at_s * RATE_HZ)
    mixed[first : first + len(audio)] += audio
    return np.clip(mixed, -32768, 32767).astype(np.int16)


def tone(seconds: float) -> NDArray[np.int16]:
    """Return a tone as loud as speech."""
    return (8000 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.int16)


@pytest.mark.parametrize("noise_db", [-96.0, -60.0, -45.0])
def test_beginning_and_end_are_those_of_the_speech_whatever_the_line(noise_db: float) -> None:
    """To the block, once the line is known."""
    changes = hear(put(tone(1.2), noise(6, noise_db), 3.0))
    late = [change for change in changes if change.at_ns > 2500 * MS]
    assert [change.speaks for change in late] == [True, False]
    assert abs(late[0].at_ns - 3000 * MS) <= BLOCK_NS
    assert abs(late[1].at_ns - 4200 * MS) <= BLOCK_NS


def test_noise_that_goes_on_is_no_speech_after_a_moment() -> None:
    """The floor follows it within two seconds."""
    changes = hear(noise(8, -45))
    assert all(change.at_ns < 2500 * MS for change in changes)


def test_a_click_is_no_speech_and_a_short_pause_is_no_end() -> None:
    """Three blocks at least; and a pause shorter than the hangover bridges."""
    quiet = noise(4, -70)
    assert hear(put(tone(0.02), quiet, 2)) == []
    changes = hear(put(tone(0.5), put(tone(0.5), quiet, 1), 1.65))
    assert [(change.speaks, round(change.at_ns / 1e8)) for change in changes] == [(True, 10), (False, 22)]


def test_music_without_pauses_stays_audible() -> None:
    """A line's noise is not that loud."""
    (change,) = (change for change in hear(tone(10)) if change.speaks)
    assert change.at_ns == 0


def test_a_line_that_nothing_arrives_on_is_silent() -> None:
    """As where silence is not sent."""
    detector = SpeechDetector(2)
    for number in range(10):
        detector.hear(np.array([1]), np.array([number * BLOCK_NS]), np.array([-20.0]))
    assert detector.advance(100 * MS + HANGOVER_NS - 1) == []
    assert detector.advance(100 * MS + HANGOVER_NS) == [SpeechChange(1, False, 100 * MS)]


@pytest.mark.parametrize(
    ("lost_ms", "changes"),
    [
        (300, [(True, 0, False), (False, 100, False), (True, 400, True)]),  # all of it was lost
        (150, [(True, 0, False), (False, 100, False), (True, 400, True)]),  # and so most of it
        (100, [(True, 0, False), (False, 100, False), (True, 400, False)]),  # 200 ms of silence are an end
        (0, [(True, 0, False), (False, 100, False), (True, 400, False)]),  # nothing was sent
    ],
)
@pytest.mark.parametrize("is_told_before", [True, False])
def test_what_was_lost_is_no_silence(
    lost_ms: int, changes: list[tuple[bool, int, bool]], *, is_told_before: bool
) -> None:
    """Speech of 100 ms, 300 ms without packets, and speech again: the end is taken back, if it has been told at all."""
    detector = SpeechDetector(1)
    found = []
    for at_ms in (*range(0, 100, 10), *range(400, 500, 10)):
        lost_ns = np.array([lost_ms * MS if at_ms == 400 else 0])
        if at_ms == 400 and is_told_before:
            found += detector.advance(399 * MS)
        found += detector.hear(np.array([0]), np.array([at_ms * MS]), np.array([-20.0]), lost_ns)
    told = [(change.speaks, change.at_ns // MS, change.goes_on) for change in found]
    assert told == (changes if is_told_before or lost_ms <= 100 else changes[:1])


def test_speech_that_begins_behind_lost_packets_may_have_begun_among_them() -> None:
    """By so much a time that it ends may be too long; in the middle of speech nothing is in doubt."""
    detector = SpeechDetector(1)
    found = []
    for at_ms in (*range(1000, 1200, 10), *range(1300, 1400, 10)):
        lost_ns = np.array([260 * MS if at_ms == 1000 else 100 * MS if at_ms == 1300 else 0])
        found += detector.hear(np.array([0]), np.array([at_ms * MS]), np.array([-20.0]), lost_ns)
    assert found == [SpeechChange(0, True, 1000 * MS, unheard_ns=260 * MS)]


def test_an_end_stays_where_it_was_though_packets_behind_it_were_lost() -> None:
    """They put off when it is told, not what is told."""
    detector = SpeechDetector(1)
    found = []
    for at_ms in range(0, 800, 10):
        lost_ns = np.array([20 * MS if at_ms == 300 else 0])
        level = np.array([-20.0 if at_ms < 200 else -80.0])
        found += detector.hear(np.array([0]), np.array([at_ms * MS]), level, lost_ns)
    assert [(change.speaks, change.at_ns // MS) for change in found] == [(True, 0), (False, 200)]


def test_legs_are_judged_apart_and_forgotten_when_released() -> None:
    """The next call of the same number is a line of its own."""
    detector = SpeechDetector(3)
    hear(noise(3, -40), detector, leg=1)
    assert hear(put(tone(1), noise(3, -70), 1), detector, leg=2)
    detector.release(np.array([1]))
    assert [change.speaks for change in hear(put(tone(1), noise(3, -70), 1), detector, leg=1)] == [True, False]


@pytest.mark.parametrize("noise_db", [-70.0, -50.0])
@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_webrtcvad(seed: int, noise_db: float) -> None:
    """On 95 % of blocks of speech-like audio, but for a hangover at each end, where both are free."""
    audio = put(speech_like(12, RATE_HZ, seed), noise(12, noise_db), 0)
    blocks = len(audio) // BLOCK
    ours = np.zeros(blocks, bool)
    changes = hear(audio)
    for begin, end in zip(changes[::2], changes[1::2], strict=True):
        ours[begin.at_ns // BLOCK_NS : end.at_ns // BLOCK_NS] = True
    vad = webrtcvad.Vad(2)
    theirs = np.array(
        [vad.is_speech(audio[n * BLOCK : (n + 1) * BLOCK].tobytes(), RATE_HZ) for n in range(blocks)], bool
    )
    hangover = HANGOVER_NS // BLOCK_NS
    near_edge = np.zeros(blocks, bool)
    for edge in np.flatnonzero(np.diff(theirs.astype(int))):
        near_edge[max(0, edge - hangover) : edge + hangover + 1] = True
    judged = ~near_edge
    judged[:200] = False  # the line is not known yet
    assert judged.sum() > 50
    assert (ours == theirs)[judged].mean() > 0.95
