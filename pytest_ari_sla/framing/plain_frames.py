"""Many frames at once, where each read gave whole frames of one size: nearly always. All others go through the parsers.

A row is what one read gave: ``data`` (n, width) uint8, of which ``lengths`` (n,) bytes count. The functions return
which rows are plain, and where the payload of each begins and how long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.framing.audiosocket import HEADER_BYTES, Kind, is_audio

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MOST_HEADER_BYTES",
    "PlainFrames",
    "alike_payload",
    "audiosocket_offset",
    "plain_audiosocket",
    "plain_websocket",
    "unmask",
    "websocket_offset",
]

_BINARY = 0x82  # FIN and BINARY (RFC 6455, 5.2): a message in one frame
_MASKED = 0x80
_MASK_BYTES = 4
MOST_HEADER_BYTES = 8  # opcode and flags 2, length 2, mask 4
"""Of what is plain."""


_MOST_TOGETHER = 16
"""Frames of one read that are looked for; a peer that sends more at once, tiny ones, is left to the parsers."""


@dataclass(frozen=True, eq=False)
class PlainFrames:
    """What was found in rows.

    Attributes
    ----------
    count
        (n,) int64. How many whole frames of audio a row is, all with the same header; 0 where it is anything else. The
        rest holds for the others only.
    offset, size
        (n,) int64. Where the payload of the first one begins, and how long each is.
    """

    count: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]


def audiosocket_offset(head: bytes, length: int) -> int:
    """Return where the payload begins of so many bytes that are one AudioSocket message of audio; 0 where they are not.

    Parameters
    ----------
    head
        At least the first MOST_HEADER_BYTES of the bytes, or what stands in their place.
    length
        How many there are.
    """
    size = head[1] << 8 | head[2]
    return HEADER_BYTES if size and is_audio(head[0]) and length == HEADER_BYTES + size else 0


def websocket_offset(head: bytes, length: int, *, masked: bool) -> int:
    """Return where the payload begins of so many bytes that are one unfragmented BINARY frame; 0 where they are not."""
    short = head[1] - (_MASKED if masked else 0)
    offset, size = (4, head[2] << 8 | head[3]) if short == 126 else (2, short)
    offset += 4 if masked else 0
    return offset if head[0] == _BINARY and 0 < size and 0 < short <= 126 and length == offset + size else 0


def alike_payload(
    data: NDArray[np.uint8], lengths: NDArray[np.int64], offset: int, *, masked: bool
) -> NDArray[np.uint8] | None:
    """Return the payloads of rows of which the first one is plain, if all others have its length and header.

    Parameters
    ----------
    data, lengths
        The rows.
    offset
        Where the first one's payload begins.
    masked
        Whether payloads are masked, each by a key of its own.
    """
    # all but the mask, which is each frame's own
    length, fixed = int(lengths[0]), offset - _MASK_BYTES if masked else offset
    if not ((lengths == length).all() and (data[:, :fixed] == data[0, :fixed]).all()):
        return None
    return unmask(data[:, :length], offset) if masked else data[:, offset:length]


def plain_audiosocket(data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> PlainFrames:
    """Find the rows that are AudioSocket messages of audio."""
    size = (data[:, 1].astype(np.int64) << 8) | data[:, 2]
    kind = data[:, 0]
    is_audio_message = (kind >= Kind.SLIN) & (kind <= Kind.SLIN192) & (size > 0)
    offset = np.full(len(data), HEADER_BYTES, np.int64)
    return PlainFrames(_count(data, lengths, is_audio_message, offset + size, offset), offset, size)


def plain_websocket(data: NDArray[np.uint8], lengths: NDArray[np.int64], *, masked: bool) -> PlainFrames:
    """Find the rows that are unfragmented BINARY frames of less than 64 KiB."""
    flag, mask_bytes = (_MASKED, _MASK_BYTES) if masked else (0, 0)
    short = data[:, 1].astype(np.int64) - flag
    is_long = short == 126
    size = np.where(is_long, (data[:, 2].astype(np.int64) << 8) | data[:, 3], short)
    header = np.where(is_long, 4, 2)
    offset = header + mask_bytes
    is_binary = (data[:, 0] == _BINARY) & (short >= 0) & (short <= 126) & (size > 0)
    return PlainFrames(_count(data, lengths, is_binary, offset + size, header), offset, size)


def _count(
    data: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    is_frame: NDArray[np.bool_],
    whole: NDArray[np.int64],
    header: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return how many frames like its first one each row is; 0 where it is not a whole number of such.

    Parameters
    ----------
    is_frame
        Whether a row begins with the header of a frame.
    whole, header
        Bytes of that frame, and of its header that all others must have as well.
    """
    # At least 1: rows that are no frames must not divide by 0.
    count = np.where(is_frame & (lengths % np.maximum(whole, 1) == 0), lengths // np.maximum(whole, 1), 0)
    count[count > _MOST_TOGETHER] = 0
    for place in range(1, int(count.max(initial=0))):
        rows = np.flatnonzero(count > place)
        for byte in range(int(header[rows].max(initial=0))):
            differs = data[rows, place * whole[rows] + byte] != data[rows, byte]
            count[rows[differs & (byte < header[rows])]] = 0
    return count


def unmask(data: NDArray[np.uint8], offset: int) -> NDArray[np.uint8]:
    """Return (n, width - offset) payloads of masked frames whose payloads begin there, behind their masks."""
    width = data.shape[1] - offset
    # As 32-bit words, of which the mask is one: several times faster than byte by byte.
    words = np.zeros((len(data), 1 + -(-width // 4)), np.uint32)
    words.view(np.uint8)[:, : 4 + width] = data[:, offset - 4 :]
    payload: NDArray[np.uint8] = (words[:, 1:] ^ words[:, :1]).view(np.uint8)[:, :width]
    return payload
