from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.codecs.opus import OpusCodec
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.hookspecs.tracker import ReportTracker
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.rtp.rtcp import ReceivedReport, ReceiverReport, ReportBlock, middle_32_bits, ntp_timestamp
from pytest_ari_sla.trackers.packets.rtcp import RtcpTracker
from tests.unit.batches import START_NS
from tests.unit.trackers.loads import VOICE, FixedLog, context_of

OWN, OTHER = 0xA, 0xB
CONTEXT = context_of(FixedLog([0, 0, 0]), [0, 1, 2])
UNIT_NS = 1_000_000_000 / 65536


def begun() -> RtcpTracker:
    """Return a tracker of three legs: two of PCMU, the last one of Opus, whose clock is six times as fast."""
    tracker = RtcpTracker()
    voices = (VOICE, Voice(OpusCodec(), np.zeros((1, 80), np.uint8)))
    tracker.begin(replace(CONTEXT, voices=voices, voice_of_leg=np.array([0, 0, 1], np.int32)))
    return tracker


def report(
    leg: int = 0, *, ssrc: int = OWN, arrival_ns: int = START_NS, sent_ns: int = 0, held_ns: int = 0, **more: int
) -> ReceivedReport:
    """Return a report on ``ssrc``, which knows a report that we sent at ``sent_ns`` (0: none)."""
    last_sr = middle_32_bits(ntp_timestamp(sent_ns)) if sent_ns else 0
    block = ReportBlock(
        ssrc, more.get("fraction_lost", 0), 0, 0, more.get("jitter", 0), last_sr, int(held_ns / UNIT_NS)
    )
    return ReceivedReport(leg, ReceiverReport(OTHER, (block,)), arrival_ns, OWN)


def distribution(tracker: RtcpTracker, name: str) -> Histogram:
    """Return one of its histograms."""
    histogram = tracker.snapshot()[name]
    assert isinstance(histogram, Histogram)
    return histogram


def test_it_asks_for_reports() -> None:
    """By having the method."""
    assert isinstance(RtcpTracker(), ReportTracker)


@given(st.integers(0, 3600 * 10**9), st.integers(200_000, 5 * 10**9), st.integers(0, 10**10))
def test_the_round_trip_is_what_the_peer_did_not_hold(start_ns: int, rtt_ns: int, held_ns: int) -> None:
    """A - LSR - DLSR, to the 1/65536 s in which RTCP counts, whatever the time of day."""
    sent_ns = START_NS + start_ns
    tracker = begun()
    tracker.observe_reports([report(sent_ns=sent_ns, arrival_ns=sent_ns + rtt_ns + held_ns, held_ns=held_ns)])
    assert tracker.per_leg()["rtcp.rtt"][0] == pytest.approx(rtt_ns / 1e9, abs=2.5 * UNIT_NS / 1e9)
    assert distribution(tracker, "rtcp.rtt").count == 1


def test_a_peer_that_knows_no_report_of_ours_tells_no_round_trip() -> None:
    """But what it misses, and how unevenly it hears: a quarter lost, 80 ticks are 10 ms at 8 kHz."""
    tracker = begun()
    tracker.observe_reports([report(fraction_lost=64, jitter=80)])
    assert distribution(tracker, "rtcp.rtt").count == 0
    assert distribution(tracker, "rtcp.fraction_lost").max == 64
    assert distribution(tracker, "rtcp.jitter").max == 10_000_000
    assert tracker.snapshot()["rtcp.reports"] == 1
    lost = next(metric for metric in tracker.metrics if metric.name == "rtcp.fraction_lost")
    assert lost.in_unit(64) == 0.25


def test_jitter_is_told_in_ticks_of_the_legs_own_clock() -> None:
    """480 ticks of Opus are 10 ms."""
    tracker = begun()
    tracker.observe_reports([report(leg=2, jitter=480)])
    assert distribution(tracker, "rtcp.jitter").max == 10_000_000


def test_a_report_about_somebody_else_says_nothing_of_us() -> None:
    """Nor does one about nobody."""
    tracker = begun()
    tracker.observe_reports([report(ssrc=OTHER), ReceivedReport(0, ReceiverReport(OTHER), START_NS, OWN)])
    assert tracker.snapshot()["rtcp.reports"] == 0


def test_without_reports_there_is_nothing() -> None:
    """As where the peer speaks no RTCP: a count of 0, and distributions without samples."""
    tracker = begun()
    tracker.advance(START_NS)
    assert tracker.snapshot()["rtcp.reports"] == 0
    assert distribution(tracker, "rtcp.rtt").count == 0
    assert np.isnan(tracker.per_leg()["rtcp.rtt"]).all()


def test_a_released_leg_is_forgotten() -> None:
    """What it was told stays in the totals."""
    tracker = begun()
    tracker.observe_reports([report(leg=1, sent_ns=START_NS, arrival_ns=START_NS + 10**7)])
    tracker.release(np.array([1], np.int32))
    assert np.isnan(tracker.per_leg()["rtcp.rtt"]).all()
    assert tracker.snapshot()["rtcp.reports"] == 1
