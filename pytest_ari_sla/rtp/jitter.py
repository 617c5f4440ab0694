"""Interarrival jitter (RFC 3550, 6.4.1 and A.8), without a loop over packets.

A.8 says, for every packet in order of arrival, ``J += (|D| - J) / 16`` with ``D = (Rj - Ri) - (Sj - Si)``: R is when a
packet arrived and S its RTP time stamp, both in ticks of the RTP clock. Over m packets of a stream this unrolls to

    J' = J (15/16)^m + sum over i of |D_i| / 16 (15/16)^(m-1-i)

which is a sum over a segment of an array. It differs from the loop by rounding only.

One thing the RFC does not say: time stamps that jump, as after a re-INVITE or a prompt, without a new SSRC. One such D
is as long as the jump, and would decay for minutes. It says nothing of the network, so it is counted and left out, as
analysers do. A packet that is late is told from a jump by its sequence number, which explains its time stamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import LegGrouping, PacketBatch

__all__ = ["CLOCK_TOLERANCE", "JUMP_NS", "TELEPHONE_EVENT", "JitterEstimator"]

TELEPHONE_EVENT = 101
"""Payload type that Asterisk uses for telephone-event: all packets of a digit repeat one time stamp (RFC 4733)."""

JUMP_NS = 500_000_000
"""A time stamp that is off by more than this, by sequence number and by arrival, has jumped."""

CLOCK_TOLERANCE = 0.1
"""Time stamps that are off by a larger share than this run by another clock: clocks drift by a ten-thousandth."""

_LEAST_SPAN_NS = 1_000_000_000
"""A stream must be so long before the speed of its time stamps can be told."""

_GAIN = 1 / 16  # RFC 3550, 6.4.1: a good noise reduction at a reasonable rate of convergence
# Weights by age. Beyond the table a packet's weight is below 1e-28: what is left of it is no tick.
_DECAY = np.power(1 - _GAIN, np.arange(1024), dtype=np.float64)

_STATE = np.dtype(
    [
        ("known", "?"),
        ("measured", "?"),
        ("sequence", "u2"),
        ("ssrc", "u4"),
        ("timestamp", "u4"),
        ("arrival_ns", "i8"),
        ("jitter", "f8"),
        # What the present source has advanced by, jumps left out.
        ("ticks", "i8"),
        ("elapsed_ns", "i8"),
        ("numbers", "i8"),
    ],
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
    packet_time_ns
        Time between two packets of a stream.
    excluded_payload_types
        Payload types whose packets do not count.

    Attributes
    ----------
    jumps
        Time stamps that jumped within one source.
    """

    BYTES_PER_LEG = _STATE.itemsize

    def __init__(
        self,
        legs: int,
        clock_rate_hz: int | NDArray[np.int64],
        packet_time_ns: int = 20_000_000,
        excluded_payload_types: Collection[int] = (TELEPHONE_EVENT,),
    ) -> None:
        rates = np.unique(clock_rate_hz)
        # One number where there is one rate: that is cheaper for every packet.
        self._ticks_per_ns: float | NDArray[np.float64] = (rates[0] if len(rates) == 1 else clock_rate_hz) / 1e9
        # A table, so that each packet costs one look-up.
        self._is_excluded = np.zeros(256, bool)
        self._is_excluded[list(excluded_payload_types)] = True
        self._packet_time_ns = packet_time_ns
        self._state = np.zeros(legs, _STATE)
        self.jumps = 0

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget the streams of these legs."""
        self._state[legs] = 0

    def jitter_ticks(self) -> NDArray[np.float64]:
        """Return the jitter now, in ticks of the RTP clock: (legs,), NaN before a second packet."""
        return np.where(self._state["measured"], self._state["jitter"], np.nan)

    def jitter_ns(self) -> NDArray[np.float64]:
        """Return the jitter now: (legs,), NaN before a second packet."""
        return self.jitter_ticks() / self._ticks_per_ns

    def clock_speed(self) -> NDArray[np.float64]:
        """Return how fast each leg's time stamps run against its RTP clock: (legs,), 1 is right, NaN before it shows.

        A stream that is held up on its way is not slow, and one of longer packets is not fast: both the time and the
        sequence numbers must say so.
        """
        state = self._state
        elapsed = state["elapsed_ns"] * self._ticks_per_ns
        due = state["numbers"] * self._packet_time_ns * self._ticks_per_ns
        is_known = (state["elapsed_ns"] >= _LEAST_SPAN_NS) & (due > 0)
        by_time, by_number = (
            np.divide(state["ticks"], clock, out=np.full(len(state), np.nan), where=is_known)
            for clock in (elapsed, due)
        )
        is_off = (abs(by_time - 1) > CLOCK_TOLERANCE) & (abs(by_number - 1) > CLOCK_TOLERANCE)
        return np.where(is_off | np.isnan(by_time), by_time, 1.0)

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
        steps = self._steps(groups, batch)
        begins = _last_source_begins(groups, ssrc)
        is_new = ~state["known"][legs] | (state["ssrc"][legs] != ssrc[starts]) | (begins != starts)
        deviation = steps.deviation
        jumped = self._jumps(steps)
        # The first packet of a source has none before it; what came from another source counts no more.
        deviation[begins[is_new]] = 0
        deviation[jumped] = 0
        # Packets that a leg got after it: each of them weakens it by 15/16.
        ages = np.repeat(last, groups.counts) - np.arange(len(batch))
        weighted = deviation * _decay(ages)
        # The same object says that no leg had a change of its source: the usual case.
        if begins is not starts:
            weighted[np.arange(len(batch)) < np.repeat(begins, groups.counts)] = 0
        before = np.where(is_new, 0, state["jitter"][legs])
        state["jitter"][legs] = before * _decay(groups.counts) + np.add.reduceat(weighted, starts) * _GAIN
        state["measured"][legs] = ~is_new | (last > begins)
        self._advance(groups, steps, begins, is_new, jumped)
        state["known"][legs] = True
        state["ssrc"][legs] = ssrc[last]

    def _steps(self, groups: LegGrouping, batch: PacketBatch) -> _Steps:
        """Return how each packet differs from the one before it, (n,) sorted by leg."""
        order, starts, legs, state = groups.order, groups.starts, groups.legs, self._state
        columns = []
        for name in ("timestamp", "sequence", "arrival_ns"):
            column: NDArray[Any] = getattr(batch, name)[order]
            step = np.empty_like(column)
            np.subtract(column[1:], column[:-1], out=step[1:])
            step[starts] = column[starts] - state[name][legs]
            state[name][legs] = column[starts + groups.counts - 1]
            columns.append(step)
        timestamp, sequence, elapsed_ns = columns
        ticks_per_ns = self._ticks_per_ns
        if isinstance(ticks_per_ns, np.ndarray):
            ticks_per_ns = np.repeat(ticks_per_ns[legs], groups.counts)
        # As signed numbers, differences are right across the wrap-around of 32 and 16 bits.
        ticks, numbers = timestamp.view(np.int32), sequence.view(np.int16)
        return _Steps(ticks, numbers, elapsed_ns, np.abs(elapsed_ns * ticks_per_ns - ticks), ticks_per_ns)

    def _jumps(self, steps: _Steps) -> NDArray[np.intp]:
        """Return the rows whose time stamp has jumped, those of new sources among them."""
        limit = JUMP_NS * steps.ticks_per_ns
        rows = np.flatnonzero(steps.deviation > limit)
        if not len(rows):
            return rows
        per_number = self._packet_time_ns * steps.ticks_per_ns
        unexplained = np.abs(steps.ticks - steps.numbers * per_number)
        return rows[(unexplained > limit)[rows]]

    def _advance(
        self,
        groups: LegGrouping,
        steps: _Steps,
        begins: NDArray[np.intp],
        is_new: NDArray[np.bool_],
        jumped: NDArray[np.intp],
    ) -> None:
        """Add up what each leg's present source has advanced by."""
        legs = groups.legs.astype(np.intp)
        counts = np.ones(len(steps.ticks), np.bool_)
        counts[begins[is_new]] = False
        if begins is not groups.starts:
            counts &= np.arange(len(counts)) >= np.repeat(begins, groups.counts)
        self.jumps += int(np.count_nonzero(counts[jumped]))
        counts[jumped] = False
        for name, step in (("ticks", steps.ticks), ("elapsed_ns", steps.elapsed_ns), ("numbers", steps.numbers)):
            advanced = np.add.reduceat(np.where(counts, step, 0), groups.starts, dtype=np.int64)
            self._state[name][legs] = np.where(is_new, 0, self._state[name][legs]) + advanced


@dataclass(frozen=True, eq=False)
class _Steps:
    """From each packet's predecessor to itself, (n,) sorted by leg: meaningless where it has none.

    Attributes
    ----------
    ticks, numbers, elapsed_ns
        By time stamp (int32), sequence number (int16) and arrival (int64).
    deviation
        |D| of A.8, in ticks.
    ticks_per_ns
        Of all legs, or of each packet's.
    """

    ticks: NDArray[np.int32]
    numbers: NDArray[np.int16]
    elapsed_ns: NDArray[np.int64]
    deviation: NDArray[np.float64]
    ticks_per_ns: float | NDArray[np.float64]


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
