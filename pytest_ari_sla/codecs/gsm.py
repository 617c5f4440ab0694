"""GSM full rate (06.10): mobile telephony's first codec, 13 kbit/s, coded by libsndfile."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_ari_sla.codecs.optional_library import load_library
from pytest_ari_sla.codecs.packetizing import split_samples
from pytest_ari_sla.metrics.voice_quality import GSM_FR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.voice_quality import CodecImpairment

__all__ = ["GsmCodec"]

# Headerless 33-octet frames, as RTP carries them (RFC 3551, 4.5.8.1); WAV files pack them differently.
RAW_FRAMES: dict[str, Any] = {"format": "RAW", "subtype": "GSM610"}


@dataclass(frozen=True)
class GsmCodec:
    """GSM full rate as a :class:`~pytest_ari_sla.hookspecs.codec.Codec`: 33 octets per 20 ms, frames in a row."""

    name: ClassVar[str] = "GSM"
    asterisk_format: ClassVar[str] = "gsm"
    payload_type: ClassVar[int] = 3
    clock_rate_hz: ClassVar[int] = 8000
    sample_rate_hz: ClassVar[int] = 8000
    packet_times_ms: ClassVar[Sequence[int]] = (20, 40, 60)
    impairment: ClassVar[CodecImpairment | None] = GSM_FR

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.encode`."""
        packets = len(split_samples(self, samples, packet_time_ms))
        file = BytesIO()
        load_library("soundfile", self.name).write(file, samples, self.sample_rate_hz, **RAW_FRAMES)
        return np.frombuffer(file.getvalue(), np.uint8).reshape(packets, -1)

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.decode`."""
        file = BytesIO(payload.tobytes())
        samples: NDArray[np.int16]
        samples, _ = load_library("soundfile", self.name).read(
            file, samplerate=self.sample_rate_hz, channels=1, dtype="int16", **RAW_FRAMES
        )
        return samples
