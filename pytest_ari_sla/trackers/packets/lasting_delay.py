"""Delay that came at one moment and stayed: a queue at the target, not a network.

The shortest delay of a second knows no jitter. Where it rises and stays up, something waits in a queue that is not
emptied: chan_websocket, for one, hands on a frame every 20 ms, so that each burst is latency for the rest of the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["LastingDelayTracker"]

_NONE_NS = np.iinfo(np.int64).max
_SECOND_NS = 1_000_000_000
LASTING_NS = 200_000_000
"""A leg whose delay has risen by so much for two seconds is counted: some jitter buffers hold as much, none gives back
what has not come."""


class LastingDelayTracker:
    """Compares the shortest delay of the last two seconds with the shortest one that the leg ever had."""

    BYTES_PER_LEG = 4 * 8
    name = "lasting_delay"
    metrics: Sequence[Metric] = (
        Metric(
            "lasting_delay",
            "distribution",
            "s",
            "How much longer the shortest delay of two seconds became than the shortest of the call; one value a leg",
            title="Delay that came and stayed",
            label="Lasting delay",
        ),
        Metric(
            "lasting_delay.legs",
            "count",
            "count",
            "Legs whose delay rose by more than 200 ms, and stayed up for two seconds: a queue that is not emptied",
        ),
    )

    def begin(self, context: TrackerContext) -> None:
        """Start with no leg known."""
        self._histogram = Histogram()
        self._legs = 0
        self._least_ns, self._second_ns, self._before_ns = np.full((3, context.legs), _NONE_NS)
        self._risen_ns = np.full(context.legs, -1, np.int64)
        self._next_end_ns = 0

    def observe(self, batch: PacketBatch) -> None:
        """Take the shortest delay of each leg."""
        # 0: no probe, or one that the send log has forgotten.
        known = batch.sent_ns > 0
        np.minimum.at(self._second_ns, batch.leg[known], (batch.arrival_ns - batch.sent_ns)[known])

    def advance(self, now_ns: int) -> None:
        """Let a second end, if it is time."""
        if now_ns < self._next_end_ns:
            return
        # Time is told whenever a call ends as well: with many calls, two of those would be no two seconds.
        self._next_end_ns = now_ns + _SECOND_NS * 9 // 10
        floor_ns = np.where(self._before_ns < _NONE_NS, np.minimum(self._second_ns, self._before_ns), _NONE_NS)
        self._least_ns = np.minimum(self._least_ns, self._second_ns)
        known = (self._second_ns < _NONE_NS) & (floor_ns < _NONE_NS)
        # The lesser of two seconds: a rise that begins within one of them is not over before it is seen in both.
        risen_ns = np.where(known, np.where(floor_ns < _NONE_NS, floor_ns, 0) - self._least_ns, -1)
        was_up = self._risen_ns >= LASTING_NS
        self._risen_ns = np.maximum(self._risen_ns, risen_ns)
        self._legs += int(np.count_nonzero((self._risen_ns >= LASTING_NS) & ~was_up))
        heard = self._second_ns < _NONE_NS
        # A second without a packet says nothing: the one before it still stands.
        self._before_ns = np.where(heard, self._second_ns, self._before_ns)
        self._second_ns[:] = _NONE_NS

    def release(self, legs: NDArray[np.int32]) -> None:
        """Record what became of each leg, and forget it."""
        risen_ns = self._risen_ns[legs]
        self._histogram.record(risen_ns[risen_ns >= 0])
        for state in (self._least_ns, self._second_ns, self._before_ns):
            state[legs] = _NONE_NS
        self._risen_ns[legs] = -1

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all figures so far."""
        return {"lasting_delay": self._histogram, "lasting_delay.legs": self._legs}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return each leg's, in seconds."""
        return {"lasting_delay": np.where(self._risen_ns >= 0, self._risen_ns / 1e9, np.nan)}
