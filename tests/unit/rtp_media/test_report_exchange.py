"""RTCP on the loopback: what is sent, to whom, and whose reports are believed."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, build, middle_32_bits, ntp_timestamp
from pytest_ari_sla.rtp.rtcp_record import RtcpRecord, ToldReport
from pytest_ari_sla.rtp.send_schedule import SLOT_NS
from pytest_ari_sla.rtp_media.reception import Reception
from pytest_ari_sla.rtp_media.report_exchange import ReportExchange, SentStream
from pytest_ari_sla.rtp_media.ring_reader import SourceTable
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from pytest_ari_sla.udp.datagrams import open_udp_socket
from pytest_ari_sla.udp.stamp_clock import StampClock
from tests.unit.batches import Packet, batch_of
from tests.unit.rtp_media.memories import ORIGIN_NS, Schedule, make_memory
from tests.unit.rtp_media.rtcp_peer import HERE, RtcpPeer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.rtp.rtcp import ReceivedReport

SECOND_NS = 1_000_000_000
# More than the longest interval between two reports, 1.5 times 5 s.
LONG_NS = 8 * SECOND_NS
LEG, SSRC = 2, 0xC0FFEE
SOUND = build(ReceiverReport(1), "x")


class Bench:
    """An exchange of two sockets, a leg that has sent ten packets by the second of them, and its peer."""

    def __init__(self, peer: RtcpPeer, reception: Reception | None = None) -> None:
        self.peer = peer
        self.memory = make_memory()
        self.schedule = Schedule(self.memory)
        self.schedule.start(LEG, slot=1)
        self.schedule.turns(1, 10)
        self.sources = SourceTable(sockets=2, legs=6)
        self.sockets = [open_udp_socket((HERE, 0)) for _ in range(2)]
        log, clock = MediaSendLog(self.memory), StampClock()
        self.exchange = ReportExchange(self.sockets, self.sources, log, 6, clock, reception)
        self.now_ns = time.time_ns()

    def follow(self, remote: Address, leg: int = LEG) -> None:
        """Let a leg be one that sends to ``remote``."""
        self.sources.expect(leg, 1, remote)
        self.exchange.follow(leg, SentStream(1, remote, SSRC, clock_rate_hz=8000, payload_bytes=160))

    def later(self, by_ns: int = LONG_NS) -> list[ReceivedReport]:
        """Let time pass, and exchange reports."""
        self.now_ns += by_ns
        return self.exchange.exchange(self.now_ns)

    def send(self, datagram: bytes, number: int = 1) -> None:
        """Let the peer send something to one of our RTCP sockets."""
        self.peer.send(datagram, self.sockets[number].getsockname())

    def close(self) -> None:
        """Close everything."""
        for udp in self.sockets:
            udp.close()
        self.memory.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A leg that is reported on."""
    with RtcpPeer() as peer:
        bench = Bench(peer)
        bench.follow(peer.address)
        yield bench
        bench.close()


def test_a_sender_report_says_what_was_sent_and_when(bench: Bench) -> None:
    """To the port above the one that RTP goes to; NTP time and RTP time stamp are of one moment (RFC 3550, 6.4.1)."""
    before = ntp_timestamp(time.time_ns())
    bench.later()
    (report,) = bench.peer.sender_reports()
    assert bench.peer.reported_from == bench.sockets[1].getsockname()
    assert (report.ssrc, report.packets, report.octets, report.blocks) == (SSRC, 10, 1600, ())
    assert before <= report.ntp <= ntp_timestamp(time.time_ns())
    began = ntp_timestamp(ORIGIN_NS + SLOT_NS)
    expected = ((report.ntp - began) * 8000 >> 32) % 2**32
    assert abs(report.rtp_timestamp - expected) <= 1
    assert bench.exchange.sent == 1


def test_a_sender_report_has_the_offset_of_a_stream_whose_time_stamps_have_jumped(bench: Bench) -> None:
    """Its peer synchronises by both: the jump alone is the fault on purpose, not the reports."""
    bench.exchange.follow(LEG, SentStream(1, bench.peer.address, SSRC, 8000, 160, timestamp_offset=480_000))
    bench.later()
    (report,) = bench.peer.sender_reports()
    began = ntp_timestamp(ORIGIN_NS + SLOT_NS)
    expected = (((report.ntp - began) * 8000 >> 32) + 480_000) % 2**32
    assert abs(report.rtp_timestamp - expected) <= 1


