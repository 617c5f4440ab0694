"""Interarrival jitter (RFC 3550, 6.4.1 and A.8), without a loop over packets.

A.8 says, for every packet in order of arrival, ``J += (|D| - J) / 16`` with ``D = (Rj - Ri) - (Sj - Si)``: R is when a
packet arrived and S its RTP time stamp, both in ticks of the RTP clock. Over m packets of a stream this unrolls to

    J' = J (15/16)^m + sum over i of |D_i| / 16 (15/16)^(m-1-i)

which is a sum over a segment of an array. It differs from the loop by rounding only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["TELEPHONE_EVENT", "JitterEstimator"]

TELEPHONE_EVENT = 101
"""Payload type that Asterisk uses for telephone-event: all packets of a digit repeat one time stamp (RFC 4733)."""

_GAIN = 1 / 16
# Weights by age. Beyond the table a packet's weight is below 1e-28: what is left of it is no tick.
_DECAY = np.power(1 - _GAIN, np.arange(1024), dtype=np.float64)

_STATE = np.dtype(
    [("known", "?"), ("measured", "?"), ("ssrc", "u4"), ("timestamp", "u4"), ("arrival_ns", "i8"), ("jitter", "f8")]
)


class JitterEstimator:
    """The jitter of the stream that each leg receives; a new SSRC starts at 0 again.

    Parameters
    ----------
    legs
        Number of legs.
    clock_rate_hz
        Rate of the RTP time stamp: 8000 for G.722, although it samples at 16000 (RFC 3551, 4.5.2).
    excluded_payload_types
        Payload types whose packets do not count.
    """

    BYTES_PER_LEG = _STATE.itemsize

    def __init__(
        self, legs: int, clock_rate_hz: int, excluded_payload_types: Collection[int] = (TELEPHONE_EVENT,)
    ) -> None:
        self._ticks_per_ns = clock_rate_hz / 1e9
        self._is_excluded = np.zeros(256, bool)
        self._is_excluded[list(excluded_payload_types)] = True
        self._state = np.zeros(legs, _STATE)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget the streams of these legs."""
        self._state[legs] = 0

    def jitter_ticks(self) -> NDArray[np.float64]:
        """Return the jitter now, in ticks of the RTP clock: (legs,), NaN before a second packet."""
        return np.where(self._state["measured"], self._state["jitter"], np.nan)

    def jitter_ns(self) -> NDArray[np.float64]:
        """Return the jitter now: (legs,), NaN before a second packet."""
        return self.jitter_ticks() / self._ticks_per_ns

    def update(self, batch: PacketBatch) -> None:
        """Take in a batch."""
        is_excluded = self._is_excluded[batch.payload_type]
        if is_excluded.any():
            batch = batch.select(~is_excluded)
        if len(batch):
            self._update(batch)

    def _update(self, batch: PacketBatch) -> None:
        groups = batch.by_leg
        state = self._state[groups.legs]
        ssrc = batch.ssrc[groups.order]
        continues = state["known"] & (state["ssrc"] == ssrc[groups.starts])
        # A segment is what a leg received from one source without a break: mostly all that it received.
        begins = np.zeros(len(batch), bool)
        np.not_equal(ssrc[1:], ssrc[:-1], out=begins[1:])
        begins[groups.starts] = ~continues
        deviation = self._deviations(batch, state)
        deviation[begins] = 0
        begins[groups.starts] = True
        starts = np.flatnonzero(begins)
        counts = np.diff(starts, append=len(batch))
        ages = np.repeat(starts + counts - 1, counts) - np.arange(len(batch))
        sums = np.add.reduceat(deviation * _decay(ages), starts) * _GAIN
        # Each leg's last segment is the one that goes on.
        last = np.cumsum(begins)[groups.starts + groups.counts - 1] - 1
        carried = continues & (starts[last] == groups.starts)
        length = counts[last]
        state["jitter"] = np.where(carried, state["jitter"] * _decay(length), 0) + sums[last]
        state["measured"] = carried | (length > 1)
        self._keep_last(batch, state)

    def _deviations(self, batch: PacketBatch, state: NDArray[np.void]) -> NDArray[np.float64]:
        """Return |D| in ticks of each packet against the one before it, (n,) sorted by leg."""
        groups = batch.by_leg
        arrival = batch.arrival_ns[groups.order]
        timestamp = batch.timestamp[groups.order]
        arrival_before, timestamp_before = np.empty_like(arrival), np.empty_like(timestamp)
        arrival_before[1:], timestamp_before[1:] = arrival[:-1], timestamp[:-1]
        arrival_before[groups.starts], timestamp_before[groups.starts] = state["arrival_ns"], state["timestamp"]
        # As a signed number, the difference is right across the wrap-around of 32 bits.
        ticks = (timestamp - timestamp_before).view(np.int32)
        deviation: NDArray[np.float64] = np.abs((arrival - arrival_before) * self._ticks_per_ns - ticks)
        return deviation

    def _keep_last(self, batch: PacketBatch, state: NDArray[np.void]) -> None:
        groups = batch.by_leg
        last = groups.order[groups.starts + groups.counts - 1]
        state["known"] = True
        state["ssrc"], state["timestamp"] = batch.ssrc[last], batch.timestamp[last]
        state["arrival_ns"] = batch.arrival_ns[last]
        self._state[groups.legs] = state


def _decay(ages: NDArray[np.int64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = _DECAY[np.minimum(ages, len(_DECAY) - 1)]
    return weights
