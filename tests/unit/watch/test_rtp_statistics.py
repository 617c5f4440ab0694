"""What is said of Asterisk's rtp_statistics: nothing where they may be right, else what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari.resources import RtpStatistics
from pytest_ari_sla.rtp.rtcp import ReportBlock
from pytest_ari_sla.rtp.rtcp_record import RtcpRecord, ToldReport
from pytest_ari_sla.watch.rtp_statistics import OwnFigures, differences, is_comparable

PACKET_TIME_NS = 20_000_000
OURS, THEIRS = 11, 22
FIRST = 65_000
"""Our first sequence number: most streams here wrap around."""


def block(*, lost: int = 0, highest: int = 0, jitter: int = 0, last_sr: int = 0) -> ReportBlock:
    """Return a report block."""
    return ReportBlock(OURS, 0, lost, highest, jitter, last_sr, 0)


def told(name: int, *, lost: int = 0, jitter: int = 0) -> ToldReport:
    """Return a report of ours."""
    return ToldReport(name, block(lost=lost, jitter=jitter))


RECORD = RtcpRecord(OURS, 8000, FIRST, heard=block(highest=FIRST + 1399, last_sr=1), told=(told(1),))
OWN = OwnFigures(
    due=1500,
    sent=1500,
    received=1500,
    packet_time_ns=PACKET_TIME_NS,
    unheard_ns=0,
    asking_ns=40_000_000,
    record=RECORD,
)
RIGHT = RtpStatistics(txcount=1500, rxcount=1500, local_ssrc=THEIRS, remote_ssrc=OURS)


def of(theirs: RtpStatistics = RIGHT, own: OwnFigures = OWN, **changes: float) -> list[str]:
    """Return what is said, with some figures of Asterisk's changed."""
    return differences(msgspec.structs.replace(theirs, **changes), own)


def knowing(**changes: Any) -> OwnFigures:
    """Return our figures with another record."""
    return replace(OWN, record=replace(RECORD, **changes))


def test_right_figures_are_not_spoken_of() -> None:
    """All of them agree."""
    assert of() == []


def test_only_the_same_streams_are_compared() -> None:
    """The SSRC that Asterisk receives is the one that we send; without packets there is nothing to compare."""
    assert is_comparable(RIGHT, OWN)
    assert not is_comparable(msgspec.structs.replace(RIGHT, remote_ssrc=OURS + 1), OWN)
    assert not is_comparable(RIGHT, replace(OWN, sent=0))


def test_packets_that_never_left_us_cannot_have_been_received() -> None:
    """Asterisk's own figures say that it lost none."""
    (sentence,) = of(own=replace(OWN, sent=1450))
    assert sentence == "it says that it received 1,500 packets of ours, of 1,450 that we sent (rxcount)"


def test_loss_before_its_last_report_must_be_in_its_figures() -> None:
    """50 that we withheld, or that the network lost, are missing in its sequence numbers."""
    (sentence,) = of(own=replace(OWN, sent=1350), rxcount=1350)
    assert sentence == (
        "of 1,500 packets of ours 150 never left us, and it says that it received 1,350 and lost 0: its figures lack "
        "150 (rxcount, rxploss)"
    )
    assert of(own=replace(OWN, sent=1350), rxcount=1350, rxploss=150) == []
    assert "and it says" not in of(rxcount=1350)[0]


def test_loss_after_its_last_report_cannot_be_in_its_figures() -> None:
    """That report covers all but our last 100 packets; without a report nobody knows."""
    assert of(rxcount=1400) == []
    assert of(rxcount=1300) != []
    assert of(rxcount=10, own=knowing(heard=None)) == []


def test_more_lost_than_there_were_is_wrong() -> None:
    """As where a counter runs below zero."""
    (sentence,) = of(rxploss=4_294_967_290)
    assert "4,294,967,290 packets of ours were lost" in sentence


def test_a_new_source_is_counted_anew() -> None:
    """Asterisk forgets what it received from the one before (RFC 3550, 8.2)."""
    own = knowing(sent_before=600, first_sequence=(FIRST + 600) % 65_536, heard=block(highest=FIRST + 1399 - 65_536))
    assert of(rxcount=900, own=own) == []
    assert of(rxcount=1500, own=own) != []


