"""The RTP ends of the simulated PBX as a structure of arrays, and what becomes of a packet that comes in.

The rules are those that were measured on Asterisk 16 and 22: the payload passes untouched; SSRC and sequence number
are new, but small steps of the incoming sequence numbers (loss, duplicates, disorder) are carried over; the time stamp
is kept in whole milliseconds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.header import HEADER_BYTES
from pytest_ari_sla.targets.simulator.media.formats import FORMAT_NUMBERS, PAYLOAD_TYPES, RECEIVED_FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LegTable", "Mode", "Packets"]

_LARGEST_STEP = 100  # a larger jump is a new source, after which numbers go on one by one
_TICKS_PER_MS = 8  # of all formats that come in: their RTP clocks run at 8 kHz
_PAUSE_NS = 90_000_000  # Echo() marks the first packet after a pause; Asterisk's measure is 640 ticks, 80 ms
_RTP_VERSION_2 = 0x80


class Mode(IntEnum):
    """Where a leg's packets go."""

    FREE = 0
    IDLE = 1
    ECHO = 2
    PAIR = 3
    MIX = 4


class Packets:
    """Received datagrams, read as RTP (RFC 3550, section 5.1): views of the rows that they are in.

    Parameters
    ----------
    rows
        uint8, (n, width). The datagrams.
    lengths
        (n,) Bytes of each.
    """

    def __init__(self, rows: NDArray[np.uint8], lengths: NDArray[np.uint32]) -> None:
        self.lengths = lengths
        self.first = rows[:, 0]
        self.second = rows[:, 1]
        self.sequence = rows[:, 2:4].view(">u2")[:, 0]
        self.timestamp = rows[:, 4:8].view(">u4")[:, 0]
        self.ssrc = rows[:, 8:12].view(">u4")[:, 0]

    def are_plain_rtp(self) -> NDArray[np.bool_]:
        """(n,) Whether each is RTP version 2 with a bare header and a payload."""
        plain: NDArray[np.bool_] = (self.first == _RTP_VERSION_2) & (self.lengths > HEADER_BYTES)
        return plain


