"""RTCP of a load's legs: sends a sender report for each of them every few seconds, and takes in what peers report.

Reports are rare, and the kernel stamps their arrival: nothing here is urgent, so the measuring thread does it in
passing. Far ends that speak no RTCP, as Asterisk's ExternalMedia channels do not, send nothing back: they get one
report, and no more before they have sent one. Reports to nobody would cost thousands of calls a few percent of a core.
Where peers are SIP devices, reports also say how what they send arrives.
"""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.rtcp import (
    ReceivedReport,
    SenderReport,
    build,
    middle_32_bits,
    ntp_timestamp,
    parse,
    report_interval_ns,
)
from pytest_ari_sla.rtp.rtcp_record import RtcpRecord, ToldReport
from pytest_ari_sla.udp.datagrams import DatagramMemory
from pytest_ari_sla.udp.mmsg_python import PythonReceiver

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.rtp.rtcp import ReportBlock
    from pytest_ari_sla.rtp_media.reception import Reception
    from pytest_ari_sla.rtp_media.ring_reader import SourceTable
    from pytest_ari_sla.rtp_media.send_log import MediaSendLog
    from pytest_ari_sla.udp.stamp_clock import StampClock

__all__ = ["ReportExchange", "SentStream"]

_ROWS = 256
_NEVER_NS = 1 << 62
_WIDTH = 1501
"""One byte more than an Ethernet frame holds, so that a longer datagram is known by filling its row."""

_TOLD = 8
"""So many of our reports to a leg's peer are remembered: Asterisk tells in 5 s which of them it has."""


@dataclass(frozen=True)
class SentStream:
    """What a leg's sender reports are made of.

    Attributes
    ----------
    socket
        Number of the socket that it is sent by.
    remote
        Where its RTP goes; RTCP goes to the next port (RFC 3550, section 11).
    ssrc
        Its source.
    clock_rate_hz
        Of its time stamps.
    payload_bytes
        Of each packet.
    timestamp_offset
        What its time stamps are ahead by, in ticks: a fault on purpose.
    """

    socket: int
    remote: Address
    ssrc: int
    clock_rate_hz: int
    payload_bytes: int
    timestamp_offset: int = 0