def test_reports_come_at_an_interval(bench: Bench) -> None:
    """The first one after 1.25 to 3.75 s, the next ones after 2.5 to 7.5 s: never more often."""
    bench.later(SECOND_NS)
    assert bench.peer.sender_reports() == []
    bench.send(SOUND)
    for _ in range(5):
        bench.later(LONG_NS)
        bench.later(2 * SECOND_NS)
        assert len(bench.peer.sender_reports()) == 1


def test_a_peer_that_says_nothing_gets_one_report(bench: Bench) -> None:
    """Asterisk's ExternalMedia channels never do; where one speaks after all, reports go on."""
    for _ in range(5):
        bench.later()
    assert len(bench.peer.sender_reports()) == bench.exchange.sent == 1
    bench.send(SOUND)
    for _ in range(3):
        bench.later()
        assert len(bench.peer.sender_reports()) == 1


@pytest.mark.parametrize("step_ns", [3_600 * SECOND_NS, -3_600 * SECOND_NS])
def test_a_clock_that_is_set_moves_no_report(bench: Bench, monkeypatch: pytest.MonkeyPatch, step_ns: int) -> None:
    """Both of its times stay those that the stream began with: a peer compares them with its own."""
    bench.later()
    bench.send(SOUND)
    monkeypatch.setattr(bench.exchange._clock, "_realtime_ns", lambda: time.time_ns() + step_ns)
    bench.later()
    first, second = bench.peer.sender_reports()
    assert 0 <= second.ntp - first.ntp < 60 << 32
    assert (second.rtp_timestamp - first.rtp_timestamp) % (1 << 32) < 60 * 8000


def test_what_has_not_begun_or_is_over_is_not_reported_on(bench: Bench) -> None:
    """A report on no packets would be a receiver's."""
    bench.exchange.forget(LEG)
    with RtcpPeer() as other:
        bench.follow(other.address, leg=3)
        bench.later()
        assert other.sender_reports() == bench.peer.sender_reports() == []
    assert bench.exchange.sent == 0


