"""Sequence numbers as received: gaps, duplicates, reordering and restarts of the streams that Asterisk sends."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.sequence import SequenceAccounting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["SequenceTracker"]


class SequenceTracker:
    """Counts what the sequence numbers of received packets say."""

    name = "sequence"
    metrics = (
        Metric(
            "reordered",
            "count",
            "count",
            "Packets that arrived behind a later one (RFC 4737, 3.3)",
            oracle="a capture of the same load, tests/oracles/test_media.py",
        ),
        Metric(
            "sequence.drops", "count", "count", "Sequence numbers not there when a later one came", judges_loss=True
        ),
        Metric("sequence.recovered", "count", "count", "Those of them that came after all", better="higher"),
        Metric("sequence.duplicates", "count", "count", "Sequence numbers that arrived more than once"),
        Metric("sequence.restarts", "count", "count", "Streams that began anew: another SSRC, or a jump of numbers"),
        Metric(
            "sequence.strays",
            "count",
            "count",
            "Single packets of another SSRC, or far out of sequence, with which nothing went on (RFC 3550, A.1)",
        ),
    )
    BYTES_PER_LEG = SequenceAccounting.BYTES_PER_LEG

    def begin(self, context: TrackerContext) -> None:
        """Start without any stream."""
        self._accounting = SequenceAccounting(context.legs)
        # All from the beginning: a count that is missing has no value, one of 0 has.
        self._counts: Counter[str] = Counter({metric.name: 0 for metric in self.metrics})

    def observe(self, batch: PacketBatch) -> None:
        """Count the batch's gaps, duplicates, late packets and restarts."""
        change = self._accounting.update(batch)
        self._counts["reordered"] += int(change.reordered.sum())
        self._counts["sequence.drops"] += int(change.missing.sum())
        self._counts["sequence.recovered"] += int(change.recovered.sum())
        self._counts["sequence.duplicates"] += int(change.duplicates.sum())
        self._counts["sequence.restarts"] += int(change.restarts.sum())
        self._counts["sequence.strays"] += int(change.strays.sum())

    def advance(self, now_ns: int) -> None:
        """Sequence numbers do not depend on the time."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget the streams of these legs."""
        self._accounting.reset(legs)

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all counts since :meth:`begin`."""
        return dict(self._counts)

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return nothing: drops of single legs are in the loss tracker's values."""
        return {}
