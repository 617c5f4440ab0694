from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.g711 import G711Codec, pcmu
from pytest_ari_sla.trackers.audio.sampling import decode_rows
from tests.unit.batches import Packet, batch_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_packets_of_all_lengths_are_decoded_each_as_long_as_it_is() -> None:
    """Only the rows asked for, only the bytes that count; an empty payload holds no audio."""
    payloads = [b"\xff" * 160, b"", b"\x80" * 80, b"\x80" * 160, b"\xff" * 160]
    batch = batch_of([Packet(payload=payload) for payload in payloads])
    decoded = {
        row: audio
        for rows, samples in decode_rows(pcmu(), batch, np.arange(4))
        for row, audio in zip(rows, samples, strict=True)
    }
    assert {row: len(audio) for row, audio in decoded.items()} == {0: 160, 2: 80, 3: 160}
    assert decoded[0].any() == np.False_
    assert (decoded[2] == 32124).all()


class FramedCodec(G711Codec):
    """A codec that finds no whole frame in what it is given."""

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode nothing."""
        return np.zeros(0, np.int16)


def test_less_than_a_frame_is_no_audio() -> None:
    """A few bytes that a codec makes nothing of are left out."""
    framed = FramedCodec(**{field.name: getattr(pcmu(), field.name) for field in fields(G711Codec)})
    batch = batch_of([Packet(payload=b"\1\2\3\4")])
    assert list(decode_rows(framed, batch, np.arange(1))) == []
