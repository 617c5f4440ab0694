"""Datagrams as a broken or hostile peer sends them: seeded, many at once, as rows of a receive ring."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.probe import MAGIC

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LENGTHS", "PACKETS", "PAYLOAD_TYPES", "hostile_datagrams", "is_rtp", "seed"]

PACKETS = int(os.environ.get("HOSTILE_PACKETS", "200000"))
"""How many hostile packets each receiver is given; ``make soak`` gives a million."""

PAYLOAD_TYPES = (0, 3, 8, 9, 10, 11, 13, 19, 64, 72, 95, 96, 101, 107, 118, 127)
LENGTHS = (0, 1, 3, 11, 12, 13, 14, 15, 16, 20, 27, 28, 29, 45, 92, 171, 172, 173, 332, 652)


def seed() -> int:
    """Return the seed of hostile input: the same in every run, unless HOSTILE_SEED names another one."""
    return int(os.environ.get("HOSTILE_SEED", "20260101"))


def hostile_datagrams(
    random: np.random.Generator, count: int, width: int, *, nonce: int = 0, legs: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return (count, width) datagrams and the length of each, most of them almost RTP.

    Every field is now and then what it should be, near an edge, or at random: versions, padding, extensions, sources,
    payload types with and without the marker, numbers and stamps that go on, jump, repeat or wrap, and payloads of
    silence, noise, telephone-events of any kind, or probes of ours with one field wrong.
    """
    rows = random.integers(0, 256, (count, width), np.uint8)
    lengths = np.where(
        random.random(count) < 0.9, random.choice(LENGTHS, count), random.integers(0, width + 1, count)
    ).astype(np.int32)
    rows[:, 0] = np.where(random.random(count) < 0.8, 0x80, rows[:, 0])
    usual_type = random.choice(PAYLOAD_TYPES, count) | random.choice([0, 0, 0, 0x80], count)
    rows[:, 1] = np.where(random.random(count) < 0.9, usual_type, rows[:, 1])
    number = np.cumsum(random.choice([1, 1, 1, 1, 1, 1, 0, 2, -1, -70, 40_000], count))
    _write(rows, 2, 2, number)
    _write(rows, 4, 4, np.where(random.random(count) < 0.95, 160 * number, random.integers(0, 2**32, count)))
    _write(rows, 8, 4, np.where(random.random(count) < 0.97, 7, random.integers(0, 2**32, count)))
    quiet = random.random(count) < 0.2
    rows[quiet, 12:] = random.choice([0, 0xFF, 0xD5], (int(quiet.sum()), 1))
    stamped = np.flatnonzero(random.random(count) < 0.3)
    stamp = rows[stamped]
    _write(stamp, 12, 4, np.where(random.random(len(stamped)) < 0.9, MAGIC, 0))
    _write(stamp, 16, 4, np.where(random.random(len(stamped)) < 0.9, nonce, 1))
    _write(stamp, 20, 4, random.choice([*range(legs), legs, 2**31, 2**32 - 1], len(stamped)))
    _write(stamp, 24, 4, random.choice([0, 1, 2, 50, 99, 100, 5000, 2**31, 2**32 - 1], len(stamped)))
    rows[stamped] = stamp
    return rows, lengths


def _write(rows: NDArray[np.uint8], offset: int, width: int, values: NDArray[np.int64]) -> None:
    """Write a field in network byte order."""
    for place in range(width):
        rows[:, offset + place] = values >> 8 * (width - 1 - place) & 0xFF


def is_rtp(datagram: bytes) -> bool:
    """Tell whether a datagram is an RTP packet: RFC 3550 (A.1) and RFC 5761 (section 4), byte by byte."""
    if len(datagram) < 12 or datagram[0] >> 6 != 2:
        return False
    offset = 12 + 4 * (datagram[0] & 0x0F)
    if datagram[0] & 0x10:
        if offset + 4 > len(datagram):
            return False
        offset += 4 + 4 * int.from_bytes(datagram[offset + 2 : offset + 4], "big")
    if offset > len(datagram):
        return False
    has_padding = bool(datagram[0] & 0x20)
    if has_padding and not 0 < datagram[-1] <= len(datagram) - offset:
        return False
    return not 192 <= datagram[1] <= 223
