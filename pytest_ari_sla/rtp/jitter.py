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

    from pytest_ari_sla.rtp.packet_batch import LegGrouping, PacketBatch

__all__ = ["TELEPHONE_EVENT", "JitterEstimator"]

TELEPHONE_EVENT = 101
"""Payload type that Asterisk uses for telephone-event: all packets of a digit repeat one time stamp (RFC 4733)."""

_GAIN = 1 / 16
# Weights by age. Beyond the table a packet's weight is below 1e-28: what is left of it is no tick.
_DECAY = np.power(1 - _GAIN, np.arange(1024), dtype=np.float64)

_STATE = np.dtype(
    [("known", "?"), ("measured", "?"), ("ssrc", "u4"), ("timestamp", "u4"), ("arrival_ns", "i8"), ("jitter", "f8")],
    align=True,
)


class JitterEstimator:
    """The jitter of the stream that each leg receives; a new SSRC starts at 0 again.

    Parameters
    ----------
    legs
        Number of legs.
    clock_rate_hz
        Rate of the RTP time stamp, of all legs or ((legs,) int64) of each: 8000 for G.722, although it samples at 16000
        (RFC 3551, 4.5.2).
    excluded_payload_types
        Payload types whose packets do not count.
    """

    BYTES_PER_LEG = _STATE.itemsize

    def __init__(
        self,
        legs: int,
        clock_rate_hz: int | NDArray[np.int64],
        excluded_payload_types: Collection[int] = (TELEPHONE_EVENT,),
    ) -> None:
        rates = np.unique(clock_rate_hz)
        # One number where there is one rate: that is cheaper for every packet.
        self._ticks_per_ns: float | NDArray[np.float64] = (rates[0] if len(rates) == 1 else clock_rate_hz) / 1e9
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
        groups, state = batch.by_leg, self._state
        legs, starts = groups.legs.astype(np.intp), groups.starts
        last = starts + groups.counts - 1
        ssrc = batch.ssrc[groups.order]
        timestamp, arrival_ns = batch.timestamp[groups.order], batch.arrival_ns[groups.order]
        begins = _last_source_begins(groups, ssrc)
        is_new = ~state["known"][legs] | (state["ssrc"][legs] != ssrc[starts]) | (begins != starts)
        deviation = self._deviations(groups, timestamp, arrival_ns)
        # The first packet of a source has none before it; what came from another source counts no more.
        deviation[begins[is_new]] = 0
        ages = np.repeat(last, groups.counts) - np.arange(len(batch))
        weighted = deviation * _decay(ages)
        if begins is not starts:
            weighted[np.arange(len(batch)) < np.repeat(begins, groups.counts)] = 0
        before = np.where(is_new, 0, state["jitter"][legs])
        state["jitter"][legs] = before * _decay(groups.counts) + np.add.reduceat(weighted, starts) * _GAIN
        state["measured"][legs] = ~is_new | (last > begins)
        state["known"][legs] = True
        state["ssrc"][legs] = ssrc[last]
        state["timestamp"][legs] = timestamp[last]
        state["arrival_ns"][legs] = arrival_ns[last]

    def _deviations(
        self, groups: LegGrouping, timestamp: NDArray[np.uint32], arrival_ns: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return |D| in ticks of each packet against the one before it, (n,) sorted by leg."""
        ticks, elapsed_ns = np.empty_like(timestamp), np.empty_like(arrival_ns)
        np.subtract(timestamp[1:], timestamp[:-1], out=ticks[1:])
        np.subtract(arrival_ns[1:], arrival_ns[:-1], out=elapsed_ns[1:])
        starts = groups.starts
        ticks[starts] = timestamp[starts] - self._state["timestamp"][groups.legs]
        elapsed_ns[starts] = arrival_ns[starts] - self._state["arrival_ns"][groups.legs]
        # As a signed number, the difference is right across the wrap-around of 32 bits.
        ticks_per_ns = self._ticks_per_ns
        if isinstance(ticks_per_ns, np.ndarray):
            ticks_per_ns = np.repeat(ticks_per_ns[groups.legs], groups.counts)
        deviation: NDArray[np.float64] = np.abs(elapsed_ns * ticks_per_ns - ticks.view(np.int32))
        return deviation


def _last_source_begins(groups: LegGrouping, ssrc: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Return where, among packets sorted by leg, each leg's last source begins: at the leg's start, but for changes."""
    if (ssrc == np.repeat(ssrc[groups.starts], groups.counts)).all():
        return groups.starts
    changes = np.zeros(len(ssrc), bool)
    np.not_equal(ssrc[1:], ssrc[:-1], out=changes[1:])
    changes[groups.starts] = True
    rows = np.flatnonzero(changes)
    last: NDArray[np.intp] = rows[np.searchsorted(rows, groups.starts + groups.counts) - 1]
    return last


def _decay(ages: NDArray[np.int64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = _DECAY[np.minimum(ages, len(_DECAY) - 1)]
    return weights
