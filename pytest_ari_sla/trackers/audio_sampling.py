"""Decoding received audio: rows of a batch of any payload length, as samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs import Codec
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["decode_rows"]


def decode_rows(
    codec: Codec, batch: PacketBatch, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int16]]]:
    """Decode some packets of a batch, those of one payload length together.

    Yields
    ------
    rows, samples
        (k,) intp and (k, samples) int16: row numbers, ascending, and the audio of each. Packets are decoded one behind
        the other, so that a codec with memory carries a little of each packet into the next one.
    """
    lengths = batch.payload_length[rows]
    for length in np.unique(lengths[lengths > 0]).tolist():
        alike = rows[lengths == length]
        samples = codec.decode(batch.payload[alike, :length])
        if len(samples) < len(alike):
            # Less than a frame of the codec: nothing to be heard.
            continue
        yield alike, samples[: len(samples) // len(alike) * len(alike)].reshape(len(alike), -1)
