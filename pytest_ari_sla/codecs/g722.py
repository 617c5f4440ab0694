"""G.722: 7 kHz wideband speech at 64 kbit/s, coded by FFmpeg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.codecs.ffmpeg import FfmpegCoder
from pytest_ari_sla.codecs.packetizing import split_samples
from pytest_ari_sla.metrics.voice_quality import G722_64K

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.voice_quality import CodecImpairment

__all__ = ["G722Codec"]

CODER = FfmpegCoder("G722", "g722", sample_rate_hz=16000)


@dataclass(frozen=True)
class G722Codec:
    """G.722 as a :class:`~pytest_ari_sla.hookspecs.codec.Codec`: one octet per two samples at 16 kHz.

    The RTP clock runs at 8000 Hz all the same: RFC 3551, 4.5.2 keeps RFC 1890's mistake.
    """

    name: ClassVar[str] = "G722"
    asterisk_format: ClassVar[str] = "g722"
    payload_type: ClassVar[int] = 9
    clock_rate_hz: ClassVar[int] = 8000
    sample_rate_hz: ClassVar[int] = CODER.sample_rate_hz
    packet_times_ms: ClassVar[Sequence[int]] = (20, 10, 30, 40, 60)
    impairment: ClassVar[CodecImpairment | None] = G722_64K

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.encode`."""
        return CODER.encode(samples, packets=len(split_samples(self, samples, packet_time_ms)), options={})

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.decode`."""
        return CODER.decode([payload.tobytes()])  # a stream of octets: where packets end does not matter