class LegTable:
    """State of up to ``capacity`` legs; a leg is its row.

    Attributes
    ----------
    mode
        uint8. A :class:`Mode`.
    peer
        int32. In a pair: the other leg.
    format
        uint8. What it sends, see ``FORMAT_NUMBERS``.
    payload_type
        uint8. RTP payload type of that.
    ssrc
        uint32. Of the stream that it sends.
    sequence
        int64. Number of the last packet that it sent; not wrapped.
    expected
        int64. Incoming sequence number that would follow the last one that it passed on; -1 before the first.
    timestamp
        int64. Time stamp of the last packet that it sent; not wrapped.
    has_sent
        bool. Whether it has sent anything.
    last_arrival_ns
        int64. When it last received a packet; 0 before the first.
    muted_in, muted_out
        bool. Whether nothing that comes in, or goes out, gets through.
    host, port
        uint32 and uint16. Where it sends to.
    """

    def __init__(self, capacity: int, random: np.random.Generator) -> None:
        self._random = random
        self.mode = np.zeros(capacity, np.uint8)
        self.peer = np.full(capacity, -1, np.int32)
        self.format = np.zeros(capacity, np.uint8)
        self.payload_type = np.zeros(capacity, np.uint8)
        self.ssrc = np.zeros(capacity, np.uint32)
        self.sequence = np.zeros(capacity, np.int64)
        self.expected = np.full(capacity, -1, np.int64)
        self.timestamp = np.zeros(capacity, np.int64)
        self.has_sent = np.zeros(capacity, bool)
        self.last_arrival_ns = np.zeros(capacity, np.int64)
        self.muted_in = np.zeros(capacity, bool)
        self.muted_out = np.zeros(capacity, bool)
        self.host = np.zeros(capacity, np.uint32)
        self.port = np.zeros(capacity, np.uint16)

    def open(self, leg: int, payload_format: str, host: int, port: int) -> None:
        """Let a leg begin, idle, with a stream of its own."""
        self.mode[leg] = Mode.IDLE
        self.peer[leg] = -1
        self.format[leg] = FORMAT_NUMBERS[payload_format]
        self.payload_type[leg] = PAYLOAD_TYPES[payload_format]
        self.ssrc[leg] = self._random.integers(1, 1 << 32)
        self.sequence[leg] = self._random.integers(0, 1 << 15)
        self.timestamp[leg] = 0
        self.expected[leg] = -1
        self.last_arrival_ns[leg] = 0
        self.has_sent[leg] = self.muted_in[leg] = self.muted_out[leg] = False
        self.host[leg], self.port[leg] = host, port

    def destinations(self, legs: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) The leg that passes on what each of these receives; -1 for none."""
        mode = self.mode[legs]
        out = np.where(mode == Mode.ECHO, legs, np.where(mode == Mode.PAIR, self.peer[legs], -1))
        open_ways = (out >= 0) & ~self.muted_in[legs] & ~self.muted_out[out]
        return np.where(open_ways, out, -1)

    def received_formats(self, packets: Packets) -> NDArray[np.uint8]:
        """(n,) Number of each packet's format; 255 for what is dropped."""
        known = RECEIVED_FORMATS[packets.second & 0x7F]
        return np.where(packets.are_plain_rtp(), known, 255).astype(np.uint8)

    def pauses(self, legs: NDArray[np.int64], now_ns: int) -> NDArray[np.bool_]:
        """(n,) Whether each packet comes after a pause; from now on the pause begins anew."""
        last_ns = self.last_arrival_ns[legs]
        ended = (last_ns > 0) & (now_ns - last_ns >= _PAUSE_NS)
        self.last_arrival_ns[legs] = now_ns
        return ended

    def rewrite(
        self, packets: Packets, rows: NDArray[np.int64], out: NDArray[np.int64], marks: NDArray[np.bool_]
    ) -> None:
        """Turn received headers into those of the legs that pass them on, in place.

        Parameters
        ----------
        rows
            (n,) Rows of the packets to pass on, in order of arrival.
        out
            (n,) The leg that sends each.
        marks
            (n,) Whether the marker bit is to be set.
        """
        sequence = self._next_sequences(packets.sequence[rows].astype(np.int64), out)
        timestamp = packets.timestamp[rows].astype(np.int64) // _TICKS_PER_MS * _TICKS_PER_MS
        self.timestamp[out] = timestamp
        self.has_sent[out] = True
        packets.second[rows] = self.payload_type[out] | marks.astype(np.uint8) << 7
        packets.sequence[rows] = sequence & 0xFFFF
        packets.timestamp[rows] = timestamp
        packets.ssrc[rows] = self.ssrc[out]

    def _next_sequences(self, incoming: NDArray[np.int64], out: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) Numbers that the packets go out with; several packets of one leg are numbered in their order."""
        numbers = np.empty(len(out), np.int64)
        for chosen in _rounds(out):
            legs, sequence = out[chosen], incoming[chosen]
            step = sequence - self.expected[legs]
            carried = (self.expected[legs] >= 0) & (np.abs(step) <= _LARGEST_STEP)
            self.sequence[legs] += 1 + np.where(carried, step, 0)
            self.expected[legs] = sequence + 1
            numbers[chosen] = self.sequence[legs]
        return numbers

    def make_headers(self, packets: Packets, legs: NDArray[np.int64], samples: int, marks: NDArray[np.bool_]) -> None:
        """Write the headers of packets that are made here, one for each leg, one packet after their last."""
        self.sequence[legs] += 1
        self.timestamp[legs] += samples
        self.has_sent[legs] = True
        packets.first[:] = _RTP_VERSION_2
        packets.second[:] = self.payload_type[legs] | marks.astype(np.uint8) << 7
        packets.sequence[:] = self.sequence[legs] & 0xFFFF
        packets.timestamp[:] = self.timestamp[legs] & 0xFFFFFFFF
        packets.ssrc[:] = self.ssrc[legs]


def _rounds(legs: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Split positions so that no leg comes twice in one part, and each leg's positions stay in order.

    Nearly always there is one part: a batch holds what came within half a millisecond.
    """
    order = np.argsort(legs, kind="stable")
    ordered = legs[order]
    is_first = np.ones(len(order), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    if is_first.all():
        return [order]
    starts = np.flatnonzero(is_first)
    occurrence = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return [order[occurrence == number] for number in range(int(occurrence.max()) + 1)]
