"""Many frames at once, where each read gave just one whole frame: nearly always. All others go through the parsers.

A row is what one read gave: ``data`` (n, width) uint8, of which ``lengths`` (n,) bytes count. Both functions return
which rows are plain, and where the payload of each begins and how long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.framing.audiosocket import HEADER_BYTES, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PlainFrames", "plain_audiosocket", "plain_websocket", "unmask"]

_BINARY = 0x82
_MASKED = 0x80


@dataclass(frozen=True, eq=False)
class PlainFrames:
    """What was found in rows.

    Attributes
    ----------
    is_plain
        (n,) bool. Whether a row is one whole frame of audio; the rest holds for those only.
    offset, size
        (n,) int64. Where its payload begins, and how long it is.
    """

    is_plain: NDArray[np.bool_]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]


def plain_audiosocket(data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> PlainFrames:
    """Find the rows that are one AudioSocket message of audio."""
    size = (data[:, 1].astype(np.int64) << 8) | data[:, 2]
    kind = data[:, 0]
    is_plain = (lengths == size + HEADER_BYTES) & (kind >= Kind.SLIN) & (kind <= Kind.SLIN192) & (size > 0)
    return PlainFrames(is_plain, np.full(len(data), HEADER_BYTES, np.int64), size)


def plain_websocket(data: NDArray[np.uint8], lengths: NDArray[np.int64], *, masked: bool) -> PlainFrames:
    """Find the rows that are one unfragmented BINARY frame of less than 64 KiB."""
    flag = _MASKED if masked else 0
    short = data[:, 1].astype(np.int64) - flag
    is_long = short == 126
    size = np.where(is_long, (data[:, 2].astype(np.int64) << 8) | data[:, 3], short)
    offset = np.where(is_long, 4, 2) + (4 if masked else 0)
    is_plain = (data[:, 0] == _BINARY) & (short >= 0) & (short <= 126) & (lengths == offset + size) & (size > 0)
    return PlainFrames(is_plain, offset, size)


def unmask(data: NDArray[np.uint8], offset: int) -> NDArray[np.uint8]:
    """Return (n, width - offset) payloads of masked frames whose payloads begin there, behind their masks."""
    width = data.shape[1] - offset
    # As 32-bit words, of which the mask is one: several times faster than byte by byte.
    words = np.zeros((len(data), 1 + -(-width // 4)), np.uint32)
    words.view(np.uint8)[:, : 4 + width] = data[:, offset - 4 :]
    payload: NDArray[np.uint8] = (words[:, 1:] ^ words[:, :1]).view(np.uint8)[:, :width]
    return payload
