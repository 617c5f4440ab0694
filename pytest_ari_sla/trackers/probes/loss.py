"""Loss: what was really sent and did not come back in time, and how losses cluster.

Legs that hear probes are judged by them: a probe is lost when it was sent and no copy is back within the loss limit,
so that what this generator failed to send is nobody's loss, and sequence numbers, which Asterisk writes anew, play no
part. What found our own receive buffers full is nobody's loss either, in none of these figures. A loss belongs to the
second in which its packet was due.
The other legs are judged by the sequence numbers they receive (:mod:`pytest_ari_sla.trackers.probes.unprobed_loss`).

A duplicate is the same probe twice: Asterisk passes a doubled packet on under two sequence numbers. Only where there
are no probes, it is the same sequence number twice. (``sequence.duplicates`` counts the latter on all legs.)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.loss_patterns import GMIN, LossPatterns
from pytest_ari_sla.trackers.probes.probe_ring import ProbeRing
from pytest_ari_sla.trackers.probes.unprobed_loss import UnprobedLoss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.trackers.probes.probe_ring import Settlement

__all__ = ["NOTICEABLE_DISTANCE", "LossTracker"]

_SECOND_NS = 1_000_000_000

NOTICEABLE_DISTANCE = GMIN
"""RFC 3357's delta: a loss at most so many packets after the previous one is noticed as a disturbance."""


_CAPTURE = "a capture of the same load, tests/oracles/test_media.py"
_ORACLE = f"{_CAPTURE}; tshark, tests/asterisk/test_captures.py"
_BURSTS = "RFC 3611, 4.7.2"


def _count(name: str, description: str, source: str) -> Metric:
    return Metric(name, "count", "count", description, judges_loss=True, source=source, oracle=_CAPTURE)


def _ratio(name: str, numerator: str, denominator: str, description: str, source: str) -> Metric:
    return Metric(
        name,
        "ratio",
        "ratio",
        description,
        numerator=numerator,
        denominator=denominator,
        judges_loss=True,
        source=source,
        oracle=_CAPTURE,
    )


