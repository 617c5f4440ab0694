"""Delay of probes: round trip, round trip from the intended send time, and one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.catalogue import Metric
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.trackers.leg_histogram import LegHistogram
from pytest_ari_sla.trackers.probe_ring import ProbeRing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["LatencyTracker"]


class LatencyTracker:
    """Records the delay of each probe's first copy (RFC 2681, 2.4: a duplicate has no delay of its own).

    ``rtt`` is from a probe's send until it is back at this generator, whichever way it went. ``one_way`` is the same
    for legs that hear another leg, where that is half a conversation. A probe that is back after the loss limit is
    lost, so that it is in ``late`` and in no distribution.
    """

    name = "latency"
    metrics = (
        Metric("rtt", "distribution", "s", "From a probe's send until it is back here (RFC 2681)"),
        Metric("rtt_intended", "distribution", "s", "From a probe's scheduled send until it is back here"),
        Metric("one_way", "distribution", "s", "From a probe's send until another leg hears it (RFC 7679)"),
        Metric("late", "count", "count", "Probes that came back after the loss limit; they count as lost"),
    )

    def begin(self, context: TrackerContext) -> None:
        """Allocate a mark per probe of the window, and a small histogram, for each leg."""
        self._ring = ProbeRing(context)
        self._hears_another = context.heard_leg != np.arange(context.legs)
        self._rtt, self._rtt_intended, self._one_way = Histogram(), Histogram(), Histogram()
        self._by_leg = LegHistogram(context.legs)
        self._late = 0

    @staticmethod
    def bytes_per_leg(probe_window: int) -> int:
        """Return the memory that a leg takes here."""
        return ProbeRing.bytes_per_leg(probe_window) + LegHistogram.BYTES_PER_LEG + 1

    def observe(self, batch: PacketBatch) -> None:
        """Record the delay of the probes that are back."""
        if not len(batch):
            return
        if self._ring.lacks_room(batch):
            self.advance(int(batch.arrival_ns.min()))
        arrivals = self._ring.arrive(batch)
        self._late += arrivals.late
        first = arrivals.first
        legs, arrival_ns = batch.leg[first], batch.arrival_ns[first]
        rtt_ns = arrival_ns - batch.sent_ns[first]
        self._rtt.record(rtt_ns)
        self._rtt_intended.record(arrival_ns - batch.intended_ns[first])
        self._one_way.record(rtt_ns[self._hears_another[legs]])
        self._by_leg.record(legs, rtt_ns)

    def advance(self, now_ns: int) -> None:
        """Free the marks of probes that were due a loss limit ago."""
        self._ring.forget(now_ns)

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget these legs; what was measured stays."""
        self._ring.reset(legs)
        self._by_leg.reset(legs)

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all delays since :meth:`begin`."""
        return {
            "rtt": self._rtt.copy(),
            "rtt_intended": self._rtt_intended.copy(),
            "one_way": self._one_way.copy(),
            "late": self._late,
        }

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's round trip in s: median and p99 to within 25 %, the maximum exactly."""
        p50, p99 = self._by_leg.percentiles_ns(50, 99)
        return {"rtt.p50": p50 / 1e9, "rtt.p99": p99 / 1e9, "rtt.max": self._by_leg.max_ns() / 1e9}
