"""Audio to send: speech made by rule, and a marker that is found again in whatever a codec leaves of it.

No recording is shipped: the speech is synthesised from a seed, with what codecs and quality measures react to:
voiced sounds with a gliding pitch and moving formants, unvoiced hiss, pauses, and a telephone's level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.rtp.keypad import COLUMNS_HZ, KEYPAD, ROWS_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec

__all__ = ["dialling", "dtmf", "frames", "marker", "speech_like"]

ACTIVE_LEVEL_DBFS = -20.0  # near the usual -26 dBov of ITU-T P.56 test speech, and well above line noise
PEAK = 32000
VOWEL_FORMANTS_HZ = np.array(  # first three formants of seven vowels, after Peterson and Barney's table
    [
        (730, 1090, 2440),
        (530, 1840, 2480),
        (270, 2290, 3010),
        (570, 840, 2410),
        (300, 870, 2240),
        (640, 1190, 2390),
        (390, 1990, 2550),
    ]
)
FORMANT_WIDTHS_HZ = np.array([80.0, 110.0, 160.0])
DIGIT_S, DIGIT_PAUSE_S = 0.1, 0.1  # at least 40 ms each, ITU-T Q.24
DIALLING_PAUSE_S = 1.0
DIGIT_AMPLITUDE = 4000  # of each tone: -12 dB for both, against a full-scale square wave
MARKER_LOW_HZ, MARKER_HIGH_HZ = 350.0, 3300.0  # inside every telephone band


def _formant_gain(frequency_hz: NDArray[np.float64], formants_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of a vocal tract at each frequency: a resonance per formant, falling 6 dB per octave as lips radiate."""
    detuning = (frequency_hz[:, None] - formants_hz) / FORMANT_WIDTHS_HZ
    resonance: NDArray[np.float64] = (1.0 / (1.0 + detuning**2)).sum(axis=1)
    return resonance / np.maximum(frequency_hz / 500.0, 0.4)  # no pole at 0 Hz


def _envelope(length: int, ramp: int) -> NDArray[np.float64]:
    """Fade in and out over ``ramp`` samples each, by half a cosine."""
    ramp = min(ramp, length // 2)
    window = np.ones(length)
    window[:ramp] = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / max(ramp, 1))
    window[length - ramp :] = window[:ramp][::-1]
    return window


def _voiced(length: int, rate_hz: int, random: np.random.Generator) -> NDArray[np.float64]:
    """One vowel: pulses of a gliding pitch, shaped by the formants of a vowel."""
    start_hz, end_hz = random.uniform(95, 150) * np.array([1.0, random.uniform(0.8, 1.15)])
    phase = np.cumsum(np.linspace(start_hz, end_hz, length) / rate_hz)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    spectrum = np.fft.rfft(pulses)
    frequency_hz = np.fft.rfftfreq(length, 1 / rate_hz).astype(np.float64)
    formants_hz = VOWEL_FORMANTS_HZ[random.integers(len(VOWEL_FORMANTS_HZ))] * random.uniform(0.95, 1.08)
    return np.fft.irfft(spectrum * _formant_gain(frequency_hz, formants_hz), length)


def _unvoiced(length: int, rate_hz: int, random: np.random.Generator) -> NDArray[np.float64]:
    """One hiss: noise around a random place between 2 and 3.3 kHz."""
    frequency_hz = np.fft.rfftfreq(length, 1 / rate_hz)
    gain = np.exp(-(((frequency_hz - random.uniform(2000, 3300)) / 900.0) ** 2))
    return np.fft.irfft(np.fft.rfft(random.normal(size=length)) * gain, length)


