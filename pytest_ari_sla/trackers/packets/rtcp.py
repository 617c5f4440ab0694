"""What peers report by RTCP: how our packets fared on their way there, and the round trip by LSR and DLSR.

The peer's word, against which our own measurements can be held. There is none where the peer speaks no RTCP:
Asterisk's ExternalMedia channels do not, its SIP channels and other RTP devices do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.rtcp import middle_32_bits, ntp_timestamp, round_trip_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport, ReportBlock

__all__ = ["RtcpTracker"]


class RtcpTracker:
    """Takes in the report blocks that are about our own streams."""

    name = "rtcp"
    metrics = (
        Metric("rtcp.reports", "count", "count", "RTCP reports of peers on our packets (RFC 3550, 6.4)", "higher"),
        Metric("rtcp.rtt", "distribution", "s", "Round trip by peers' reports: A - LSR - DLSR (RFC 3550, 6.4.1)"),
        Metric(
            "rtcp.fraction_lost",
            "distribution",
            "ratio",
            "Share of our packets that a peer has missed since its last report (RFC 3550, 6.4.1)",
            resolution=1 / 256,
        ),
        Metric("rtcp.jitter", "distribution", "s", "Interarrival jitter of our packets at peers, as they report it"),
    )
    BYTES_PER_LEG = 2 * 8

    def begin(self, context: TrackerContext) -> None:
        """Start without any report."""
        self._clock_rate_hz = np.zeros(context.legs, np.int64)
        for codec, legs in context.codecs():
            self._clock_rate_hz[legs] = codec.clock_rate_hz
        self._latest_s = np.full(context.legs, np.nan)
        self._reports = 0
        self._rtt, self._fraction_lost, self._jitter = Histogram(), Histogram(), Histogram()

    def observe(self, batch: PacketBatch) -> None:
        """Packets tell nothing of what the peer receives."""

    def observe_reports(self, reports: Sequence[ReceivedReport]) -> None:
        """Take in what peers say of our streams; other blocks are about somebody else's."""
        for report in reports:
            if report.own_block is not None:
                self._take(report, report.own_block)

    def _take(self, report: ReceivedReport, block: ReportBlock) -> None:
        self._reports += 1
        self._fraction_lost.record_one(block.fraction_lost)
        # By the clock of the stream that we send: the report is about that one.
        self._jitter.record_one(block.jitter * 1_000_000_000 // int(self._clock_rate_hz[report.leg]))
        rtt_s = round_trip_s(middle_32_bits(ntp_timestamp(report.arrival_ns)), block)
        if rtt_s is not None:
            self._rtt.record_one(round(rtt_s * 1e9))
            self._latest_s[report.leg] = rtt_s

    def advance(self, now_ns: int) -> None:
        """Reports come when they come."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget these legs."""
        self._latest_s[legs] = np.nan

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all that was reported since :meth:`begin`."""
        return {
            "rtcp.reports": self._reports,
            "rtcp.rtt": self._rtt.copy(),
            "rtcp.fraction_lost": self._fraction_lost.copy(),
            "rtcp.jitter": self._jitter.copy(),
        }

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's latest round trip by RTCP, in s."""
        return {"rtcp.rtt": self._latest_s.copy()}
