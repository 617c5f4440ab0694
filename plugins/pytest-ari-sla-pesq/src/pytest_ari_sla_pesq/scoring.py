"""From a recording of payloads to a PESQ score: what a phone with a plain jitter buffer would have played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pesq import PesqError, pesq

from pytest_ari_sla.rtp.probe import PROBE_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla import Codec
    from pytest_ari_sla_pesq.recorder import Recording

__all__ = ["Scorer", "played_rows", "resample"]

NARROWBAND_HZ, WIDEBAND_HZ = 8000, 16000
LOWEST_SCORE = 1.0  # the bottom of the MOS scale: PESQ itself refuses audio without any speech


def played_rows(recording: Recording, playout_ns: int) -> NDArray[np.intp]:
    """Return which packet a phone plays at each place, (packets,): its own, or the one before it that was there.

    A packet that comes more than ``playout_ns`` after the fastest one is too late for the jitter buffer. What is
    missing is concealed by repeating, the simplest concealment in use.
    """
    fastest_ns = recording.delay_ns[recording.arrived].min()
    in_time = recording.arrived & (recording.delay_ns - fastest_ns <= playout_ns)
    places = np.arange(len(in_time))
    played = np.maximum.accumulate(np.where(in_time, places, -1))
    # Before the first packet in time there is nothing to repeat: the first one stands for it.
    return np.where(played < 0, int(in_time.argmax()), played)


def resample(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """Bring audio down to a lower rate by cutting its spectrum off."""
    if from_hz == to_hz:
        return samples
    length = len(samples) * to_hz // from_hz
    # Nothing above half of the new rate is left: there is no aliasing.
    spectrum = np.fft.rfft(samples.astype(np.float64))[: length // 2 + 1]
    # irfft divides by the new length, rfft was over the old
    lower = np.fft.irfft(spectrum, length) * (length / len(samples))
    return np.clip(np.round(lower), -32768, 32767).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores recordings of one load.

    Attributes
    ----------
    frames
        (frames, bytes) uint8. The encoded audio that every leg sends in turn.
    codec, received_codec
        What it is encoded with, and what comes back.
    playout_ns
        How much later than the fastest packet one may come and still be played.
    """

    frames: NDArray[np.uint8]
    codec: Codec
    received_codec: Codec
    playout_ns: int

    @property
    def mode(self) -> Literal["nb", "wb"]:
        """Narrow band (P.862.1) as soon as one of the two codecs is; else wide band (P.862.2)."""
        lowest_hz = min(self.codec.sample_rate_hz, self.received_codec.sample_rate_hz)
        # What either codec cuts off at 4 kHz would be scored as a fault by the wide band model.
        return "nb" if lowest_hz < WIDEBAND_HZ else "wb"

    def score(self, recording: Recording) -> float | None:
        """Return the MOS-LQO of a recording; None where the audio sent was a pause."""
        rate_hz = NARROWBAND_HZ if self.mode == "nb" else WIDEBAND_HZ
        heard = resample(self._heard(recording), self.received_codec.sample_rate_hz, rate_hz)
        if recording.first_frame >= 0:
            sent = self.codec.decode(self._frames_of(recording))
            reference = resample(sent, self.codec.sample_rate_hz, rate_hz)
        else:
            # Transcoded audio has no probe left: where in the loop it begins is found by likeness.
            loop = resample(self.codec.decode(self.frames), self.codec.sample_rate_hz, rate_hz)
            reference = _aligned(loop, heard)
        if not heard.any():
            return LOWEST_SCORE if reference.any() else None
        # A pause has no utterance to score: that is a negative value then, not an exception.
        value = float(pesq(rate_hz, reference, heard, self.mode, on_error=PesqError.RETURN_VALUES))
        return value if value >= 0 else None

    def _frames_of(self, recording: Recording) -> NDArray[np.uint8]:
        """Return the frames that were sent at each place of a recording with probes."""
        return self.frames[(recording.first_frame + np.arange(len(recording.payload))) % len(self.frames)]

    def _heard(self, recording: Recording) -> NDArray[np.int16]:
        """Decode what is played; the audio under a probe is put back, since the probe is ours and not a fault."""
        payload = recording.payload.copy()
        if recording.first_frame >= 0:
            payload[:, :PROBE_BYTES] = self._frames_of(recording)[:, :PROBE_BYTES]
        return self.received_codec.decode(payload[played_rows(recording, self.playout_ns)])


def _aligned(loop: NDArray[np.int16], heard: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the part of an endless loop of audio that is most like what was heard."""
    size = len(loop)
    folded = np.zeros(size)
    # Folded to one period: its circular correlation with the loop is that of the whole recording.
    np.add.at(folded, np.arange(len(heard)) % size, heard.astype(np.float64))
    spectrum = np.conj(np.fft.rfft(folded)) * np.fft.rfft(loop.astype(np.float64))
    # By FFT, n log n: the loop has 80,000 samples at 10 s of 8 kHz.
    start = int(np.fft.irfft(spectrum, size).argmax())
    return loop[(start + np.arange(len(heard))) % size]
