from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.rtcp import (
    REPORT_INTERVAL_NS,
    ReceivedReport,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build,
    middle_32_bits,
    ntp_timestamp,
    parse,
    report_interval_ns,
    round_trip_s,
)

u32 = st.integers(0, 2**32 - 1)
blocks = st.builds(ReportBlock, u32, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), u32, u32, u32, u32)
some_blocks = st.lists(blocks, max_size=31).map(tuple)
reports = st.one_of(
    st.builds(ReceiverReport, u32, some_blocks),
    st.builds(SenderReport, u32, st.integers(0, 2**64 - 1), u32, u32, u32, some_blocks),
)
NO_LOSS = ReportBlock(7, 0, 0, 0, 0, 0, 0)


@given(reports, st.text("abc@.é", max_size=60))
def test_a_report_that_is_built_is_read_back(report: SenderReport | ReceiverReport, cname: str) -> None:
    """All fields survive, with any CNAME behind; packets end on words."""
    datagram = build(report, cname)
    assert parse(datagram) == [report]
    assert len(datagram) % 4 == 0


def test_the_bytes_of_a_receiver_report() -> None:
    """Header, sources, loss as 8 and 24 bits, then SDES with the CNAME and its end (RFC 3550, 6.4.2 and 6.5)."""
    block = ReportBlock(2, 10, -1, 0x00010203, 4, 0xB7052000, 0x00054000)
    expected = (
        "81c90007 00000001 00000002 0affffff 00010203 00000004 b7052000 00054000"
        + "81ca0003 00000001 01036121 62000000"
    )
    assert build(ReceiverReport(1, (block,)), "a!b") == bytes.fromhex(expected)


def test_the_round_trip_of_the_rfcs_example() -> None:
    """A=b710:8000, LSR=b705:2000, DLSR=0005:4000 give 6.125 s (RFC 3550, figure 2)."""
    block = ReportBlock(7, 0, 0, 0, 0, 0xB7052000, 0x00054000)
    assert round_trip_s(0xB7108000, block) == 6.125


def test_the_round_trip_across_the_wrap_of_the_clock() -> None:
    """The 16 bits of seconds begin anew every 18 hours."""
    block = ReportBlock(7, 0, 0, 0, 0, 0xFFFF8000, 0x00010000)
    assert round_trip_s(0x00010000, block) == 0.5


def test_no_round_trip_without_a_report_or_against_time() -> None:
    """A receiver that has heard no report says 0; a negative time is the clocks', not the network's."""
    assert round_trip_s(0xB7108000, NO_LOSS) is None
    assert round_trip_s(0x00010000, ReportBlock(7, 0, 0, 0, 0, 0x00010000, 0x00000001)) is None


def test_ntp_times() -> None:
    """NTP counts from 1900; the middle 32 bits are what reports carry."""
    assert ntp_timestamp(0) == 2_208_988_800 << 32
    assert ntp_timestamp(500_000_000) & 0xFFFFFFFF == 1 << 31
    assert middle_32_bits(0x1234_5678_9ABC_DEF0) == 0x5678_9ABC


def test_other_packets_are_passed_over() -> None:
    """A BYE, and feedback of a kind that is not known here, do no harm."""
    datagram = build(ReceiverReport(1), "x") + bytes.fromhex("81cb0001 00000001") + bytes.fromhex("8fce0001 00000001")
    assert parse(datagram) == [ReceiverReport(1)]


def test_several_reports_of_one_datagram() -> None:
    """More sources than one packet holds come in several."""
    datagram = build(ReceiverReport(1, (NO_LOSS,)), "x") + build(ReceiverReport(2), "x")
    assert parse(datagram) == [ReceiverReport(1, (NO_LOSS,)), ReceiverReport(2)]


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"\x80\xc9", "header is cut off"),
        (bytes.fromhex("40c90001 00000001"), "version 1"),
        (bytes.fromhex("80ca0001 00000001"), "packet type 202"),
        (bytes.fromhex("80c90002 00000001"), "longer than its datagram"),
        (bytes.fromhex("81c90001 00000001"), "shorter than its count"),
        (bytes.fromhex("80c80001 00000001"), "shorter than its count"),
        (bytes.fromhex("80c90000"), "shorter than its count"),
    ],
)
def test_what_is_no_rtcp_is_refused_with_the_reason(datagram: bytes, reason: str) -> None:
    """The checks of RFC 3550, A.2."""
    with pytest.raises(ValueError, match=reason):
        parse(datagram)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(datagram: bytes) -> None:
    """Nothing else happens, whatever arrives."""
    try:
        parsed = parse(datagram)
    except ValueError:
        return
    assert all(isinstance(report, SenderReport | ReceiverReport) for report in parsed)


def test_what_does_not_fit_is_not_built() -> None:
    """Thirty-two blocks need a second packet."""
    with pytest.raises(ValueError, match="32 report blocks"):
        build(ReceiverReport(1, (NO_LOSS,) * 32), "x")
    with pytest.raises(ValueError, match="256 bytes"):
        build(ReceiverReport(1), "x" * 256)


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_reports_are_spread_about_their_interval(chance: float) -> None:
    """By half of it to either side; the first one comes in half the time (RFC 3550, 6.2 and 6.3.1)."""
    usual_ns = report_interval_ns(chance, is_first=False)
    assert usual_ns == pytest.approx(REPORT_INTERVAL_NS * (0.5 + chance))
    assert report_interval_ns(chance, is_first=True) == pytest.approx(usual_ns / 2)


def test_of_a_received_report_one_block_is_about_our_own_stream() -> None:
    """Or none is."""
    others = tuple(ReportBlock(ssrc, 0, 0, 0, 0, 0, 0) for ssrc in (1, 2))
    own = ReportBlock(3, 9, 0, 0, 0, 0, 0)
    assert ReceivedReport(0, ReceiverReport(8, (*others, own)), 0, own_ssrc=3).own_block == own
    assert ReceivedReport(0, ReceiverReport(8, others), 0, own_ssrc=3).own_block is None