class ReportExchange:
    """The RTCP sockets of a load.

    :meth:`follow` belongs to whoever builds calls, everything else to the measuring thread; a leg's entry is one
    reference, so that it is there or not, never in between.

    Parameters
    ----------
    sockets
        Bound, non-blocking, each beside the RTP socket of the same number.
    sources
        Whose packets come from where: a report belongs to the leg whose RTP comes from the port below.
    send_log
        What was sent.
    legs
        Number of legs.
    clock
        The time that what was sent is dated by. Reports are due, and dated, by it too: nobody sets it, so that none is
        an hour late, and RTP's time stamps stay where they belong.
    reception
        What legs receive, where their peers are told; None: they are not.

    Attributes
    ----------
    sent
        Reports that left.
    ignored
        Datagrams that no leg expects, or that are no RTCP.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        sources: SourceTable,
        send_log: MediaSendLog,
        legs: int,
        clock: StampClock,
        reception: Reception | None = None,
    ) -> None:
        self._clock = clock
        self._sockets = sockets
        self._sources = sources
        self._send_log = send_log
        self._streams: list[SentStream | None] = [None] * legs
        self._next_ns = [0] * legs
        self._speaks_rtcp = [False] * legs
        self._reception = reception
        self._records: list[RtcpRecord | None] = [None] * legs
        # Of the peer's last sender report: what it is called, and when it came.
        self._last_sr: list[tuple[int, int]] = [(0, 0)] * legs
        self._memory = DatagramMemory.allocate(_ROWS, _WIDTH)
        # For so few datagrams the portable receiver is as good as any.
        self._receiver = PythonReceiver(self._memory)
        # intervals vary, so that reports of many legs do not come together (RFC 3550, 6.2)
        self._random = random.Random()
        # A name of this load alone, which tells nobody anything else (RFC 7022, 4.2).
        self._cname = secrets.token_urlsafe(12)
        self.sent = 0
        self.ignored = 0

    def follow(self, leg: int, stream: SentStream) -> None:
        """Report on a leg's stream from now on.

        A stream to an odd port has no place for RTCP (RFC 3550, section 11): the port above may be anybody's.
        """
        self._next_ns[leg] = self._clock.now_ns() + self._interval_ns(is_first=True)
        self._speaks_rtcp[leg] = False
        if self._reception is not None:
            self._follow_source(leg, stream)
        # Last: the measuring thread takes a leg up when it sees its stream.
        self._streams[leg] = stream if stream.remote[1] % 2 == 0 else None

    def _follow_source(self, leg: int, stream: SentStream) -> None:
        """Begin a record of a source; what was told of the one before is not about it (RFC 3550, 8.2)."""
        before = self._records[leg]
        if before is None or before.own_ssrc != stream.ssrc:
            sent_before = 0 if before is None else int(self._send_log.due_by([leg])[0])
            self._records[leg] = RtcpRecord(stream.ssrc, stream.clock_rate_hz, sent_before=sent_before)

    def forget(self, leg: int) -> None:
        """Report on a leg no more."""
        self._streams[leg] = self._records[leg] = None
        self._last_sr[leg] = (0, 0)
        if self._reception is not None:
            self._reception.release(leg)

    def record(self, leg: int) -> RtcpRecord | None:
        """Return what a leg and its peer have told each other so far; None where peers are told nothing."""
        record, stream = self._records[leg], self._streams[leg]
        if record is None or stream is None or self._reception is None or record.own_ssrc != stream.ssrc:
            return None
        first = self._send_log.first_turn(leg) + record.sent_before
        return replace(record, first_sequence=first % (1 << 16), missing=self._reception.missing(leg))

    def exchange(self, now_ns: int) -> list[ReceivedReport]:
        """Send the reports that are due at ``now_ns`` (ns since the Unix epoch); return those that have come."""
        # First what has come: it decides which peers are told more.
        received = [report for number in range(len(self._sockets)) for report in self._receive(number)]
        due = [leg for leg, stream in enumerate(self._streams) if stream is not None and now_ns >= self._next_ns[leg]]
        if due:
            packets, audio_start_ns = self._send_log.sent(), self._send_log.audio_start_ns()
            for leg in due:
                has_left = self._send(leg, int(packets[leg]), int(audio_start_ns[leg]))
                is_enough = has_left and not self._speaks_rtcp[leg]
                self._next_ns[leg] = _NEVER_NS if is_enough else now_ns + self._interval_ns(is_first=False)
        return received

    def _interval_ns(self, *, is_first: bool) -> int:
        return report_interval_ns(self._random.random(), is_first=is_first)

    def _send(self, leg: int, packets: int, audio_start_ns: int) -> bool:
        """Send a sender report, unless the stream has ended meanwhile or has not begun; return whether it left."""
        stream = self._streams[leg]
        if stream is None or not packets:
            return False
        now_ns = self._clock.now_ns()
        # "the same time ... with the same random offset as the RTP timestamps in data packets" (RFC 3550, 6.4.1)
        ticks = (now_ns - audio_start_ns) * stream.clock_rate_hz // 1_000_000_000 + stream.timestamp_offset
        # Payload alone, without headers (RFC 3550, 6.4.1).
        octets, block = packets * stream.payload_bytes, self._block(leg, now_ns)
        report = SenderReport(
            stream.ssrc,
            ntp_timestamp(now_ns),
            ticks % 2**32,
            packets % 2**32,
            octets % 2**32,
            () if block is None else (block,),
        )
        host, port = stream.remote
        try:
            # RTCP has the port above (RFC 3550, 11).
            self._sockets[stream.socket].sendto(build(report, self._cname), (host, port + 1))
        except OSError:
            return False  # the next report makes up for one that could not leave; ``sent`` tells
        self.sent += 1
        self._remember(leg, ToldReport(middle_32_bits(report.ntp), block))
        return True

    def _block(self, leg: int, now_ns: int) -> ReportBlock | None:
        """Return what the peer is told of its stream."""
        if self._reception is None:
            return None
        name, arrival_ns = self._last_sr[leg]
        # In 1/65536 s, and 0 before the first sender report (RFC 3550, 6.4.1).
        delay = (now_ns - arrival_ns << 16) // 1_000_000_000 if name else 0
        return self._reception.report(leg, name, max(0, delay))  # the kernel may stamp while we read the clock

    def _remember(self, leg: int, told: ToldReport) -> None:
        record = self._records[leg]
        if record is not None:
            self._records[leg] = replace(record, told=(*record.told[1 - _TOLD :], told))

    def _receive(self, number: int) -> Iterator[ReceivedReport]:
        """Yield all reports that have come by a socket."""
        count = _ROWS
        while count == _ROWS:
            count = self._receiver.receive(self._sockets[number], 0, _ROWS)
            legs = self._legs_of(number, count)
            arrival_ns = self._clock.arrivals_ns(self._memory.arrival_ns(slice(count)))
            for row, (leg, at_ns) in enumerate(zip(legs.tolist(), arrival_ns.tolist(), strict=True)):
                yield from self._read(row, leg, at_ns)

    def _legs_of(self, number: int, count: int) -> NDArray[np.int32]:
        """Return the leg of each of the first rows ((count,) int32), -1 for a stranger's."""
        source = self._memory.address[:count]
        # RTP comes from the port below (RFC 3550, 11).
        ports, hosts = source["port"].astype(np.uint16) - np.uint16(1), source["host"].astype(np.uint32)
        return self._sources.legs_of(np.full(count, number, np.int16), ports, hosts)

    def _read(self, row: int, leg: int, arrival_ns: int) -> list[ReceivedReport]:
        stream = self._streams[leg] if leg >= 0 else None
        datagram = self._memory.data[row, : self._memory.length[row]].tobytes()
        try:
            reports = parse(datagram) if stream is not None and len(datagram) < _WIDTH else []
        except ValueError:
            reports = []
        if stream is None or not reports:
            self.ignored += 1
            return []
        self._speaks_rtcp[leg] = True
        if self._next_ns[leg] == _NEVER_NS:
            self._next_ns[leg] = arrival_ns + self._interval_ns(is_first=False)
        received = [ReceivedReport(leg, report, arrival_ns, stream.ssrc) for report in reports]
        for report in received:
            self._take_note(report)
        return received

    def _take_note(self, received: ReceivedReport) -> None:
        """Remember what the next report to this peer, and its leg's record, need of one that has come."""
        if isinstance(received.report, SenderReport):
            self._last_sr[received.leg] = middle_32_bits(received.report.ntp), received.arrival_ns
        record = self._records[received.leg]
        if record is not None and received.own_block is not None:
            self._records[received.leg] = replace(record, heard=received.own_block)
