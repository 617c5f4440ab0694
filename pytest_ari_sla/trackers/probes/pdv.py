"""Packet delay variation (RFC 5481): how much longer a packet took than the leg's fastest one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.trackers.probes.probe_ring import ProbeRing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["DelayVariationTracker"]

_UNKNOWN = np.iinfo(np.int64).max


class DelayVariationTracker:
    """Records ``PDV(i) = D(i) - D(min)`` in two passes over each interval between two calls of :meth:`advance`.

    RFC 5481, 4.2 wants the minimum of the whole measurement, which is known at its end only. Keeping all delays until
    then would take memory without bound; so the delays of one interval are kept, and D(min) is the leg's lowest delay
    up to that interval's end. Only packets of intervals before the lowest one are told too good. Both ends have the
    same clock, so that nothing drifts.

    A packet's delay is that of its first copy (RFC 3393, 2.5), and one that comes after the loss limit has none. Legs
    without probes have no delay, and no part in it.
    """

    name = "pdv"
    metrics = (
        Metric(
            "pdv",
            "distribution",
            "s",
            "Packet delay variation: delay above the leg's lowest so far",
            source="RFC 5481, 4.2",
            prominent=True,
            places=("summary",),
            rank=80,
            title="Packet delay variation",
            compared=(),
        ),
    )

    def begin(self, context: TrackerContext) -> None:
        """Allocate a mark per probe of the window, for each leg."""
        self._ring = ProbeRing(context)
        self._lowest = np.full(context.legs, _UNKNOWN, np.int64)
        self._legs: list[NDArray[np.int32]] = []
        self._delays: list[NDArray[np.int64]] = []
        self._histogram = Histogram()

    @staticmethod
    def bytes_per_leg(probe_window: int) -> int:
        """Return the memory that a leg takes here."""
        return ProbeRing.bytes_per_leg(probe_window) + 8

    def observe(self, batch: PacketBatch) -> None:
        """Keep the delays of the probes that are back until the interval ends."""
        if not len(batch):
            return
        if self._ring.lacks_room(batch):
            self._ring.make_room(batch)
        first = self._ring.arrive(batch).first
        # Fancy indexing copies: the batch's own memory is used again.
        self._legs.append(batch.leg[first])
        self._delays.append(batch.arrival_ns[first] - batch.sent_ns[first])

    def advance(self, now_ns: int) -> None:
        """End the interval, and free the marks of probes that were due a loss limit ago."""
        self._record()
        self._ring.forget(now_ns)

    def _record(self) -> None:
        """Find the minima, then record."""
        if not self._legs:
            return
        legs, delays = np.concatenate(self._legs), np.concatenate(self._delays)
        self._legs.clear()
        self._delays.clear()
        np.minimum.at(self._lowest, legs, delays)
        # Only after all of the interval's minima, or it would depend on the order of packets.
        self._histogram.record(delays - self._lowest[legs])

    def release(self, legs: NDArray[np.int32]) -> None:
        """End the interval, and forget the minima of these legs."""
        self._record()
        self._ring.reset(legs)
        self._lowest[legs] = _UNKNOWN

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the variation of all intervals that have ended."""
        return {"pdv": self._histogram.copy()}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return nothing: what a leg's worst packets took is in the latency tracker's values."""
        return {}
