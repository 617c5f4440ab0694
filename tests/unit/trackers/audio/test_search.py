from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.codecs.g711 import pcma, pcmu
from pytest_ari_sla.codecs.speech import speech_like
from pytest_ari_sla.trackers.audio.search import AudioSearch, to_search_rate

LOOP = speech_like(10.0, 8000)
SEARCH = AudioSearch(LOOP.astype(np.float64))


@given(st.integers(0, len(LOOP) - 1), st.floats(0.05, 1.0))
def test_a_second_of_speech_is_found_to_the_sample(begin: int, level: float) -> None:
    """Anywhere in the loop, across its end too, at any level."""
    piece = np.roll(LOOP, -begin)[:8000].astype(np.float64)
    position, likeness = SEARCH.find(np.multiply(piece, level, dtype=np.float64))
    assert position == begin
    assert likeness == pytest.approx(1)


@pytest.mark.parametrize("begin", [0, 12_345, 77_000])
def test_speech_is_found_behind_two_codings_and_noise(begin: int) -> None:
    """µ-law, then A-law, then noise at -50 dB: still the same place."""
    piece = np.roll(LOOP, -begin)[:8000]
    coded = pcma().decode(pcma().encode(pcmu().decode(pcmu().encode(piece, 20)), 20))
    noise = np.random.default_rng(1).normal(0, 100, len(piece))
    position, likeness = SEARCH.find(coded + noise)
    assert position == begin
    assert likeness > 0.9


def test_other_audio_is_not_alike() -> None:
    """Other speech and noise stay far below what our own reaches."""
    other = speech_like(1.0, 8000, seed=99).astype(np.float64)
    assert SEARCH.find(other)[1] < 0.4
    assert SEARCH.find(np.random.default_rng(2).normal(0, 1000, 8000))[1] < 0.2


def test_silence_is_like_nothing() -> None:
    """No level, no place: also in a loop that is silent itself."""
    assert SEARCH.find(np.zeros(8000))[1] == 0
    assert AudioSearch(np.zeros(8000)).find(np.ones(100))[1] == 0


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_audio_of_every_codec_is_brought_to_one_rate(rate_hz: int) -> None:
    """A tone keeps its pitch and length."""
    tone = (10_000 * np.sin(2 * np.pi * 400 * np.arange(rate_hz) / rate_hz)).astype(np.int16)
    brought = to_search_rate(tone, rate_hz)
    assert len(brought) == 8000
    assert int(np.argmax(np.abs(np.fft.rfft(brought)))) == 400


@pytest.mark.parametrize("rate_hz", [4000, 11025])
def test_an_odd_rate_is_refused(rate_hz: int) -> None:
    """Averaging would move the audio in time."""
    with pytest.raises(ValueError, match="cannot be brought"):
        to_search_rate(np.zeros(100, np.int16), rate_hz)
