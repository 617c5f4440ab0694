"""How many packets were lost before each that came: what tells a gap in somebody's speech from a silence.

Told by sequence numbers (RFC 3550, 5.1), for all legs at once. A sender that is silent by sending nothing goes on with
the next number; the numbers of what was lost are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.sequence import MAX_DROPOUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["LostPackets"]

_CYCLE = 1 << 16  # sequence numbers have 16 bits


class LostPackets:
    """Follows the sequence numbers of any number of legs.

    A step of `MAX_DROPOUT` numbers or more, or another SSRC, is another stream and not loss. What comes late has been
    counted by then.

    Parameters
    ----------
    legs
        How many.
    """

    def __init__(self, legs: int) -> None:
        self._known = np.zeros(legs, bool)
        self._ssrc = np.zeros(legs, np.uint32)
        self._latest = np.zeros(legs, np.int64)
        # By how many numbers the highest one is ahead of the latest, which came late.
        self._ahead = np.zeros(legs, np.int64)
        self._lost = np.zeros(legs, np.int64)

    def count(self, batch: PacketBatch) -> NDArray[np.int64]:
        """Take in a batch; return how many packets of its leg were lost before each of its packets came: (n,)."""
        groups = batch.by_leg
        order, starts, legs = groups.order, groups.starts, groups.legs
        sequence, ssrc = batch.sequence[order].astype(np.int64), batch.ssrc[order]
        before, source = np.roll(sequence, 1), np.roll(ssrc, 1)
        before[starts], source[starts] = self._latest[legs], self._ssrc[legs]
        # Modulo 2**16, so that a wrap-around is a step like all others; -32768 to 32767.
        step = (sequence - before + _CYCLE // 2) % _CYCLE - _CYCLE // 2
        goes_on = (np.abs(step) < MAX_DROPOUT) & (source == ssrc)
        goes_on[starts] &= self._known[legs]
        place = _sums(np.where(goes_on, step, 1), starts, groups.counts)
        ahead = np.repeat(self._ahead[legs], groups.counts)
        highest = np.maximum(_running_maximum(place, groups.counts), ahead)
        lost = highest - np.roll(highest, 1) - 1
        lost[starts] = (highest - ahead)[starts] - 1
        lost = _sums(np.maximum(lost, 0), starts, groups.counts) + np.repeat(self._lost[legs], groups.counts)
        last = starts + groups.counts - 1
        self._known[legs], self._ssrc[legs], self._lost[legs] = True, ssrc[last], lost[last]
        self._latest[legs], self._ahead[legs] = sequence[last], highest[last] - place[last]
        counted = np.empty_like(lost)
        counted[order] = lost
        return counted

    def release(self, legs: NDArray[np.integer]) -> None:
        """Forget these legs: their numbers belong to other calls from now on."""
        self._known[legs] = False
        self._ahead[legs] = self._lost[legs] = 0


def _sums(values: NDArray[np.int64], starts: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the running sums of each group."""
    running = np.cumsum(values)
    sums: NDArray[np.int64] = running - np.repeat(running[starts] - values[starts], counts)
    return sums


def _running_maximum(places: NDArray[np.int64], counts: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the largest number of each group so far."""
    # Each group is lifted above all before it, so that one pass over all of them does.
    apart = int(np.ptp(places)) + 1 if len(places) else 0
    lifted = np.repeat(np.arange(len(counts)) * apart, counts)
    maximum: NDArray[np.int64] = np.maximum.accumulate(places + lifted) - lifted
    return maximum
