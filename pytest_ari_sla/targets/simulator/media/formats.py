"""Payload formats of the simulated PBX: which payload types it takes, and how it turns one into another.

Like Asterisk's UnicastRTP it takes the static payload types of RFC 3551 only: packets with a dynamic one are dropped,
even of a format that it would send with that number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.g711 import alaw_to_linear, linear_to_alaw, linear_to_mulaw, mulaw_to_linear
from pytest_ari_sla.targets.simulator.pbx.audio.frames import sample_rate_hz

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FORMAT_NUMBERS",
    "FRAME_SAMPLES",
    "PAYLOAD_TYPES",
    "RECEIVED_FORMATS",
    "decode",
    "encode",
    "from_stream",
    "is_linear",
    "to_stream",
]

FRAME_SAMPLES = 160
"""Samples of a packet that is made here: 20 ms at 8 kHz."""

# Asterisk lists slin under 10 and 11, and sends the lower one (main/rtp_engine.c), though RFC 3551 calls 10 stereo.
PAYLOAD_TYPES = {
    "ulaw": 0,
    "alaw": 8,
    "slin": 10,
    "gsm": 3,
    "g722": 9,
    "opus": 107,
    "slin16": 118,
    "slin48": 126,
}
"""Payload type that a format is sent with."""

FORMAT_NUMBERS = {name: number for number, name in enumerate(PAYLOAD_TYPES)}
"""A small number for each format, for arrays."""

_NONE = 255
RECEIVED_FORMATS: NDArray[np.uint8] = np.full(128, _NONE, np.uint8)
"""(128,) uint8. Number of the format of each payload type that comes in; 255 for those that are dropped."""
for _name in ("ulaw", "alaw", "slin", "gsm", "g722"):
    RECEIVED_FORMATS[PAYLOAD_TYPES[_name]] = FORMAT_NUMBERS[_name]
RECEIVED_FORMATS[11] = FORMAT_NUMBERS["slin"]  # the other static number of linear audio

_LINEAR = frozenset({"ulaw", "alaw", "slin"})
# In the order of their bits read as unsigned, by which `encode` looks them up.
_ALL_SAMPLES = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
_ALL_OCTETS = np.arange(256, dtype=np.uint8)
_ENCODING = {"ulaw": linear_to_mulaw(_ALL_SAMPLES), "alaw": linear_to_alaw(_ALL_SAMPLES)}
_DECODING = {"ulaw": mulaw_to_linear(_ALL_OCTETS), "alaw": alaw_to_linear(_ALL_OCTETS)}


def is_linear(name: str) -> bool:
    """Whether a format can be turned into samples here, and so be mixed and translated."""
    return name in _LINEAR


def decode(name: str, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the samples of a payload; ``slin`` is big-endian on the wire (RFC 3551, L16)."""
    if name == "slin":
        # Half a sample at the end would make the view fail.
        return payload[: len(payload) // 2 * 2].view(">i2").astype(np.int16)
    return _DECODING[name][payload]


def encode(name: str, samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return the payload of samples."""
    if name == "slin":
        return samples.astype(">i2").view(np.uint8)
    return _ENCODING[name][samples.view(np.uint16)]


def from_stream(name: str, payload: bytes) -> NDArray[np.int16] | None:
    """Return the samples, at 8 kHz, of a payload of media over TCP, where ``slin`` is little-endian; None: no such."""
    if name.startswith("slin"):
        samples = np.frombuffer(payload[: len(payload) // 2 * 2], "<i2").astype(np.int16)
        factor = sample_rate_hz(name) // 8000
        # The mean of neighbours is as good a filter as speech in a simulator needs.
        means: NDArray[np.int16] = samples[: len(samples) // factor * factor].reshape(-1, factor).mean(1).astype("i2")
        return means
    return decode(name, np.frombuffer(payload, np.uint8)) if is_linear(name) else None


def to_stream(name: str, samples: NDArray[np.int16]) -> bytes | None:
    """Return the payload for media over TCP of samples at 8 kHz; None where that cannot be made here."""
    if name.startswith("slin"):
        return np.repeat(samples, sample_rate_hz(name) // 8000).astype("<i2").tobytes()
    return encode(name, samples).tobytes() if is_linear(name) else None