def _syllable(length: int, rate_hz: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A consonant and a vowel, the consonant 10 dB softer."""
    split = int(length * random.uniform(0.15, 0.35))
    parts = [0.3 * _unit_rms(_unvoiced(split, rate_hz, random)), _unit_rms(_voiced(length - split, rate_hz, random))]
    ramp = rate_hz // 80
    return np.concatenate([part * _envelope(len(part), ramp) for part in parts]) * random.uniform(0.6, 1.0)


def _unit_rms(audio: NDArray[np.float64]) -> NDArray[np.float64]:
    return audio / max(float(np.sqrt(np.mean(audio**2))), 1e-12)  # silence stays silence


def speech_like(seconds: float, sample_rate_hz: int, seed: int = 0) -> NDArray[np.int16]:
    """Return synthetic speech that begins and ends in a pause, so that it can be played in a loop.

    Phrases of three to eight syllables of 100-300 ms with pauses of 200-500 ms between them: about 60-80 % speech.
    The same arguments always give the same audio.

    Returns
    -------
    (seconds * sample_rate_hz,) int16; its speech, pauses left out, is at -20 dB relative to a full-scale square wave.
    """
    random = np.random.default_rng(seed)
    total = round(seconds * sample_rate_hz)
    audio = np.zeros(total)
    active = np.zeros(total, bool)
    end = total - round(0.1 * sample_rate_hz)
    position = round(0.1 * sample_rate_hz)
    while position < end:
        for _ in range(random.integers(3, 9)):
            length = min(round(random.uniform(0.1, 0.3) * sample_rate_hz), end - position)
            if length < sample_rate_hz // 50:  # less than 20 ms is a click, not a syllable
                break
            audio[position : position + length] = _syllable(length, sample_rate_hz, random)
            active[position : position + length] = True
            position += length
        position += round(random.uniform(0.2, 0.5) * sample_rate_hz)
    return _at_level(audio, active)


def _at_level(audio: NDArray[np.float64], active: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Scale so that the active part has the telephone's level; the few peaks above full scale are rounded off."""
    if not active.any():
        return np.zeros(len(audio), np.int16)
    rms = np.sqrt(np.mean(audio[active] ** 2))
    scaled = audio * (32768 * 10 ** (ACTIVE_LEVEL_DBFS / 20) / rms)
    rounded: NDArray[np.int16] = np.round(PEAK * np.tanh(scaled / PEAK)).astype(np.int16)
    return rounded


def marker(sample_rate_hz: int, seconds: float = 0.25) -> NDArray[np.int16]:
    """Return a rising tone (350-3300 Hz) whose place in a recording can be told to the sample.

    A linear sweep: its autocorrelation is one peak as narrow as the band is wide (about 1/3 ms), and unlike noise it
    survives speech codecs, which follow one tone at a time well.

    Returns
    -------
    (seconds * sample_rate_hz,) int16, at -15 dB, faded in and out.
    """
    time_s = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    sweep_hz_per_s = (MARKER_HIGH_HZ - MARKER_LOW_HZ) / seconds
    tone = np.sin(2 * np.pi * (MARKER_LOW_HZ * time_s + sweep_hz_per_s * time_s**2 / 2))
    return np.round(8000 * tone * _envelope(len(tone), sample_rate_hz // 100)).astype(np.int16)


def dtmf(digits: str, sample_rate_hz: int) -> NDArray[np.int16]:
    """Return DTMF digits as tones (ITU-T Q.23): each 100 ms long, at -12 dB, with 100 ms of silence behind it.

    Returns
    -------
    (k,) int16.

    Raises
    ------
    UsageError
        A character is no digit.
    """
    time_s = np.arange(round(DIGIT_S * sample_rate_hz)) / sample_rate_hz
    pause = np.zeros(round(DIGIT_PAUSE_S * sample_rate_hz), np.int16)
    parts: list[NDArray[np.int16]] = []
    for digit in digits.upper():
        if digit not in KEYPAD:
            raise UsageError(f"{digit!r} in {digits!r} is not a DTMF digit; there are {KEYPAD}")
        row, column = divmod(KEYPAD.index(digit), len(COLUMNS_HZ))
        tone = sum(np.sin(2 * np.pi * hertz * time_s) for hertz in (ROWS_HZ[row], COLUMNS_HZ[column]))
        parts += [
            np.round(tone * DIGIT_AMPLITUDE * _envelope(len(time_s), sample_rate_hz // 400)).astype(np.int16),
            pause,
        ]
    return np.concatenate([*parts, np.zeros(0, np.int16)])


def frames(
    codec: Codec,
    packet_time_ms: int,
    seconds: float = 10.0,
    seed: int = 0,
    *,
    turn: tuple[int, int] = (0, 1),
) -> NDArray[np.uint8]:
    """Return encoded speech for the media loop to send over and over.

    Parameters
    ----------
    codec, packet_time_ms
        What the packets are to be.
    seconds, seed
        How long the speech is, and which.
    turn
        ``(k, n)``: of n equal parts of it only the k-th is audible, from 0; the others are silence.

    Returns
    -------
    (packets, bytes) uint8, as many whole packets as fit into ``seconds``.
    """
    packets = int(seconds * 1000) // packet_time_ms
    samples = speech_like(packets * packet_time_ms / 1000, codec.sample_rate_hz, seed)
    part, parts = turn
    samples[: len(samples) * part // parts] = 0
    samples[len(samples) * (part + 1) // parts :] = 0
    return codec.encode(samples, packet_time_ms)


def dialling(codec: Codec, packet_time_ms: int, digits: str) -> NDArray[np.uint8]:
    """Return encoded DTMF digits and a pause for the media loop to send over and over; no speech sounds like them.

    Returns
    -------
    (packets, bytes) uint8.
    """
    tones = dtmf(digits, codec.sample_rate_hz)
    seconds = len(tones) / codec.sample_rate_hz + DIALLING_PAUSE_S
    packets = -(-round(seconds * 1000) // packet_time_ms)
    samples = np.zeros(packets * packet_time_ms * codec.sample_rate_hz // 1000, np.int16)
    samples[: len(tones)] = tones
    return codec.encode(samples, packet_time_ms)
