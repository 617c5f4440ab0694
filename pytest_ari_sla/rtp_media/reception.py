"""What legs receive, as their RTCP tells their peers (RFC 3550, 6.4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.jitter import JitterEstimator
from pytest_ari_sla.rtp.rtcp import ReportBlock
from pytest_ari_sla.rtp.sequence import SequenceAccounting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["Reception"]

_MOST_LOST = (1 << 23) - 1  # a signed field of 24 bits (RFC 3550, 6.4.1)


class Reception:
    """Follows the stream of each leg; belongs to the measuring thread.

    Lost is what is missing and has not come late: copies, which RFC 3550 lets make up for lost packets, do not.

    Parameters
    ----------
    legs
        Number of legs.
    clock_rate_hz
        ((legs,) int64) Of the time stamps of each.
    packet_time_ns
        Between two packets.
    """

    def __init__(self, legs: int, clock_rate_hz: NDArray[np.int64], packet_time_ns: int) -> None:
        self._sequence = SequenceAccounting(legs)
        self._jitter = JitterEstimator(legs, clock_rate_hz, packet_time_ns)
        self._ssrc = np.zeros(legs, np.uint32)
        self._heard = np.zeros(legs, bool)
        self._missing = np.zeros(legs, np.int64)
        # (legs, 2): highest number and lost packets at the last report
        self._reported = np.zeros((legs, 2), np.int64)

    def observe(self, batch: PacketBatch) -> None:
        """Take in what has come."""
        if not len(batch):
            return
        change = self._sequence.update(batch)
        self._jitter.update(batch)
        groups = batch.by_leg
        self._ssrc[groups.legs] = batch.ssrc[groups.order[groups.starts + groups.counts - 1]]
        self._missing[change.legs] += change.missing - change.recovered
        anew = change.legs[(change.restarts > 0) | ~self._heard[change.legs]]
        if len(anew):
            self._begin(anew)

    def _begin(self, legs: NDArray[np.int32]) -> None:
        """Let streams begin, where a first packet has come or one of another source (RFC 3550, 8.2).

        What another source lacks already is not told of it.
        """
        self._missing[legs] = np.where(self._heard[legs], 0, self._missing[legs])
        # One before the first, which is expected as well (RFC 3550, A.3).
        self._reported[legs, 0] = self._sequence.first()[legs] - 1
        self._reported[legs, 1] = 0
        self._heard[legs] = True

    def release(self, leg: int) -> None:
        """Forget what a leg has received."""
        legs = np.array([leg], np.int32)
        self._sequence.reset(legs)
        self._jitter.reset(legs)
        for column in (self._ssrc, self._heard, self._missing, self._reported):
            column[leg] = 0

    def missing(self, leg: int) -> int:
        """Return how many packets of the present stream have not come."""
        return int(self._missing[leg])

    def report(self, leg: int, last_sr: int, delay_since_last_sr: int) -> ReportBlock | None:
        """Return what a report says of the stream that a leg receives, and count on from there; None without any."""
        if not self._heard[leg]:
            return None
        highest, lost = int(self._sequence.extended_highest()[leg]), int(self._missing[leg])
        expected, newly_lost = highest - int(self._reported[leg, 0]), lost - int(self._reported[leg, 1])
        self._reported[leg] = highest, lost
        # A.3, but all lost would be 256, which eight bits do not hold.
        fraction = min(255, (max(newly_lost, 0) << 8) // expected) if expected > 0 else 0
        jitter = self._jitter.jitter_ticks()[leg]
        return ReportBlock(
            ssrc=int(self._ssrc[leg]),
            fraction_lost=fraction,
            lost=min(lost, _MOST_LOST),
            extended_highest=highest % (1 << 32),
            jitter=0 if np.isnan(jitter) else int(jitter),
            last_sr=last_sr,
            delay_since_last_sr=delay_since_last_sr,
        )
