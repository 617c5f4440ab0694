"""One encoder and one decoder of FFmpeg's, through PyAV: a run of audio in, packets of one length out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.optional_library import load_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from av.audio.codeccontext import AudioCodecContext
    from numpy.typing import NDArray

__all__ = ["FfmpegCoder"]


@dataclass(frozen=True)
class FfmpegCoder:
    """A mono coder with 16-bit samples.

    Attributes
    ----------
    codec_name
        Name of the codec that uses it, for messages.
    ffmpeg_name
        FFmpeg's name of the coder: ``g722``, ``libopus`` …
    sample_rate_hz
        Rate of the samples, both ways.
    bit_rate
        Bits per second; None where the coder has one rate only.
    """

    codec_name: str
    ffmpeg_name: str
    sample_rate_hz: int
    bit_rate: int | None = None

    def encode(self, samples: NDArray[np.int16], packets: int, options: Mapping[str, str]) -> NDArray[np.uint8]:
        """Encode a run of audio with a fresh encoder into (packets, bytes); ``options`` are the encoder's own.

        The coder must give a whole number of octets per packet, the same for all (a constant bit rate).
        """
        av = load_library("av", self.codec_name)
        encoder = self._context("w")
        # So that time stamps count samples.
        encoder.time_base = Fraction(1, self.sample_rate_hz)
        encoder.options = dict(options)
        if self.bit_rate is not None:
            encoder.bit_rate = self.bit_rate
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = self.sample_rate_hz, 0
        octets = b"".join(bytes(packet) for packet in encoder.encode(frame))
        return np.frombuffer(octets, np.uint8).reshape(packets, -1)

    def decode(self, packets: Iterable[bytes]) -> NDArray[np.int16]:
        """Decode consecutive packets with a fresh decoder into (k,) samples."""
        av = load_library("av", self.codec_name)
        decoder = self._context("r")
        frames = (frame for packet in packets for frame in decoder.decode(av.Packet(packet)))
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames] or [np.empty(0, np.int16)])

    def _context(self, mode: str) -> AudioCodecContext:
        av = load_library("av", self.codec_name)
        context: AudioCodecContext = av.CodecContext.create(self.ffmpeg_name, mode)
        context.sample_rate, context.layout, context.format = self.sample_rate_hz, "mono", "s16"
        return context
