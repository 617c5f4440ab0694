"""A tracker made of a function of one packet, for authors who do not want NumPy.

Python code for every single packet costs a microsecond or more, ten times what a tracker over arrays does. That is fine
for a hundred calls, and for trying an idea out; a tracker for thousands of calls works on whole batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["Packet", "PerPacketTracker"]


class Packet(NamedTuple):
    """One received packet, in plain Python; the attributes are those of :class:`~pytest_ari_sla.rtp.packet_batch`."""

    leg: int
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    arrival_ns: int
    source_leg: int
    probe: int
    sent_ns: int
    intended_ns: int
    payload: bytes


class PerPacketTracker:
    """Calls a function for every packet and keeps what it returns.

    Parameters
    ----------
    name
        Unique name of the tracker.
    metric
        What the values make up: a distribution, or a count.
    function
        Takes a :class:`Packet` and returns a value in the metric's unit (for a count: how many to add), or None where
        the packet says nothing. It should keep no state: every load works on a copy of the tracker, but a function is
        shared by all copies.

    Raises
    ------
    UsageError
        The metric is a ratio: declare its two counts instead.

    Examples
    --------
    >>> from pytest_ari_sla.metrics.metric import Metric
    >>> size = Metric("payload.size", "distribution", "B", "Bytes of payload", resolution=1)
    >>> tracker = PerPacketTracker("payload size", size, lambda packet: len(packet.payload))
    """

    def __init__(self, name: str, metric: Metric, function: Callable[[Packet], float | None]) -> None:
        if metric.kind == "ratio":
            raise UsageError(f"metric {metric.name} is a ratio: a tracker keeps the two counts that it is made of")
        self.name = name
        self.metrics: Sequence[Metric] = (metric,)
        self._metric = metric
        self._function = function
        self._kept: Histogram | int = 0

    def begin(self, context: TrackerContext) -> None:
        """Start from nothing."""
        self._kept = Histogram() if self._metric.kind == "distribution" else 0

    def observe(self, batch: PacketBatch) -> None:
        """Call the function for each packet."""
        values = [value for packet in _packets(batch) if (value := self._function(packet)) is not None]
        if isinstance(self._kept, Histogram):
            steps = np.rint(np.array(values, np.float64) / self._metric.resolution)
            self._kept.record(steps.astype(np.int64))
        else:
            self._kept += int(sum(values))

    def advance(self, now_ns: int) -> None:
        """Nothing happens between packets."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """No state is kept for a leg."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all values so far, under the metric's name."""
        return {self._metric.name: self._kept}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Nothing is known of single legs."""
        return {}


def _packets(batch: PacketBatch) -> Iterator[Packet]:
    """Give the rows of a batch as objects."""
    columns = [getattr(batch, name).tolist() for name in Packet._fields[:-1]]
    payloads = (row[:length].tobytes() for row, length in zip(batch.payload, batch.payload_length, strict=True))
    return map(Packet, *columns, payloads)
