import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_ari_sla.codecs.builtin import pytest_ari_sla_register_codecs
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.speech import frames, marker, speech_like
from pytest_ari_sla.hookspecs.codec import Codec
from pytest_ari_sla.testing.codec_contract import best_match

SEEDS = st.integers(0, 2**32 - 1)


def loud(audio: NDArray[np.int16]) -> NDArray[np.float64]:
    """Level of every 20 ms at 8 kHz, in dB relative to full scale."""
    power = (audio[: len(audio) // 160 * 160].reshape(-1, 160).astype(np.float64) ** 2).mean(axis=1)
    return np.asarray(10 * np.log10(power / 32768**2 + 1e-12))


@given(seed=SEEDS)
@settings(max_examples=20)
def test_the_same_seed_speaks_the_same_words(seed: int) -> None:
    """Audio depends on its arguments only."""
    np.testing.assert_array_equal(speech_like(1.0, 8000, seed), speech_like(1.0, 8000, seed))


def test_another_seed_speaks_other_words() -> None:
    """Two legs with two seeds can be told apart."""
    _, likeness = best_match(speech_like(5.0, 8000, 1), speech_like(5.0, 8000, 2), 8000)
    assert likeness < 0.3


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_speech_has_a_telephone_level_and_pauses(seed: int) -> None:
    """Active parts are near -20 dB; between a tenth and a half of the time is silence; nothing clips."""
    audio = speech_like(10.0, 8000, seed)
    level_db = loud(audio)
    active = level_db > -40
    assert 0.5 < active.mean() < 0.9
    assert 10 * np.log10((10 ** (level_db[active] / 10)).mean()) == pytest.approx(-20, abs=1.5)
    assert np.abs(audio.astype(np.int64)).max() < 32767


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_it_can_be_played_in_a_loop(seed: int) -> None:
    """It begins and ends in silence, so that the seam is not heard."""
    audio = speech_like(3.0, 8000, seed)
    assert not audio[:400].any()
    assert not audio[-400:].any()


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.25])
def test_a_moment_too_short_for_words_is_silent_or_brief(seconds: float) -> None:
    """Even the shortest request has the length asked for."""
    assert speech_like(seconds, 8000).shape == (round(seconds * 8000),)


def test_most_energy_lies_in_the_telephone_band() -> None:
    """Speech by rule sounds through a narrowband codec: over 95 % of its energy is below 3.4 kHz."""
    spectrum = np.abs(np.fft.rfft(speech_like(10.0, 16000).astype(np.float64))) ** 2
    assert spectrum[:34000].sum() > 0.95 * spectrum.sum()


@given(place=st.integers(0, 30000), noise_seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_marker_is_found_to_the_sample(place: int, noise_seed: int) -> None:
    """In a recording with noise of a tenth of its level, the marker's place is exact."""
    tone = marker(8000)
    recording = np.random.default_rng(noise_seed).normal(0, 600, 36000)
    recording[place : place + len(tone)] += tone
    lag, _ = best_match(tone, recording.astype(np.int16), 33000)
    assert lag == place


@pytest.mark.parametrize("codec", pytest_ari_sla_register_codecs(), ids=lambda codec: str(codec.name).replace("/", "-"))
def test_the_marker_survives_every_codec(codec: Codec) -> None:
    """Through each codec it is found within 1 ms of the codec's own delay (Opus: 6.5 ms, G.722: 1.4 ms)."""
    tone = marker(codec.sample_rate_hz)
    rate_hz = codec.sample_rate_hz
    recording = np.zeros(rate_hz, np.int16)
    place = rate_hz * 3 // 10
    recording[place : place + len(tone)] = tone
    lag, _ = best_match(tone, codec.decode(codec.encode(recording, 20)), rate_hz * 6 // 10)
    own_delay_ms = {"OPUS": 6.5, "G722": 1.4}.get(codec.name, 0.0)
    assert 1000 * (lag - place) / rate_hz == pytest.approx(own_delay_ms, abs=1.0)


def test_frames_fill_whole_packets() -> None:
    """A loop that is no multiple of the packet time ends with the last whole packet."""
    assert frames(pcmu(), 30, seconds=1.0).shape == (33, 240)
