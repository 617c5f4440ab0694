"""RTCP sender and receiver reports (RFC 3550, section 6): built, read, and what they say about the round trip.

Reports come once in some seconds per leg, so they are handled one by one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = [
    "REPORT_INTERVAL_NS",
    "ReceivedReport",
    "ReceiverReport",
    "ReportBlock",
    "SenderReport",
    "build",
    "middle_32_bits",
    "ntp_timestamp",
    "parse",
    "report_interval_ns",
    "round_trip_s",
]

REPORT_INTERVAL_NS = 5_000_000_000
"""Usual time between two reports on a stream (RFC 3550, 6.2)."""

_HEADER = struct.Struct(">BBH")
_SENDER_INFO = struct.Struct(">QIII")
_BLOCK = struct.Struct(">6I")
_SENDER_REPORT, _RECEIVER_REPORT, _SOURCE_DESCRIPTION = 200, 201, 202
_CNAME_ITEM = 1
_MAX_BLOCKS = 31
# NTP counts from 1900 (RFC 3550, section 4).
_NTP_EPOCH_S = 2_208_988_800


@dataclass(frozen=True)
class ReportBlock:
    """What one receiver says about one source (RFC 3550, 6.4.1).

    Attributes
    ----------
    ssrc
        The source.
    fraction_lost
        Share of packets lost since the last report, in 1/256.
    lost
        Packets lost in all, negative where duplicates prevail; a signed 24-bit number.
    extended_highest
        Highest sequence number received, cycles above the 16 bits.
    jitter
        Interarrival jitter in ticks.
    last_sr
        Middle 32 bits of the NTP time of the source's last report; 0 without any.
    delay_since_last_sr
        From receiving that report until this one was sent, in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    extended_highest: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True)
class ReceiverReport:
    """RR: what ``ssrc`` receives."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True)
class SenderReport:
    """SR: what ``ssrc`` has sent, and what it receives.

    Attributes
    ----------
    ntp
        When the report was sent, as a 64-bit NTP time stamp.
    rtp_timestamp
        The same moment on the stream's RTP clock.
    packets, octets
        What was sent in all; octets of payload.
    """

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True)
class ReceivedReport:
    """A report that has come for one of our legs.

    Attributes
    ----------
    leg
        Whose peer sent it.
    report
        What it says.
    arrival_ns
        The kernel's time of arrival, ns since the Unix epoch.
    own_ssrc
        The source of the stream that the leg sends.
    """

    leg: int
    report: SenderReport | ReceiverReport
    arrival_ns: int
    own_ssrc: int

    @property
    def own_block(self) -> ReportBlock | None:
        """What it says about the leg's own stream; None where it is silent on that."""
        return next((block for block in self.report.blocks if block.ssrc == self.own_ssrc), None)


def report_interval_ns(chance: float, *, is_first: bool) -> int:
    """Return the time until a stream's next report: five seconds, the first time half of that, varied by half.

    That is the least interval of RFC 3550 (6.2), which holds for calls of two parties whatever their codec. Reports
    keep it without the reconsideration of section 6.3 (and its compensation), which is for groups that grow.

    Parameters
    ----------
    chance
        0 to 1, at random, so that the reports of calls that began together spread (RFC 3550, 6.3.1).
    """
    return int((REPORT_INTERVAL_NS >> is_first) * (0.5 + chance))


