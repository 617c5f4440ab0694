"""Sequence numbers as they arrive: what is missing, doubled or out of order, for all legs at once.

This accounting knows no probation: the first packet counts, because each is one that somebody's SLA pays for. (The
receiver of RFC 3550, A.1, which discards the first one, is in :mod:`pytest_ari_sla.rtp.source_validation`.)

Legs whose packets of a batch are in order, with or without gaps, are taken in a few array operations together. A leg
with a duplicate, a late packet or a restart in the batch is stepped through packet by packet. The result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import LegGrouping, PacketBatch

__all__ = ["MAX_DROPOUT", "WINDOW", "SequenceAccounting", "SequenceChange"]

MAX_DROPOUT = 3000
"""A step forward of so many numbers or more is a new start, not loss (RFC 3550, A.1)."""

WINDOW = 64
"""So many numbers back, a packet is told apart as late or as a duplicate; one further behind is a new start."""

_CYCLE = 1 << 16
_WINDOW_MASK = (1 << WINDOW) - 1

# Read and written by column: NumPy copies whole records at 50 ns each, single aligned fields at 2 ns.
_STATE = np.dtype([("known", "?"), ("ssrc", "u4"), ("first", "i8"), ("highest", "i8"), ("seen", "u8")], align=True)


@dataclass(frozen=True, eq=False)
class SequenceChange:
    """What one batch has brought: events of this batch, never running totals.

    A number that is missing counts in ``missing`` when a later one arrives, and in ``recovered`` if it arrives after
    all; the difference is what was dropped.

    Attributes
    ----------
    legs
        (g,) int32. The legs that had packets.
    missing, recovered, duplicates, reordered
        (g,) int64. Numbers newly found missing; late packets that fill such a gap; packets seen before; packets behind
        one with a higher number (RFC 4737, 3.3).
    restarts
        (g,) int64. Changes of the SSRC, and jumps too wide to be loss or reordering.
    """

    legs: NDArray[np.int32]
    missing: NDArray[np.int64]
    recovered: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    reordered: NDArray[np.int64]
    restarts: NDArray[np.int64]

    @classmethod
    def of_nothing(cls, legs: NDArray[np.int32]) -> SequenceChange:
        """Return a change in which nothing has happened yet."""
        return cls(legs, *np.zeros((5, len(legs)), np.int64))


class SequenceAccounting:
    """Follows the stream that each leg receives.

    Exact for any split of the packets into batches. A change of SSRC, or a jump of ``MAX_DROPOUT`` numbers forward or
    ``WINDOW`` back, starts the stream anew: nothing is missing between the two.
    """

    BYTES_PER_LEG = _STATE.itemsize

    def __init__(self, legs: int) -> None:
        self._state = np.zeros(legs, _STATE)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget what these legs received."""
        self._state[legs] = 0

    def extended_highest(self) -> NDArray[np.int64]:
        """Return each leg's highest number, counted on where 16 bits wrap around: (legs,), 0 before a first packet."""
        return self._state["highest"].copy()

    def update(self, batch: PacketBatch) -> SequenceChange:
        """Take in a batch and tell what it has brought."""
        groups = batch.by_leg
        change = SequenceChange.of_nothing(groups.legs)
        if not len(batch):
            return change
        sequence = batch.sequence[groups.order].astype(np.int64)
        ssrc = batch.ssrc[groups.order]
        for group in np.flatnonzero(~self._take_in_order(groups, sequence, ssrc, change)).tolist():
            run = slice(groups.starts[group], groups.starts[group] + groups.counts[group])
            self._step_through(group, sequence[run].tolist(), ssrc[run].tolist(), change)
        return change

    def _take_in_order(
        self, groups: LegGrouping, sequence: NDArray[np.int64], ssrc: NDArray[np.uint32], change: SequenceChange
    ) -> NDArray[np.bool_]:
        """Take in all legs whose packets only go forward; return the (g,) mask of these."""
        starts, counts, legs = groups.starts, groups.counts, groups.legs.astype(np.intp)
        source, first = ssrc[starts], sequence[starts]
        known = self._state["known"][legs]
        continues = known & (self._state["ssrc"][legs] == source)
        # A new stream is in order from its first packet on: as if the number before had been received.
        base = np.where(continues, self._state["highest"][legs], first - 1)
        previous = np.empty_like(sequence)
        previous[1:] = sequence[:-1]
        previous[starts] = base
        step = (sequence - previous) & (_CYCLE - 1)
        forward = (step > 0) & (step < MAX_DROPOUT) & (ssrc == np.repeat(source, counts))
        in_order: NDArray[np.bool_] = np.logical_and.reduceat(forward, starts)

        running = np.cumsum(step)
        last = running[starts + counts - 1]
        advance = last - running[starts] + step[starts]
        seen = _shift(np.where(continues, self._state["seen"][legs], np.uint64(0)), advance)
        seen |= np.bitwise_or.reduceat(_shift(np.uint64(1), np.repeat(last, counts) - running), starts)

        np.copyto(change.missing, advance - counts, where=in_order)
        self._keep(legs[in_order], highest=(base + advance)[in_order], seen=seen[in_order])
        begins = in_order & ~continues
        if begins.any():
            change.restarts[begins] = known[begins]
            self._keep(legs[begins], known=True, ssrc=source[begins], first=first[begins])
        return in_order

    def _keep(self, legs: NDArray[np.intp], **columns: NDArray[Any] | bool) -> None:
        for name, column in columns.items():
            self._state[name][legs] = column

    def _step_through(self, group: int, sequence: list[int], ssrc: list[int], change: SequenceChange) -> None:
        """Take in one leg's packets one after the other."""
        leg = change.legs[group]
        known, source, first, highest, seen = self._state[leg].item()
        for number, packet_source in zip(sequence, ssrc, strict=True):
            step = (number - highest + _CYCLE // 2) % _CYCLE - _CYCLE // 2
            if not known or packet_source != source or not -WINDOW < step < MAX_DROPOUT:
                change.restarts[group] += known
                known, source, first, highest, seen = True, packet_source, number, number, 1
            elif step > 0:
                change.missing[group] += step - 1
                highest, seen = highest + step, (seen << step | 1) & _WINDOW_MASK
            elif seen >> -step & 1:
                change.duplicates[group] += 1
            else:
                change.reordered[group] += 1
                seen |= 1 << -step
                # Sent before the first one that arrived: what lies between is missing, so far.
                gap = first - (highest + step)
                change.missing[group] += max(gap - 1, 0)
                change.recovered[group] += gap < 0
                first -= max(gap, 0)
        self._state[leg] = (known, source, first, highest, seen)


def _shift(bits: NDArray[np.uint64] | np.uint64, by: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Shift left; a shift by the whole word or more gives 0 (and not what the processor makes of it)."""
    shifted: NDArray[np.uint64] = np.where(
        by < WINDOW, bits << np.minimum(by, WINDOW - 1).astype(np.uint64), np.uint64(0)
    )
    return shifted
