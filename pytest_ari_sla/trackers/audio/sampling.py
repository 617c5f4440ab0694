"""Decoding received audio: whatever payloads the network brings, as samples where they are audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["COMFORT_NOISE", "decode_packets", "decode_rows"]

COMFORT_NOISE = (13, 19)
"""Payload types that describe silence instead of audio (RFC 3389; 19 in older devices)."""


def decode_rows(
    codec: Codec, batch: PacketBatch, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int16]]]:
    """Decode some packets of a batch, those of one payload length together; what is not the codec's is passed over.

    Yields
    ------
    rows, samples
        (k,) intp and (k, samples) int16: row numbers, ascending, and the audio of each. Packets are decoded one behind
        the other, so that a codec with memory carries a little of each packet into the next one.
    """
    rows = rows[batch.payload_type[rows] == codec.payload_type]
    lengths = batch.payload_length[rows]
    for length in np.unique(lengths).tolist():
        alike = rows[lengths == length]
        samples = decode_packets(codec, batch.payload[alike, :length])
        if samples is not None:
            yield alike, samples
        elif len(alike) > 1:
            # One payload that the codec refuses must not cost the others.
            for row in alike[:, np.newaxis]:
                samples = decode_packets(codec, batch.payload[row, :length])
                if samples is not None:
                    yield row, samples


def decode_packets(codec: Codec, packets: NDArray[np.uint8]) -> NDArray[np.int16] | None:
    """Decode (n, bytes) consecutive packets into (n, samples); None where the codec cannot make audio of them.

    Codecs refuse payloads with errors of their own libraries. Whatever the error: its cause came from the network.
    """
    if not packets.size:
        return None
    try:
        samples = codec.decode(packets)
    except Exception:
        return None
    each = len(samples) // len(packets)
    return samples[: each * len(packets)].reshape(len(packets), each) if each else None
