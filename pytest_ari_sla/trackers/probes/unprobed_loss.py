"""Loss on legs that hear no probes: audio that Asterisk mixes or transcodes.

A sequence number that is missing for longer than the loss limit is lost; one that turns up before is not. Sequence
numbers cannot tell of a stream that stops, or never starts. So a leg that hears nothing for longer than the loss limit
loses a packet for each packet time: of equal streams both ways, as many should have come as it has sent. When the
stream goes on, with whatever source and numbers, what that silence has cost stays lost. A leg that hears nobody of
ours, but an application, loses nothing by silence: most applications send nothing while they say nothing. Nor does one
whose call may be over: its silence counts as far as there are other signs of life.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.sequence import SequenceAccounting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["UnprobedLoss"]


class UnprobedLoss:
    """Follows the legs of a load whose ``heard_leg`` is -1; other legs are left out. What is lost never falls.

    Attributes
    ----------
    duplicates
        Sequence numbers received more than once.
    """

    BYTES_PER_LEG = SequenceAccounting.BYTES_PER_LEG + 8 * 8 + 1

    def __init__(self, context: TrackerContext) -> None:
        self._log = context.send_log
        self._is_ours = context.heard_leg < 0
        hears_us = True if context.audio_legs is None else (context.audio_legs >= 0).any(axis=1)
        self._is_steady = self._is_ours & hears_us
        self._packet_time_ns = context.packet_time_ns
        self._limit_ns = context.loss_limit_ns
        self._alive_ns = context.alive_ns
        # Packets sent within the loss limit may still be answered.
        self._in_flight = -(-context.loss_limit_ns // context.packet_time_ns)
        self._accounting = SequenceAccounting(context.legs)
        self._received = np.zeros(context.legs, np.int64)
        # Numbers missing now, and how many there were at each look within the loss limit.
        self._missing = np.zeros(context.legs, np.int64)
        self._recovered = np.zeros(context.legs, np.int64)
        self._looks: deque[tuple[int, NDArray[np.int64]]] = deque()
        self._lost_numbers = np.zeros(context.legs, np.int64)
        # What silences that are over have cost, and the one that lasts.
        self._lost_in_silence = np.zeros(context.legs, np.int64)
        self._silent = np.zeros(context.legs, np.int64)
        self._heard_ns = np.zeros(context.legs, np.int64)
        self._sent_when_heard = np.zeros(context.legs, np.int64)
        self._heard_lately = np.zeros(context.legs, np.bool_)
        self._released_received = self._released_lost = 0
        self.duplicates = 0

    @property
    def received(self) -> int:
        """Packets received so far, copies and strays not counted."""
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
        return self._lost_numbers + self._lost_in_silence + self._silent

    def observe(self, batch: PacketBatch) -> None:
        """Count what arrived."""
        ours = batch.select(self._is_ours[batch.leg])
        for part, silence_ns in self._parts(ours):
            change = self._accounting.update(part)
            self._received[change.legs] += change.received
            self._recovered[change.legs] += change.recovered
            self.duplicates += int(change.duplicates.sum())
            # What a silence has cost is lost for good; only numbers beyond that are missing.
            cost = self._cost(change.legs, silence_ns)
            self._lost_in_silence[change.legs] += cost
            self._silent[change.legs] = 0
            self._missing[change.legs] += np.maximum(change.missing - cost, 0)
            self._heard_ns[part.leg] = part.arrival_ns
            self._heard_lately[change.legs] = True

    def _parts(self, batch: PacketBatch) -> Iterator[tuple[PacketBatch, int]]:
        """Cut a batch before and behind each packet that ends a leg's silence; yield parts, and the silence in ns."""
        groups = batch.by_leg
        heard_ns = np.empty_like(batch.arrival_ns)
        heard_ns[1:] = batch.arrival_ns[groups.order][:-1]
        heard_ns[groups.starts] = self._last_heard_ns()[groups.legs]
        silence_ns = np.empty_like(heard_ns)
        silence_ns[groups.order] = batch.arrival_ns[groups.order] - heard_ns
        begin = 0
        for row in np.flatnonzero(silence_ns > self._limit_ns).tolist():
            yield batch.select(slice(begin, row)), 0
            yield batch.select(slice(row, row + 1)), int(silence_ns[row])
            begin = row + 1
        yield batch.select(slice(begin, None)), 0

    def _last_heard_ns(self) -> NDArray[np.int64]:
        """Return when each leg has heard its last packet, or began to send; the end of time for legs not begun."""
        # Not when the audio began: legs of later calls say the same as the others, in the middle of it.
        every_leg = np.arange(len(self._heard_ns), dtype=np.int32)
        first_ns = self._log.due_ns(every_leg, np.zeros(len(every_leg), np.int64))
        begun_ns = np.where(self._log.due() > 0, first_ns, np.iinfo(np.int64).max // 2)
        return np.where(self._heard_ns > 0, self._heard_ns, begun_ns)

    def _cost(self, legs: NDArray[np.int32], silence_ns: int) -> NDArray[np.int64]:
        """Return how many packets were due to these legs in a silence, as far as they were sending."""
        due = max(silence_ns // self._packet_time_ns - 1, 0)  # - 1: the packet that ends the silence has come
        sent = np.where(self._is_steady, np.maximum(self._log.sent() - self._sent_when_heard, 0), 0)
        cost: NDArray[np.int64] = np.minimum(due, sent[legs])
        return cost

    def advance(self, now_ns: int) -> None:
        """Look which legs have fallen silent, and which numbers are missing for longer than the loss limit."""
        sent = self._log.sent()
        self._sent_when_heard = np.where(self._heard_lately, sent, self._sent_when_heard)
        self._heard_lately[:] = False
        until_ns = now_ns - self._limit_ns
        known_ns = until_ns if self._alive_ns is None else np.minimum(until_ns, self._alive_ns())
        due = (known_ns - self._last_heard_ns()) // self._packet_time_ns
        expected = np.minimum(due, sent - self._sent_when_heard - self._in_flight)
        # It only rises: what was told as lost is not taken back.
        self._silent = np.maximum(expected, self._silent) * self._is_steady
        self._looks.append((now_ns, self._missing.copy()))
        # The latest of the looks that are a loss limit old stays the first.
        while len(self._looks) > 1 and self._looks[1][0] <= now_ns - self._limit_ns:
            self._looks.popleft()
        looked_ns, missing = self._looks[0]
        if looked_ns <= now_ns - self._limit_ns:
            self._lost_numbers = np.maximum(self._lost_numbers, missing - self._recovered)

    def release(self, legs: NDArray[np.int32]) -> None:
        """Decide on all that is missing, keep what these legs have counted, and forget their streams."""
        self._lost_numbers[legs] = np.maximum(self._lost_numbers, self._missing - self._recovered)[legs]
        self._released_received += int(self._received[legs].sum())
        self._released_lost += int(self.lost_per_leg()[legs].sum())
        counts = (self._received, self._missing, self._recovered, self._lost_numbers, self._lost_in_silence)
        silence = (self._silent, self._heard_ns, self._sent_when_heard)
        for state in (*counts, *silence, *(missing for _, missing in self._looks)):
            state[legs] = 0
        self._accounting.reset(legs)
