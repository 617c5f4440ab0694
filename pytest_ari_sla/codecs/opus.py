"""Opus: fullband speech and music, coded by libopus through FFmpeg at a hard constant bit rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.codecs.ffmpeg import FfmpegCoder
from pytest_ari_sla.codecs.packetizing import split_samples
from pytest_ari_sla.metrics.voice_quality import OPUS_ESTIMATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.voice_quality import CodecImpairment

__all__ = ["OpusCodec"]

CODER = FfmpegCoder("OPUS", "libopus", sample_rate_hz=48000, bit_rate=32000)


@dataclass(frozen=True)
class OpusCodec:
    """Opus as a :class:`~pytest_ari_sla.hookspecs.codec.Codec`: mono, 32 kbit/s, so 80 octets in 20 ms.

    A constant bit rate, because equal packets let the media loop send from one table. Packets of 30 ms do not exist
    (RFC 6716, 2.1.4). ``impairment`` is an estimate: no ITU value is published.

    ExternalMedia has no SDP, so Asterisk sends Opus on it (type 107) but drops what arrives with a dynamic type.
    """

    name: ClassVar[str] = "OPUS"
    asterisk_format: ClassVar[str] = "opus"
    payload_type: ClassVar[int] = 107
    clock_rate_hz: ClassVar[int] = 48000  # RFC 7587, 4.1: whatever rate is really coded
    sample_rate_hz: ClassVar[int] = CODER.sample_rate_hz
    packet_times_ms: ClassVar[Sequence[int]] = (20, 10, 40, 60)
    impairment: ClassVar[CodecImpairment | None] = OPUS_ESTIMATE

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.encode`."""
        packets = len(split_samples(self, samples, packet_time_ms))
        options = {"vbr": "off", "application": "voip", "frame_duration": str(packet_time_ms)}
        return CODER.encode(samples, packets=packets, options=options)

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.decode`."""
        return CODER.decode(row.tobytes() for row in payload)
