"""Delay of probes: round trip, round trip from the intended send time, and one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.trackers.probes.leg_histogram import LegHistogram
from pytest_ari_sla.trackers.probes.probe_ring import ProbeRing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["LatencyTracker"]


_ORACLE = "a capture of the same load, tests/oracles/test_media.py"
_BOUND = (
    "50 us at p50, 200 us at p99, held on a busy machine: of up to seven packets sent at once the kernel stamps the "
    "first, of more each has an even share of the system call"
)
_TIMES = ("rtt", "rtt_intended", "one_way", "one_way_intended")


class LatencyTracker:
    """Records the delay of each probe's first copy (RFC 2681, 2.4: a duplicate has no delay of its own).

    What a leg hears decides what its delay is, and is called by that name alone. A leg that hears itself (``echo``,
    ``relay``) measures a round trip. A leg that hears another one (``pair``; in ``hold`` and ``snoop`` the first leg)
    measures one way, by one clock: both ends are this generator. A limit for the one means nothing for the other. A
    probe that is back after the loss limit is lost, so that it is in ``late`` and in no distribution.
    """

    name = "latency"
    metrics = (
        Metric(
            "rtt",
            "distribution",
            "s",
            "Round trip where a leg hears itself: echo, relay",
            source="RFC 2681",
            error_bound=_BOUND,
            oracle=_ORACLE,
            prominent=True,
            rank=30,
            title="Round-trip time",
            label="Round trip",
        ),
        Metric(
            "rtt_intended",
            "distribution",
            "s",
            "Round trip from a probe's scheduled send",
            title="Round-trip time from the intended send",
        ),
        Metric(
            "one_way",
            "distribution",
            "s",
            "One way where a leg hears another: pair, both ends one clock",
            source="RFC 7679",
            error_bound=_BOUND,
            oracle=_ORACLE,
            prominent=True,
            rank=40,
            title="One-way delay",
            label="One way",
        ),
        Metric(
            "one_way_intended",
            "distribution",
            "s",
            "One way from a probe's scheduled send",
            title="One-way delay from the intended send",
        ),
        Metric("late", "count", "count", "Probes that came back after the loss limit; they count as lost"),
    )

    def begin(self, context: TrackerContext) -> None:
        """Allocate a mark per probe of the window, and a small histogram, for each leg."""
        self._ring = ProbeRing(context)
        self._hears_another = context.heard_leg != np.arange(context.legs)
        self._times = {name: Histogram() for name in _TIMES}
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
        # Seldom: only where a socket was not read for seconds.
        if self._ring.lacks_room(batch):
            self._ring.make_room(batch)
        arrivals = self._ring.arrive(batch)
        self._late += arrivals.late
        first = arrivals.first
        legs, arrival_ns = batch.leg[first], batch.arrival_ns[first]
        delay_ns, intended_ns = arrival_ns - batch.sent_ns[first], arrival_ns - batch.intended_ns[first]
        is_one_way = self._hears_another[legs]
        for name, chosen in (("rtt", ~is_one_way), ("one_way", is_one_way)):
            self._times[name].record(delay_ns[chosen])
            self._times[f"{name}_intended"].record(intended_ns[chosen])
        # A coarse one: a Histogram takes up to 264 KiB, too much for each of thousands of legs.
        self._by_leg.record(legs, delay_ns)

    def advance(self, now_ns: int) -> None:
        """Free the marks of probes that were due a loss limit ago."""
        self._ring.forget(now_ns)

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget these legs; what was measured stays."""
        self._ring.reset(legs)
        self._by_leg.reset(legs)

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all delays since :meth:`begin`."""
        return {"late": self._late} | {name: times.copy() for name, times in self._times.items()}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's delay in s, as what it is: median and p99 to within 25 %, the maximum exactly."""
        p50, p99 = self._by_leg.percentiles_ns(50, 99)
        stats = {"p50": p50 / 1e9, "p99": p99 / 1e9, "max": self._by_leg.max_ns() / 1e9}
        kinds = {"rtt": ~self._hears_another, "one_way": self._hears_another}
        return {
            f"{name}.{stat}": np.where(of_kind, column, np.nan)
            for name, of_kind in kinds.items()
            for stat, column in stats.items()
        }
