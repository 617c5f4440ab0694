"""Cutting audio into packets: what all codecs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec

__all__ = ["samples_per_packet", "split_samples"]


def samples_per_packet(codec: Codec, packet_time_ms: int) -> int:
    """Return how many audio samples one packet holds.

    Raises
    ------
    UsageError
        The codec cannot be sent with this packet time.
    """
    if packet_time_ms not in codec.packet_times_ms:
        offered = ", ".join(map(str, codec.packet_times_ms))
        raise UsageError(f"codec {codec.name} has no packet time of {packet_time_ms} ms; it has {offered}")
    return codec.sample_rate_hz * packet_time_ms // 1000


def split_samples(codec: Codec, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.int16]:
    """Return a (packets, samples) view of mono audio, one row a packet.

    Raises
    ------
    UsageError
        The audio is not int16, not mono, not a whole number of packets, or the packet time is not offered.
    """
    width = samples_per_packet(codec, packet_time_ms)
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise UsageError(f"codec {codec.name} takes mono int16 audio, not {samples.ndim}-dimensional {samples.dtype}")
    if len(samples) % width:
        raise UsageError(f"{len(samples)} samples are not a whole number of {codec.name} packets of {width} samples")
    return samples.reshape(-1, width)
