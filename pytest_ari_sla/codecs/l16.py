"""L16: uncompressed 16-bit audio in network byte order (RFC 3551, 4.5.11), which Asterisk calls ``slin``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.packetizing import split_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.voice_quality import CodecImpairment

__all__ = ["L16Codec", "l16_narrowband", "l16_wideband"]


@dataclass(frozen=True)
class L16Codec:
    """Linear PCM at one rate, as a :class:`~pytest_ari_sla.hookspecs.codec.Codec`: two octets per sample.

    ``impairment`` is None: G.113 gives no value, and an undistorted codec without concealment is not G.711.
    """

    name: str
    asterisk_format: str
    payload_type: int
    sample_rate_hz: int
    packet_times_ms: Sequence[int]
    impairment: CodecImpairment | None = None

    @property
    def clock_rate_hz(self) -> int:
        """The RTP time stamp counts samples."""
        return self.sample_rate_hz

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.encode`."""
        return split_samples(self, samples, packet_time_ms).astype(">i2").view(np.uint8)

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.decode`."""
        return np.ascontiguousarray(payload).view(">i2").astype(np.int16).reshape(-1)


def l16_narrowband() -> L16Codec:
    """Return L16 at 8 kHz, Asterisk's ``slin``.

    Its static payload types are why this is the plain ``L16``: ExternalMedia knows no SDP, and Asterisk drops what
    arrives on it with a dynamic type. Asterisk 22 sends type 10 and takes 10 and 11; Asterisk 16 sends µ-law instead.
    """
    return L16Codec("L16", "slin", payload_type=10, sample_rate_hz=8000, packet_times_ms=(20, 10, 30, 40, 60))


def l16_wideband() -> L16Codec:
    """Return L16 at 16 kHz, Asterisk's ``slin16``; longer packets than 40 ms would not fit an Ethernet frame."""
    return L16Codec("L16/16000", "slin16", payload_type=118, sample_rate_hz=16000, packet_times_ms=(20, 10, 30, 40))
