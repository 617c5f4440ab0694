"""What callers say: WAVs and keys as encoded voices, and where in them the speech is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from pytest_ari_sla.callers.detector import BLOCK_NS, QUIETEST_DB, levels_db
from pytest_ari_sla.callers.script import Utterance
from pytest_ari_sla.callers.steps import Dial, Say
from pytest_ari_sla.callers.wav import read_wav
from pytest_ari_sla.codecs.speech import dtmf
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.rtp.event_frames import event_frames, pressed_frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.callers.steps import Step
    from pytest_ari_sla.hookspecs.codec import Codec

__all__ = ["SAMPLES_RATE_HZ", "CompiledScript", "compile_script"]

SAMPLES_RATE_HZ = 16_000
"""The rate of samples that a script says."""

PADDING_S = 2.0
"""Silence behind what is said, as voices sound over and over: so late may the order come to be silent."""

_LOUD_BELOW_PEAK_DB = 35.0


def _resampled(samples: NDArray[np.int16], rate_hz: int, wanted_hz: int) -> NDArray[np.int16]:
    if rate_hz == wanted_hz:
        return samples
    resampled: NDArray[np.int16] = soxr.resample(samples, rate_hz, wanted_hz)
    return resampled


def _silence(codec: Codec, packet_time_ms: int) -> Voice:
    """Return a voice that says nothing: one frame, so that all who are silent send alike."""
    nothing = np.zeros(codec.sample_rate_hz * packet_time_ms // 1000, np.int16)
    return Voice(codec, codec.encode(nothing, packet_time_ms)[:1])


@dataclass(frozen=True, eq=False)
class CompiledScript:
    """A script that can be followed.

    Attributes
    ----------
    steps
        What callers do.
    voices
        What they say; the first one is silence.
    utterances
        Where in the voices each step's speech is, by the number of the step, from 0.
    """

    steps: Sequence[Step]
    voices: Sequence[Voice]
    utterances: Mapping[int, Utterance]

    @property
    def presses_keys(self) -> bool:
        """Whether they press keys as telephone events, and not as tones."""
        return any(voice.events is not None for voice in self.voices)


def compile_script(
    steps: Sequence[Step], codec: Codec, packet_time_ms: int, events_type: int | None = None
) -> CompiledScript:
    """Return a script with all that its callers say, encoded.

    Parameters
    ----------
    steps
        What they do.
    codec, packet_time_ms
        How they send it.
    events_type
        Payload type of telephone events, where keys are sent as these; None: as tones.

    Raises
    ------
    UsageError
        A WAV is missing or unreadable, or holds silence only.
    """
    voices = [_silence(codec, packet_time_ms)]
    utterances = {}
    for number, step in enumerate(steps):
        if isinstance(step, Dial) and events_type is not None:
            utterances[number] = Utterance(
                len(voices), 0, pressed_frames(step.digits, packet_time_ms) * packet_time_ms * 1_000_000
            )
            voices.append(_keys(step.digits, events_type, codec, packet_time_ms))
        elif isinstance(step, Say | Dial):
            samples = _samples_of(step, codec.sample_rate_hz)
            utterances[number] = _utterance(len(voices), samples, codec.sample_rate_hz, str(step))
            voices.append(Voice(codec, _encoded(samples, codec, packet_time_ms)))
    return CompiledScript(steps, voices, utterances)


def _keys(digits: str, events_type: int, codec: Codec, packet_time_ms: int) -> Voice:
    """Return a voice that presses keys, and is silent otherwise."""
    pressed = event_frames(digits, events_type, codec.clock_rate_hz, packet_time_ms)
    behind = np.zeros((round(PADDING_S * 1000 / packet_time_ms), pressed.shape[1]), np.uint8)
    events = np.concatenate([pressed, behind])
    # Frames without an event are sent as audio: behind the keys, and in their pauses.
    silence = codec.encode(
        np.zeros(len(events) * codec.sample_rate_hz * packet_time_ms // 1000, np.int16), packet_time_ms
    )
    return Voice(codec, silence, events=events)


def _samples_of(step: Say | Dial, rate_hz: int) -> NDArray[np.int16]:
    if isinstance(step, Dial):
        return dtmf(step.digits, rate_hz)
    if isinstance(step.audio, Path):
        return _resampled(*read_wav(step.audio), rate_hz)
    return _resampled(step.audio, SAMPLES_RATE_HZ, rate_hz)


def _utterance(voice: int, samples: NDArray[np.int16], rate_hz: int, what: str) -> Utterance:
    """Return what samples say: their speech, without the silence before and behind it."""
    block = rate_hz * BLOCK_NS // 1_000_000_000
    # A WAV rarely ends with a whole block of 10 ms; its last syllable counts too.
    padded = np.append(samples, np.zeros(-len(samples) % block, np.int16))
    levels = levels_db(padded.reshape(-1, block))
    # Against the recording's own peak, so that its room noise is not taken for speech; the detector's limit bounds it.
    loud = np.flatnonzero(levels > max(QUIETEST_DB, levels.max() - _LOUD_BELOW_PEAK_DB))
    if not loud.size:
        raise UsageError(f"{what}: there is nothing to be heard in it")
    first, end = int(loud[0]), int(loud[-1]) + 1
    return Utterance(voice, first * BLOCK_NS, end * BLOCK_NS, levels[first:end])


def _encoded(samples: NDArray[np.int16], codec: Codec, packet_time_ms: int) -> NDArray[np.uint8]:
    frame = codec.sample_rate_hz * packet_time_ms // 1000
    frames = -(-len(samples) // frame) + round(PADDING_S * 1000 / packet_time_ms)
    padded = np.zeros(frames * frame, np.int16)
    padded[: len(samples)] = samples
    return codec.encode(padded, packet_time_ms)