@pytest.mark.parametrize("txcount", [0, 1400])
def test_what_came_must_have_been_sent(txcount: int) -> None:
    """All but what may have come after the question: two packets, and some that are on their way."""
    (sentence,) = of(txcount=txcount)
    assert sentence == f"it says that it sent {txcount:,} packets, and 1,500 of them came (txcount)"
    assert of(txcount=1490) == []


def test_what_was_sent_and_did_not_come_must_be_known_as_lost() -> None:
    """By our reports nothing is missing: what was lost at the end, nobody could tell Asterisk (asterisk#2012)."""
    (sentence,) = of(own=replace(OWN, received=200))
    assert sentence == (
        "it says that it sent 1,500 packets and that 0 of them were lost; 200 came, and by their sequence "
        "numbers 0 are missing (txcount, txploss)"
    )
    assert of(own=replace(OWN, received=1000, unheard_ns=500 * PACKET_TIME_NS)) == []
    assert of(own=replace(knowing(missing=500), received=1000)) == []


def test_it_must_say_of_its_packets_what_our_reports_said() -> None:
    """Of the last one that it has confirmed, or of a later one, which it may not have."""
    own = knowing(told=(told(1, lost=5), told(2, lost=7), told(3, lost=9)), heard=block(highest=FIRST, last_sr=2))
    assert of(own=own, txploss=7) == of(own=own, txploss=9) == []
    (sentence,) = of(own=own, txploss=5)
    assert sentence == "it says that we lost 5 packets of its own; our RTCP reports said 9 (txploss)"
    unconfirmed = replace(own, record=replace(own.record, heard=None))
    assert of(own=unconfirmed, txploss=0) == of(own=unconfirmed, txploss=5) == []
    assert of(own=unconfirmed, txploss=6) != []


def test_jitter_must_be_in_seconds() -> None:
    """Asterisk 16 divides what we report in ticks of 1/8000 s by 65536."""
    own = knowing(told=(told(1, jitter=80),))
    assert of(own=own, rxjitter=0.010) == []
    (sentence,) = of(own=own, rxjitter=80 / 65_536)
    assert sentence == (
        "it says that the jitter of its packets was 1.22 ms at our end; our RTCP reports said 10 ms (rxjitter)"
    )
    assert of(own=replace(own, record=replace(own.record, heard=None)), rxjitter=0.0) == []


def test_a_round_trip_is_no_longer_than_the_call() -> None:
    """A negative one is stored as 65,535 s (asterisk#2099)."""
    (sentence,) = of(rtt=65_535.9)
    assert sentence == "it says that a round trip took 65,536 s, in a call of 30 s (rtt)"
    assert of(rtt=0.3) == []


def test_what_no_report_of_ours_said_is_not_judged() -> None:
    """Before the first one, all is 0."""
    assert of(own=knowing(told=()), txploss=77, rxjitter=3.0, rtt=1e6) == []


@given(
    due=st.integers(1, 70_000),
    not_sent=st.integers(0, 50),
    lost=st.integers(0, 500),
    reported=st.floats(0, 1),
    received=st.integers(0, 70_000),
    missing=st.integers(0, 500),
    late=st.integers(0, 50),
)
def test_an_asterisk_that_tells_the_truth_is_never_off(
    due: int, not_sent: int, lost: int, reported: float, received: int, missing: int, late: int
) -> None:
    """Whatever was lost on either way, wherever its last report was: its figures are as they can be then."""
    not_sent = min(not_sent, due - 1)
    lost = min(lost, due - not_sent)
    covered = int(due * reported)
    if due - covered >= 32_768:  # no report is so old
        covered = due
    # What is lost or was withheld lies anywhere; the report knows of what lies before its last packet.
    known = min(lost + not_sent, covered)
    heard = block(highest=FIRST + covered - 1, last_sr=2) if covered else None
    record = RtcpRecord(OURS, 8000, FIRST, missing=missing, told=(told(1), told(2, lost=missing)), heard=heard)
    own = OwnFigures(due, due - not_sent, received, PACKET_TIME_NS, 0, late * PACKET_TIME_NS, record)
    unknown = lost + not_sent - known
    right = RtpStatistics(
        txcount=max(received - late, 0) + missing,
        rxcount=due - not_sent - lost,
        txploss=missing,
        rxploss=known if due - covered >= unknown else lost + not_sent,
        remote_ssrc=OURS,
    )
    assert differences(right, own) == []
