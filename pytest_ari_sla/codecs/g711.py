"""G.711, the telephone network's logarithmic PCM, by table: µ-law (PCMU) and A-law (PCMA).

Both laws approximate a logarithm by eight segments of sixteen steps each; every segment is twice as coarse as the one
below (ITU-T G.711, tables 1 and 2). All 65536 samples and all 256 octets are worked out once; after that, encoding
and decoding are one table look-up per sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pytest_ari_sla.codecs.packetizing import split_samples
from pytest_ari_sla.metrics.voice_quality import G711_PLC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.metrics.voice_quality import CodecImpairment

__all__ = ["G711Codec", "alaw_to_linear", "linear_to_alaw", "linear_to_mulaw", "mulaw_to_linear", "pcma", "pcmu"]

MULAW_BIAS = 33 << 2  # G.711 adds 33 to the 14-bit magnitude, so that each segment begins at a power of two
MULAW_CLIP = 32635  # the largest magnitude that stays below 2**15 with the bias added
ALAW_TOGGLE = 0x55  # A-law lines carry every even bit inverted, so that silence is not all zeros


def _segment(magnitude: NDArray[np.int64], lowest_bits: int) -> NDArray[np.int64]:
    """Return the segment 0-7 of each magnitude: by how many bits it is longer than ``lowest_bits``."""
    bit_length = np.frexp(magnitude.astype(np.float64))[1]
    return np.clip(bit_length.astype(np.int64) - lowest_bits, 0, 7)


def linear_to_mulaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Compress 16-bit samples of any shape by the µ-law (G.711, table 2); octets come as sent, that is inverted."""
    wide = samples.astype(np.int64)
    biased = np.minimum(np.abs(wide), MULAW_CLIP) + MULAW_BIAS
    segment = _segment(biased, 8)
    step = (biased >> (segment + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    octets: NDArray[np.uint8] = (~(sign | segment << 4 | step)).astype(np.uint8)
    return octets


def mulaw_to_linear(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Expand µ-law octets of any shape: each to the middle of its step (G.711, table 2)."""
    code = ~octets.astype(np.int64) & 0xFF
    segment = code >> 4 & 0x07
    magnitude = (((code & 0x0F) << 3) + MULAW_BIAS << segment) - MULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def linear_to_alaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Compress 16-bit samples of any shape by the A-law (G.711, table 1), even bits inverted."""
    wide = samples.astype(np.int64)
    # A-law has no code for zero: its steps lie mirrored around -1/2, which is what one's complement does.
    magnitude = np.where(wide < 0, ~wide, wide)
    segment = _segment(magnitude, 8)
    step = (magnitude >> np.maximum(segment + 3, 4)) & 0x0F
    sign = np.where(wide < 0, 0, 0x80)
    octets: NDArray[np.uint8] = ((sign | segment << 4 | step) ^ ALAW_TOGGLE).astype(np.uint8)
    return octets


def alaw_to_linear(octets: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Expand A-law octets of any shape: each to the middle of its step (G.711, table 1)."""
    code = octets.astype(np.int64) ^ ALAW_TOGGLE
    segment = code >> 4 & 0x07
    middle = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, middle, middle + 0x100 << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@dataclass(frozen=True)
class _Law:
    """One companding law: its two directions as functions."""

    compress: Callable[[NDArray[np.int16]], NDArray[np.uint8]]
    expand: Callable[[NDArray[np.uint8]], NDArray[np.int16]]


LAWS = {"PCMU": _Law(linear_to_mulaw, mulaw_to_linear), "PCMA": _Law(linear_to_alaw, alaw_to_linear)}


@cache
def _encoding_table(name: str) -> NDArray[np.uint8]:
    """Octet of every sample, indexed by the sample's bits read as uint16."""
    return LAWS[name].compress(np.arange(1 << 16, dtype=np.uint16).view(np.int16))


@cache
def _decoding_table(name: str) -> NDArray[np.int16]:
    """Sample of every octet."""
    return LAWS[name].expand(np.arange(256, dtype=np.uint8))


@dataclass(frozen=True)
class G711Codec:
    """G.711 of one law, as a :class:`~pytest_ari_sla.hookspecs.codec.Codec`: one octet per sample at 8 kHz.

    Attributes
    ----------
    name
        ``PCMU`` or ``PCMA``.
    """

    name: str
    asterisk_format: str
    payload_type: int
    clock_rate_hz: ClassVar[int] = 8000
    sample_rate_hz: ClassVar[int] = 8000
    packet_times_ms: ClassVar[Sequence[int]] = (20, 10, 30, 40, 60)
    impairment: ClassVar[CodecImpairment | None] = G711_PLC

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.encode`."""
        return _encoding_table(self.name)[split_samples(self, samples, packet_time_ms).view(np.uint16)]

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets; see :meth:`pytest_ari_sla.hookspecs.codec.Codec.decode`."""
        return _decoding_table(self.name)[payload].reshape(-1)


def pcmu() -> G711Codec:
    """Return G.711 µ-law: North America, Japan, and most test set-ups."""
    return G711Codec("PCMU", asterisk_format="ulaw", payload_type=0)


def pcma() -> G711Codec:
    """Return G.711 A-law: the rest of the world."""
    return G711Codec("PCMA", asterisk_format="alaw", payload_type=8)