class LossTracker:
    """Counts sent, received and lost packets, duplicates, and the patterns of loss."""

    name = "loss"
    metrics = (
        Metric(
            "loss.sent",
            "count",
            "count",
            "Packets really sent whose fate is known",
            better="higher",
            oracle=_ORACLE,
        ),
        Metric(
            "loss.received",
            "count",
            "count",
            "Those that came back in time, copies not counted",
            better="higher",
            oracle=_CAPTURE,
        ),
        Metric("loss.dropped_here", "count", "count", "Those that came back and found our own receive buffer full"),
        Metric("loss.unknown", "count", "count", "Packets sent of which we cannot say whether they came back"),
        Metric(
            "loss.lost",
            "count",
            "count",
            "Those that did not come back within the loss limit, beyond our own drops",
            judges_loss=True,
            source="RFC 7680",
            oracle=_ORACLE,
            prominent=True,
            places=("worst calls",),
            rank=100,
            compared=(),
        ),
        Metric(
            "loss.ratio",
            "ratio",
            "ratio",
            "Lost packets of those really sent",
            numerator="loss.lost",
            denominator="loss.sent",
            judges_loss=True,
            source="RFC 7680",
            oracle=_ORACLE,
            prominent=True,
            # The console and the summary tell of lost packets in a line of their own.
            places=("tile", "timeline"),
            rank=100,
            title="Packet loss",
        ),
        _count("loss.bursts", f"Bursts of loss, Gmin {GMIN}", _BURSTS),
        _count("loss.burst_lost", "Packets lost within bursts", _BURSTS),
        _count("loss.burst_packets", "Length of all bursts in packets, received ones included", _BURSTS),
        _ratio("loss.burst_density", "loss.burst_lost", "loss.burst_packets", "Share lost within bursts", _BURSTS),
        _count("loss.periods", "Runs of consecutive lost packets", "RFC 3357, 4.2"),
        _count(
            "loss.noticeable", f"Losses at most {NOTICEABLE_DISTANCE} packets after the previous one", "RFC 3357, 5.1"
        ),
        _ratio("loss.noticeable_ratio", "loss.noticeable", "loss.lost", "Share of noticeable losses", "RFC 3357, 5.1"),
        Metric("duplicates", "count", "count", "Packets that came back more than once", oracle=_CAPTURE),
        Metric("misrouted", "count", "count", "Packets that reached a leg which should hear another one"),
    )

    def begin(self, context: TrackerContext) -> None:
        """Allocate a mark per probe of the window, for each leg."""
        self._ring = ProbeRing(context)
        self._patterns = LossPatterns(context.legs)
        self._unprobed = UnprobedLoss(context) if (context.heard_leg < 0).any() else None
        self._unprobed_seen = (0, 0)
        self._now_ns = 0
        self._limit_ns = context.loss_limit_ns
        self._began_ns = context.began_ns
        self._counts: Counter[str] = Counter()
        self._by_second: dict[int, Counter[str]] = defaultdict(Counter)
        self._sent = np.zeros(context.legs, np.int64)
        self._lost = np.zeros(context.legs, np.int64)

    @staticmethod
    def bytes_per_leg(probe_window: int) -> int:
        """Return the memory that a leg takes here."""
        unprobed = UnprobedLoss.BYTES_PER_LEG
        return ProbeRing.bytes_per_leg(probe_window) + LossPatterns.BYTES_PER_LEG + unprobed + 2 * 8

    def observe(self, batch: PacketBatch) -> None:
        """Mark the probes that are back."""
        if not len(batch):
            return
        if self._ring.lacks_room(batch):
            self._take(self._ring.make_room(batch))
        arrivals = self._ring.arrive(batch)
        self._counts["duplicates"] += arrivals.duplicates
        self._counts["misrouted"] += arrivals.misrouted
        if self._unprobed is not None:
            self._unprobed.observe(batch)

    def advance(self, now_ns: int) -> None:
        """Decide on the probes that were due a loss limit ago."""
        if self._unprobed is not None:
            # Now already: the ring itself looks after legs without probes have been explained.
            self._ring.drops.look()
            self._unprobed.advance(now_ns)
            self._take_unprobed(self._unprobed, now_ns)
        self._take(self._ring.settle(now_ns))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Decide on all that is open for these legs, and forget them."""
        self._take(self._ring.release(legs))
        self._patterns.reset(legs)
        self._sent[legs] = 0
        self._lost[legs] = 0
        if self._unprobed is not None:
            self._unprobed.release(legs)
            # A release has no time of its own: that of the last look.
            self._take_unprobed(self._unprobed, self._now_ns)

    def _take(self, settlement: Settlement) -> None:
        lost = settlement.lost()
        self._sent += settlement.sent
        self._lost += lost
        spread = self._patterns.update(settlement.lost_legs, settlement.lost_positions)
        self._count("loss.sent", settlement.sent_seconds)
        self._count("loss.lost", settlement.lost_seconds)
        self._count("loss.dropped_here", settlement.dropped_seconds)
        self._count("loss.unknown", settlement.unknown_seconds)
        self._count("loss.bursts", settlement.lost_seconds, spread.opens_burst)
        self._count("loss.burst_lost", settlement.lost_seconds, spread.burst_lost)
        self._count("loss.burst_packets", settlement.lost_seconds, spread.burst_packets)
        self._count("loss.periods", settlement.lost_seconds, spread.opens_period)
        is_noticeable = (spread.distance > 0) & (spread.distance <= NOTICEABLE_DISTANCE)
        self._count("loss.noticeable", settlement.lost_seconds, is_noticeable)

    def _count(self, name: str, seconds: NDArray[np.int64], each: NDArray[Any] | None = None) -> None:
        """Count packets, or what each of them adds ((k,)), under the second in which they were due ((k,))."""
        if not len(seconds):
            return
        first = int(seconds.min())
        for second, count in enumerate(np.bincount(seconds - first, each).tolist(), first):
            if count:
                self._counts[name] += int(count)
                self._by_second[second][name] += int(count)

    def _take_unprobed(self, unprobed: UnprobedLoss, now_ns: int) -> None:
        """Count what is new of legs without probes: missing for a loss limit, and received meanwhile."""
        received, missing = unprobed.received - self._unprobed_seen[0], unprobed.lost - self._unprobed_seen[1]
        self._unprobed_seen = (unprobed.received, unprobed.lost)
        self._now_ns = now_ns
        dropped = self._ring.drops.explain(missing)
        # What is found lost now has been missing for a loss limit.
        second = (now_ns - self._limit_ns - self._began_ns()) // _SECOND_NS
        new = {"loss.sent": received + missing, "loss.lost": missing - dropped, "loss.dropped_here": dropped}
        for name, count in new.items():
            self._counts[name] += count
            self._by_second[second][name] += count

    def take_dated(self) -> Sequence[tuple[int, Mapping[str, int]]]:
        """Return what has become known since the last time, by the middle of the second in which it was sent."""
        # Handed over, not copied: what was told is not kept, however long the load.
        by_second, self._by_second = self._by_second, defaultdict(Counter)
        middle_ns = self._began_ns() + _SECOND_NS // 2
        return [
            (middle_ns + second * _SECOND_NS, {**counts, "loss.received": counts["loss.sent"] - _missing(counts)})
            for second, counts in sorted(by_second.items())
        ]

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all counts since :meth:`begin`."""
        counts = self._counts.copy()
        counts["loss.received"] = counts["loss.sent"] - _missing(counts)
        if self._unprobed is not None:
            counts["duplicates"] += self._unprobed.duplicates
        return {metric.name: counts[metric.name] for metric in self.metrics if metric.kind == "count"}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return packets sent and lost, and the share lost, of each leg; NaN where nothing is known yet."""
        sent, lost = self._sent, self._lost
        if self._unprobed is not None:
            lost = lost + self._unprobed.lost_per_leg()
            sent = sent + self._unprobed.received_per_leg() + self._unprobed.lost_per_leg()
        is_known = sent > 0
        ratio = np.divide(lost, sent, out=np.full(len(sent), np.nan), where=is_known)
        return {
            "loss.sent": np.where(is_known, sent, np.nan),
            "loss.lost": np.where(is_known, lost, np.nan),
            "loss.ratio": ratio,
        }


def _missing(counts: Counter[str]) -> int:
    """Return how many packets did not get to us, whoever dropped them."""
    return counts["loss.lost"] + counts["loss.dropped_here"]
