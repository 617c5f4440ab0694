"""RTP's fixed header (RFC 3550, 5.1), read for whole batches of datagrams at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HEADER_BYTES", "PLAIN_FLAGS", "RTP_HEADER", "Fault", "ParsedHeaders", "header_view", "parse"]

RTP_HEADER = np.dtype(
    [("flags", "u1"), ("marker_and_type", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)
"""The 12 bytes that begin every RTP packet, in network byte order."""

HEADER_BYTES = RTP_HEADER.itemsize
PLAIN_FLAGS = 0x80
"""First byte of a packet of version 2 without padding, extension and contributing sources."""

_PADDING_FLAG = 0x20
_EXTENSION_FLAG = 0x10
_SOURCE_COUNT_MASK = 0x0F
_MARKER_FLAG = 0x80
# Packet types of RTCP as they look in the second byte of an RTP header: payload types 64 to 95 with the marker, which
# RFC 5761 (section 4) leaves to RTCP. Without the marker, a second byte of 64 to 95 is no RTCP packet type.
_FIRST_RTCP_TYPE, _LAST_RTCP_TYPE = 192, 223


class Fault(IntEnum):
    """Why a datagram is no RTP packet: the validity checks of RFC 3550, A.1."""

    NONE = 0
    """It is one."""
    SHORT = 1
    """The header, its contributing sources or its extension reach beyond the datagram's end."""
    VERSION = 2
    """The version is not 2."""
    PADDING = 3
    """The padding length is 0, or more than the payload."""
    RTCP = 4
    """The second byte is an RTCP packet type, 192 to 223: a control packet on the media port (RFC 5761, section 4)."""


@dataclass(frozen=True, eq=False)
class ParsedHeaders:
    """The headers of n datagrams, each array of shape (n,).

    Rows with a fault hold whatever their bytes say (zeros beyond a datagram's end are not guaranteed): use
    :attr:`valid` before anything else.

    Attributes
    ----------
    sequence
        uint16. Sequence number.
    timestamp
        uint32. Time stamp, in ticks of the codec's RTP clock.
    ssrc
        uint32. Synchronisation source.
    payload_type
        uint8. Payload type, 0 to 127.
    marker
        bool. The marker bit.
    payload_offset
        int32. Where the payload begins in its row.
    payload_length
        int32. Bytes of payload without padding; 0 for a row with a fault.
    fault
        uint8. A :class:`Fault`.
    """

    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    payload_offset: NDArray[np.int32]
    payload_length: NDArray[np.int32]
    fault: NDArray[np.uint8]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Mask of the rows that are RTP packets."""
        valid: NDArray[np.bool_] = self.fault == Fault.NONE
        return valid

    @property
    def plain(self) -> bool:
        """Whether all payloads begin right after the fixed header, so that no row needs a gather of its own."""
        return bool((self.payload_offset == HEADER_BYTES).all())


def header_view(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    """Return the fixed headers of (n, width) datagram rows as an (n,) RTP_HEADER view, for reading and writing.

    Raises
    ------
    ValueError
        When a row has no room for a header.
    """
    if rows.shape[1] < HEADER_BYTES:
        message = f"a row of {rows.shape[1]} bytes cannot hold an RTP header of {HEADER_BYTES}"
        raise ValueError(message)
    view: NDArray[np.void] = rows[:, :HEADER_BYTES].view(RTP_HEADER)[:, 0]
    return view


def parse(rows: NDArray[np.uint8], lengths: NDArray[np.int32]) -> ParsedHeaders:
    """Read the RTP headers of a batch.

    Parameters
    ----------
    rows
        (n, width) uint8, one datagram a row; the bytes of a row must lie side by side, the rows need not.
    lengths
        (n,) int32. Bytes of each datagram, at most ``width``; the rest of a row is left over from earlier use.

    Raises
    ------
    ValueError
        When ``width`` is less than a header.
    """
    headers = header_view(rows)
    flags, second = headers["flags"], headers["marker_and_type"]
    offset = np.full(len(rows), HEADER_BYTES, np.int32)
    length = lengths - np.int32(HEADER_BYTES)
    fault = np.zeros(len(rows), np.uint8)
    # Asterisk sends plain 12-byte headers: two comparisons tell that no row needs a closer look.
    slow = np.flatnonzero((flags != PLAIN_FLAGS) | (length < 0))
    if len(slow):
        offset[slow], length[slow], fault[slow] = _parse_slowly(rows[slow], lengths[slow])
    # One comparison for both ends: below the first type, uint8 wraps around to a large number.
    is_rtcp = second - np.uint8(_FIRST_RTCP_TYPE) <= _LAST_RTCP_TYPE - _FIRST_RTCP_TYPE
    if is_rtcp.any():
        is_rtcp &= fault == Fault.NONE
        fault[is_rtcp] = Fault.RTCP
        length[is_rtcp] = 0
    return ParsedHeaders(
        sequence=headers["sequence"].astype(np.uint16),
        timestamp=headers["timestamp"].astype(np.uint32),
        ssrc=headers["ssrc"].astype(np.uint32),
        payload_type=second & np.uint8(0x7F),
        marker=second >= _MARKER_FLAG,
        payload_offset=offset,
        payload_length=length,
        fault=fault,
    )


def _parse_slowly(
    rows: NDArray[np.uint8], lengths: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Return payload offset, payload length and fault of rows that are short, padded, extended or not RTP."""
    flags = rows[:, 0]
    end = lengths.astype(np.int64)
    offset = HEADER_BYTES + 4 * (flags & _SOURCE_COUNT_MASK).astype(np.int64)
    has_extension = (flags & _EXTENSION_FLAG) != 0
    # The extension's length is counted in 32-bit words, its own 4-byte header not included (RFC 3550, 5.3.1).
    words = _bytes_at(rows, offset + 2) << 8 | _bytes_at(rows, offset + 3)
    offset += np.where(has_extension, 4 + 4 * words, 0)
    has_padding = (flags & _PADDING_FLAG) != 0
    # The last byte counts the padding, itself included (RFC 3550, 5.1): 0 is a fault.
    padding = np.where(has_padding, _bytes_at(rows, end - 1), 0)
    # The first fault found is the one that is told; a row too short for a header has no flags to speak of.
    fault = np.select(
        [end < HEADER_BYTES, flags >> 6 != 2, offset > end, has_padding & ((padding == 0) | (padding > end - offset))],
        [Fault.SHORT, Fault.VERSION, Fault.SHORT, Fault.PADDING],
        Fault.NONE,
    ).astype(np.uint8)
    sound = fault == Fault.NONE
    return np.where(sound, offset, HEADER_BYTES), np.where(sound, end - offset - padding, 0), fault


def _bytes_at(rows: NDArray[np.uint8], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one byte of each row; columns outside a row give its nearest byte (such rows turn out faulty)."""
    return rows[np.arange(len(rows)), np.clip(columns, 0, rows.shape[1] - 1)].astype(np.int64)
