"""Many reads at once give what the parsers give for each."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.framing import audiosocket, websocket
from pytest_ari_sla.framing.plain_frames import (
    MOST_HEADER_BYTES,
    PlainFrames,
    alike_payload,
    audiosocket_offset,
    plain_audiosocket,
    plain_websocket,
    unmask,
    websocket_offset,
)
from tests.unit.framing.streams import SEED, hostile_audiosocket, hostile_websocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WIDTH = 900


def _rows(reads: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = np.full((len(reads), _WIDTH), 0xAA, np.uint8)  # what an earlier read left behind
    for row, read in zip(data, reads, strict=True):
        row[: len(read)] = np.frombuffer(read, np.uint8)
    return data, np.array([len(read) for read in reads], np.int64)


def _payloads(data: NDArray[np.uint8], found: PlainFrames, *, masked: bool = False) -> list[list[bytes]]:
    payloads: list[list[bytes]] = []
    for row, count, offset, size in zip(data, found.count, found.offset, found.size, strict=True):
        frames = [row[None, at : at + offset + size] for at in range(0, int(count * (offset + size)), offset + size)]
        taken = [unmask(frame, int(offset)) if masked else frame[:, offset:] for frame in frames]
        payloads.append([payload.tobytes() for payload in taken])
    return payloads


def _together(frames: Sequence[bytes]) -> list[bytes]:
    """Return reads of several frames: alike but for their payloads, of two sizes, cut off, and too many."""
    one, other = frames[0], frames[1]
    return [2 * one, 3 * one, one + other, 2 * one + other[:3], (2 * one)[:-1], 17 * other]


def test_reads_of_audiosocket_are_taken_apart_as_the_parser_does() -> None:
    """A row that is whole messages of audio, alike but for what they hold; all others are left to the parser."""
    random = Random(SEED)
    reads = [read for read in (hostile_audiosocket(random) for _ in range(400)) if len(read) < _WIDTH]
    frames = [audiosocket.encode(0x10, random.randbytes(size)) for size in (200, 4)]
    reads += [read[:-1] for read in reads[:50]] + [b"".join(reads[:2]), b"", b"\x10", *_together(frames)]
    reads.append(frames[1] + audiosocket.encode(0x11, bytes(4)))
    data, lengths = _rows(reads)
    expected: list[list[bytes]] = []
    for read in reads:
        parser = audiosocket.AudioSocketParser()
        messages = parser.feed(read)
        are_whole = (
            parser.is_between_messages and not parser.faults and len({len(one.payload) for one in messages}) == 1
        )
        is_audio = len({one.kind for one in messages}) == 1 and audiosocket.is_audio(messages[0].kind)
        plain = are_whole and is_audio and len(messages) <= 16
        expected.append([message.payload for message in messages] if plain else [])
    found = plain_audiosocket(data, lengths)
    assert _payloads(data, found) == expected
    assert {2, 3} <= set(found.count.tolist())
    heads = [row[:MOST_HEADER_BYTES].tobytes() for row in data]
    offsets = [audiosocket_offset(head, length) for head, length in zip(heads, lengths.tolist(), strict=True)]
    assert offsets == np.where(found.count == 1, found.offset, 0).tolist()


@pytest.mark.parametrize("masked", [True, False])
def test_reads_of_websockets_are_taken_apart_as_the_parser_does(masked: bool) -> None:
    """A row that is whole BINARY messages of one size, not empty."""
    random = Random(SEED)
    reads = [read for read in (hostile_websocket(random) for _ in range(800)) if len(read) < _WIDTH]
    frames = [websocket.encode(2, random.randbytes(size), masked=masked) for size in (1, 125, 126, 160, 640)]
    reads += [*frames, *_together([frames[3], frames[0]]), *_together([frames[1], frames[0]])[:2]]
    reads += [read[:-1] for read in reads[:50] if read] + [b"", b"\x82"]
    data, lengths = _rows(reads)
    expected: list[list[bytes]] = []
    for read in reads:
        parser = websocket.WebSocketParser(masked=masked)
        messages = parser.feed(read)
        sizes = {len(one.payload) for one in messages}
        is_binary = {one.opcode for one in messages} == {websocket.Opcode.BINARY}
        plain = parser.is_between_messages and is_binary and len(sizes) == 1 and 0 not in sizes and len(messages) <= 16
        expected.append([message.payload for message in messages] if plain else [])
    found = plain_websocket(data, lengths, masked=masked)
    assert _payloads(data, found, masked=masked) == expected
    assert np.count_nonzero(found.count == 1) >= 5
    assert {2, 3} <= set(found.count.tolist())
    heads = [row[:MOST_HEADER_BYTES].tobytes() for row in data]
    told = zip(heads, lengths.tolist(), strict=True)
    offsets = [websocket_offset(head, length, masked=masked) for head, length in told]
    assert offsets == np.where(found.count == 1, found.offset, 0).tolist()


def test_reads_that_are_alike_are_taken_apart_at_once() -> None:
    """Unless one is shorter, or has another header: masks may differ."""
    reads = [websocket.encode(2, bytes([number]) * 160, masked=True) for number in range(3)]
    data, lengths = _rows(reads)
    payload = alike_payload(data, lengths, 8, masked=True)
    assert payload is not None
    assert payload.tobytes() == b"".join(bytes([number]) * 160 for number in range(3))
    for other in (reads[0][:-1], b"\x81" + reads[0][1:]):
        assert alike_payload(*_rows([*reads, other]), 8, masked=True) is None


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=4, max_size=4))
def test_a_batch_is_unmasked_as_a_frame_is(payload: bytes, mask: bytes) -> None:
    """RFC 6455, 5.3."""
    row = np.frombuffer(b"\x82\x80" + mask + websocket.apply_mask(payload, mask), np.uint8)[None]
    assert unmask(row, 6)[0].tobytes() == payload