def ntp_timestamp(unix_ns: int) -> int:
    """Return the 64-bit NTP time stamp of a time in ns since the Unix epoch."""
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    return (seconds + _NTP_EPOCH_S << 32 | (ns << 32) // 1_000_000_000) & 0xFFFFFFFFFFFFFFFF


def middle_32_bits(ntp: int) -> int:
    """Return what a report keeps of an NTP time: seconds modulo 2^16, and a fraction of 16 bits."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip_s(arrival: int, block: ReportBlock) -> float | None:
    """Return the round trip that a report block tells: A - LSR - DLSR (RFC 3550, 6.4.1).

    Parameters
    ----------
    arrival
        Middle 32 bits of the NTP time when the block was received.
    block
        About a source of ours.

    Returns
    -------
    Seconds, to 1/65536 s; None where the receiver had no report of ours yet, or the clocks give a negative time.
    """
    if not block.last_sr:
        return None
    # The middle 32 bits wrap around every 18 hours; the upper half stands for negative times.
    units = (arrival - block.last_sr - block.delay_since_last_sr) % 2**32
    return units / 65536 if units < 2**31 else None


def build(report: SenderReport | ReceiverReport, cname: str) -> bytes:
    """Return a compound packet: the report, and the CNAME that must go with it (RFC 3550, 6.1).

    Raises
    ------
    ValueError
        For more blocks or a longer name than fit.
    """
    name = cname.encode()
    if len(report.blocks) > _MAX_BLOCKS or len(name) > 255:
        message = f"{len(report.blocks)} report blocks and a CNAME of {len(name)} bytes do not fit into a packet"
        raise ValueError(message)
    body = struct.pack(">I", report.ssrc)
    kind = _RECEIVER_REPORT
    if isinstance(report, SenderReport):
        kind = _SENDER_REPORT
        body += _SENDER_INFO.pack(report.ntp, report.rtp_timestamp, report.packets, report.octets)
    body += b"".join(map(_pack_block, report.blocks))
    item = struct.pack(">IBB", report.ssrc, _CNAME_ITEM, len(name)) + name
    # At least one zero byte ends the list of items, and the chunk with it, on a word's boundary.
    chunk = item + bytes(4 - len(item) % 4)
    return _packet(kind, len(report.blocks), body) + _packet(_SOURCE_DESCRIPTION, 1, chunk)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    # The length is in words, less one: that of the header itself (RFC 3550, 6.4.1).
    return _HEADER.pack(2 << 6 | count, kind, len(body) // 4) + body


def _pack_block(block: ReportBlock) -> bytes:
    # Two's complement of 24 bits: copies can make the loss negative.
    loss = block.fraction_lost << 24 | block.lost & 0xFFFFFF
    times = (block.last_sr, block.delay_since_last_sr)
    return _BLOCK.pack(block.ssrc, loss, block.extended_highest, block.jitter, *times)


def parse(datagram: bytes) -> list[SenderReport | ReceiverReport]:
    """Return the reports of a compound packet; its other parts (SDES, BYE, APP, feedback) are passed over.

    Raises
    ------
    ValueError
        When it is no RTCP, by the checks of RFC 3550, A.2; the message says why.
    """
    reports: list[SenderReport | ReceiverReport] = []
    position = 0
    while position < len(datagram):
        if len(datagram) - position < _HEADER.size:
            raise ValueError("an RTCP packet's header is cut off")
        first, kind, words = _HEADER.unpack_from(datagram, position)
        end = position + 4 * (words + 1)
        if first >> 6 != 2:
            message = f"RTCP of version {first >> 6}, not 2"
            raise ValueError(message)
        # RFC 3550, 6.1: a compound packet begins with a report; a lone BYE or feedback (RFC 5506) is refused.
        if not position and kind not in (_SENDER_REPORT, _RECEIVER_REPORT):
            message = f"RTCP begins with a report, not with packet type {kind}"
            raise ValueError(message)
        if end > len(datagram):
            raise ValueError("an RTCP packet is longer than its datagram")
        if kind in (_SENDER_REPORT, _RECEIVER_REPORT):
            reports.append(_parse_report(kind, first & 0x1F, datagram[position + _HEADER.size : end]))
        position = end
    return reports


def _parse_report(kind: int, blocks: int, body: bytes) -> SenderReport | ReceiverReport:
    fixed = 4 + (_SENDER_INFO.size if kind == _SENDER_REPORT else 0)
    end = fixed + blocks * _BLOCK.size
    if len(body) < end:
        raise ValueError("an RTCP report is shorter than its count of blocks says")
    (ssrc,) = struct.unpack_from(">I", body)
    # What follows the blocks is a profile's extension (RFC 3550, 6.4.3), which is passed over.
    parsed = tuple(_parse_block(*fields) for fields in _BLOCK.iter_unpack(body[fixed:end]))
    if kind == _RECEIVER_REPORT:
        return ReceiverReport(ssrc, parsed)
    ntp, rtp_timestamp, packets, octets = _SENDER_INFO.unpack_from(body, 4)
    return SenderReport(ssrc, ntp, rtp_timestamp, packets, octets, parsed)


def _parse_block(ssrc: int, loss: int, highest: int, jitter: int, last_sr: int, delay: int) -> ReportBlock:
    lost = loss & 0xFFFFFF
    return ReportBlock(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last_sr, delay)