def test_nothing_is_sent_where_there_is_no_place_for_it(bench: Bench) -> None:
    """The port above an odd one may be anybody's RTP (RFC 3550, section 11)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as above:
        above.bind((HERE, 0))
        odd = above.getsockname()[1] - 1 | 1
        bench.follow((HERE, odd))
        bench.later()
    assert bench.exchange.sent == 0


def test_a_report_that_cannot_leave_is_not_counted(bench: Bench) -> None:
    """Nor does it end anything: the next one may leave."""
    bench.follow(("255.255.255.255", bench.peer.address[1]))
    bench.later()
    assert bench.exchange.sent == 0
    bench.follow(bench.peer.address)
    bench.later()
    assert bench.exchange.sent == 1


def test_a_report_belongs_to_the_leg_whose_rtp_comes_from_the_port_below(bench: Bench) -> None:
    """It holds the kernel's time of arrival, and what it says of the leg's own stream."""
    bench.later()
    (report,) = bench.peer.sender_reports()
    before_ns = time.time_ns()
    bench.peer.answer(report, held_s=0.5, fraction_lost=64, jitter=80)
    sent_ns = time.time_ns()
    time.sleep(0.02)
    (received,) = bench.later(0)
    assert received.leg == LEG
    assert before_ns <= received.arrival_ns <= sent_ns + 10_000_000
    assert received.own_block is not None
    assert (received.own_block.fraction_lost, received.own_block.jitter) == (64, 80)
    assert received.own_block.delay_since_last_sr == 32_768
    assert bench.later(0) == []
    assert bench.exchange.ignored == 0


def test_a_burst_of_reports_is_taken_in_whole(bench: Bench) -> None:
    """More than are received at a time, in their order."""
    for ssrc in range(600):
        bench.send(build(ReceiverReport(ssrc), "x"))
    assert [received.report.ssrc for received in bench.later(0)] == list(range(600))


@pytest.mark.parametrize("datagram", [b"", b"junk", SOUND[:-20], bytes(1600), SOUND + bytes(1600)])
def test_what_is_no_rtcp_is_counted_and_ignored(bench: Bench, datagram: bytes) -> None:
    """Whatever it is; what comes after it is read."""
    bench.send(datagram)
    bench.send(SOUND)
    assert len(bench.later(0)) == 1
    assert bench.exchange.ignored == 1


def test_strangers_are_ignored(bench: Bench) -> None:
    """Another port, another socket of ours, and a leg that is over: known addresses alone decide."""
    with RtcpPeer() as stranger:
        stranger.send(SOUND, bench.sockets[1].getsockname())
    bench.send(SOUND, number=0)
    bench.sources.forget(1, bench.peer.address)
    bench.send(SOUND)
    assert bench.later(0) == []
    assert bench.exchange.ignored == 3


HEARD_SSRC, PEER_NTP = 0xFA4, ntp_timestamp(1_700_000_000_000_000_000)


@pytest.fixture
def telling() -> Iterator[Bench]:
    """A leg whose peer is told how what it sends arrives; of twelve packets two were lost."""
    reception = Reception(6, np.full(6, 8000, np.int64), 20_000_000)
    numbers = [*range(100, 105), *range(107, 112)]
    reception.observe(batch_of([Packet(leg=LEG, sequence=number, ssrc=HEARD_SSRC) for number in numbers]))
    with RtcpPeer() as peer:
        bench = Bench(peer, reception)
        bench.follow(peer.address)
        yield bench
        bench.close()


def test_a_peer_is_told_how_its_stream_arrives(telling: Bench) -> None:
    """And what it needs to know the round trip: which report of its own came, and how long ago."""
    telling.later()
    (first,) = telling.peer.sender_reports()
    (block,) = first.blocks
    assert (block.ssrc, block.lost, block.fraction_lost, block.extended_highest) == (HEARD_SSRC, 2, 42, 111)
    assert (block.last_sr, block.delay_since_last_sr) == (0, 0)
    telling.send(build(SenderReport(HEARD_SSRC, PEER_NTP, 0, 12, 1920), "peer"))
    telling.later()
    telling.later()
    (block,) = telling.peer.sender_reports()[-1].blocks
    assert block.last_sr == middle_32_bits(PEER_NTP)
    assert block.fraction_lost == 0


def test_what_both_have_told_each_other_is_remembered(telling: Bench) -> None:
    """Until the leg is over; of a peer that is told nothing there is no record."""
    telling.later()
    (report,) = telling.peer.sender_reports()
    telling.peer.answer(report, jitter=80)
    telling.later()
    last = telling.peer.sender_reports()[-1]
    heard = ReportBlock(SSRC, 0, 0, 10, 80, middle_32_bits(report.ntp), 0)
    names = [middle_32_bits(one.ntp) for one in (report, last)]
    told = tuple(ToldReport(name, one.blocks[0]) for name, one in zip(names, (report, last), strict=True))
    assert telling.exchange.record(LEG) == RtcpRecord(SSRC, 8000, 0, 0, 2, told, heard)
    telling.exchange.forget(LEG)
    assert telling.exchange.record(LEG) is None


def test_a_record_begins_anew_with_another_source(telling: Bench) -> None:
    """Packets that were due before are not its own; with the same source, it goes on."""
    telling.later()
    telling.follow(telling.peer.address)
    same = telling.exchange.record(LEG)
    assert same is not None
    assert (len(same.told), same.sent_before) == (1, 0)
    stream = SentStream(1, telling.peer.address, SSRC + 1, clock_rate_hz=8000, payload_bytes=160)
    telling.exchange.follow(LEG, stream)
    anew = telling.exchange.record(LEG)
    assert anew is not None
    assert (anew.own_ssrc, anew.told, anew.sent_before, anew.first_sequence) == (SSRC + 1, (), 10, 10)


def test_of_peers_that_are_told_nothing_there_is_no_record(bench: Bench) -> None:
    """Asterisk's ExternalMedia channels speak no RTCP."""
    bench.later()
    assert bench.exchange.record(LEG) is None
