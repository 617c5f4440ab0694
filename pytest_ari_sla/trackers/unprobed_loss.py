"""Loss on legs that hear no probes: audio that Asterisk mixes or transcodes.

What is missing among the sequence numbers received is lost; a number that turns up late is no loss. Sequence numbers
cannot tell of a stream that stops, or never starts. So a leg that is silent for longer than the loss limit has lost as
many packets as it has itself sent since then: of equal streams both ways, as many should have come. When the stream
goes on, its sequence numbers take the place of that estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.sequence import SequenceAccounting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["UnprobedLoss"]


class UnprobedLoss:
    """Follows the legs of a load whose ``heard_leg`` is -1; other legs are left out.

    Attributes
    ----------
    duplicates
        Sequence numbers received more than once.
    """

    BYTES_PER_LEG = SequenceAccounting.BYTES_PER_LEG + 4 * 8 + 1

    def __init__(self, context: TrackerContext) -> None:
        self._log = context.send_log
        self._is_ours = context.heard_leg < 0
        # Packets sent within the loss limit may still be answered.
        self._in_flight = -(-context.loss_limit_ns // context.packet_time_ns)
        self._accounting = SequenceAccounting(context.legs)
        self._received = np.zeros(context.legs, np.int64)
        self._missing = np.zeros(context.legs, np.int64)
        self._silent = np.zeros(context.legs, np.int64)
        self._sent_when_heard = np.zeros(context.legs, np.int64)
        self._heard_lately = np.zeros(context.legs, np.bool_)
        self._released_received = self._released_lost = 0
        self.duplicates = 0

    @property
    def received(self) -> int:
        """Packets received so far, copies not counted."""
        return self._released_received + int(self._received.sum())

    @property
    def lost(self) -> int:
        """Packets lost so far; an estimate for legs that are silent now."""
        return self._released_lost + int(self.lost_per_leg().sum())

    def received_per_leg(self) -> NDArray[np.int64]:
        """Return packets received since each leg's release: (legs,), 0 on legs that hear probes."""
        return self._received

    def lost_per_leg(self) -> NDArray[np.int64]:
        """Return packets lost since each leg's release: (legs,), 0 on legs that hear probes."""
        return self._missing + self._silent

    def observe(self, batch: PacketBatch) -> None:
        """Count what arrived."""
        change = self._accounting.update(batch.select(self._is_ours[batch.leg]))
        counts = np.bincount(batch.leg, minlength=len(self._received)) * self._is_ours
        self._received += counts
        self._received[change.legs] -= change.duplicates
        self._missing[change.legs] += change.missing - change.recovered
        self._heard_lately[change.legs] = True
        self.duplicates += int(change.duplicates.sum())

    def advance(self) -> None:
        """Look which legs have fallen silent."""
        sent = self._log.sent()
        self._sent_when_heard = np.where(self._heard_lately, sent, self._sent_when_heard)
        self._heard_lately[:] = False
        self._silent = np.maximum(sent - self._sent_when_heard - self._in_flight, 0) * self._is_ours

    def release(self, legs: NDArray[np.int32]) -> None:
        """Keep what these legs have counted, and forget their streams."""
        self.advance()
        self._released_received += int(self._received[legs].sum())
        self._released_lost += int(self.lost_per_leg()[legs].sum())
        for state in (self._received, self._missing, self._silent, self._sent_when_heard):
            state[legs] = 0
        self._accounting.reset(legs)
