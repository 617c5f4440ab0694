"""Byte streams for tests of framers: split at any places, or hostile, from a seed."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

__all__ = ["MESSAGES", "SEED", "hostile_audiosocket", "hostile_websocket", "pieces", "random_pieces"]

MESSAGES = int(os.environ.get("HOSTILE_MESSAGES", "20000"))
"""How many hostile messages each parser is given; ``make soak`` gives a million."""

SEED = int(os.environ.get("HOSTILE_SEED", "20260101"))


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Split at places, given in any order and with any repetition."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(edges)]


def random_pieces(random: Random, data: bytes) -> Iterator[bytes]:
    """Split into pieces of one byte, of some, or of many."""
    at = 0
    while at < len(data):
        size = random.choice((1, 2, 3, 7, 160, 323, 4096))
        yield data[at : at + size]
        at += size


def hostile_audiosocket(random: Random) -> bytes:
    """Return one message that a broken peer might send: any type, and any length."""
    kind = random.choice((0x00, 0x01, 0x03, 0x10, 0x12, 0x18, 0x19, 0x42, 0xFE, 0xFF))
    size = random.choice((0, 0, 1, 15, 16, 17, 160, 320, 320, 640)) if random.random() < 0.99 else 65_535
    return bytes((kind, size >> 8, size & 0xFF)) + random.randbytes(size)


def hostile_websocket(random: Random) -> bytes:
    """Return one frame that a broken peer might send: any bits, opcode, masking and length."""
    first = random.choice(
        (0x82, 0x82, 0x81, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x09, 0xC2, 0x83, random.randrange(256))
    )
    size = random.choice((0, 1, 125, 126, 160, 320, 640, 70_000))
    masked = random.random() < 0.8
    flag = 0x80 if masked else 0
    if size < 126:
        length = bytes((flag | size,))
    elif size < 1 << 16:
        length = bytes((flag | 126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((flag | 127,)) + random.choice((size, 1 << 40, (1 << 64) - 1)).to_bytes(8, "big")
    return bytes((first,)) + length + (random.randbytes(4) if masked else b"") + random.randbytes(size)
