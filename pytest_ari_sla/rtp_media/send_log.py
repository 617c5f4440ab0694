"""What the send side knows of every probe, read out of the shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.frame_send_log import Departures
from pytest_ari_sla.media.loop.memory import NONE, Gauge
from pytest_ari_sla.media.loop.send_log import SlotSendLog
from pytest_ari_sla.rtp_media.memory import BURST_PART

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp_media.memory import MediaMemory

__all__ = ["MediaSendLog"]


class MediaSendLog(SlotSendLog):
    """The log of legs that leave in groups, by one system call."""

    _memory: MediaMemory

    def __init__(self, memory: MediaMemory) -> None:
        super().__init__(memory)
        self._window = memory.layout.burst_window
        self._mask = self._window - 1
        self._not_sent_read = 0
        self._turns_read = np.zeros(memory.layout.cycle, np.int64)

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes were really sent.

        Of one older than the window that is not known where its leg has failed to send: it counts as not sent then, so
        that nobody is blamed for it.
        """
        record = self._memory.legs
        turns = record["first_turn"][legs] + probes
        not_noted = self._memory.unsent_turn[turns & self._mask, legs] != _noted(turns)
        is_recent = self._memory.turns[record["slot"][legs]] - turns <= self._window
        was_sent: NDArray[np.bool_] = not_noted & (is_recent | (record["unsent"][legs] == 0))
        return was_sent

    def _times(self, legs: NDArray[np.int32], turns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return when legs' packets of these turns left and were due; 0 for what is forgotten, or did not leave."""
        memory, record = self._memory, self._memory.legs
        # The loop writes the place last, so reading it first never joins a new place with an old turn.
        place, group = record["place"][legs], record["group"][legs]
        is_before = turns < record["moved_turn"][legs]
        place = np.where(is_before, record["old_place"][legs], place)
        at = np.where(is_before, record["old_group"][legs], group) * self._window + (turns & self._mask)
        bursts = memory.bursts.reshape(-1)
        known = bursts["turn"][at] == turns
        sent_ns = np.where(known, _left_ns(bursts, at, place), 0)
        # Hardly any leg ever fails to send: the large table is left alone for all others.
        failing = np.flatnonzero(record["unsent"][legs])
        if len(failing):
            noted = memory.unsent_turn[turns[failing] & self._mask, legs[failing]]
            sent_ns[failing[noted == _noted(turns[failing])]] = 0
        return sent_ns, np.where(known, bursts["due_ns"][at], 0)

    def departures(self, until_ns: int = 1 << 62) -> Departures:
        """Return what became of every packet that was due since the last time and before ``until_ns``."""
        cycle = self._memory.layout.cycle
        turns = np.clip(self._turns_by(until_ns - 1, np.arange(cycle)), self._turns_read, self._memory.turns)
        not_sent = int(self._memory.gauges[Gauge.NOT_SENT])
        bursts = self._new_bursts(turns)
        new_not_sent = not_sent - self._not_sent_read
        self._turns_read, self._not_sent_read = turns, not_sent
        left = bursts["count"] - bursts["unsent"]
        at = np.repeat(np.arange(len(bursts)), left)
        place = np.arange(len(at)) - np.repeat(np.cumsum(left) - left, left)
        return Departures(_left_ns(bursts, at, place) - bursts["due_ns"][at], new_not_sent)

    def _new_bursts(self, turns: NDArray[np.int64]) -> NDArray[np.void]:
        """Return what all groups have sent since the last look; what the window has lost is lost."""
        groups = np.flatnonzero(self._memory.group_slot != NONE)
        slots = self._memory.group_slot[groups]
        end = turns[slots][:, None]
        # One turn less than the window: its oldest record may be the one that is being written over.
        begin = np.maximum(self._turns_read[slots][:, None], end - self._mask)
        wanted = begin + np.arange(max(int((end - begin).max(initial=0)), 0))
        bursts = self._memory.bursts[groups[:, None], wanted & self._mask]
        chosen: NDArray[np.void] = bursts[(wanted < end) & (bursts["turn"] == wanted)]
        return chosen


def _left_ns(bursts: NDArray[np.void], at: NDArray[np.intp], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when the packets at some places of bursts were handed to the kernel, or soon after."""
    part, row = np.divmod(place, BURST_PART)
    left_ns: NDArray[np.int64] = bursts["began_ns"][at] + bursts["part_ns"][at, part] + row * bursts["pace_ns"][at]
    return left_ns


def _noted(turns: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return how these turns are noted where a packet did not leave."""
    return (turns + 1).astype(np.uint32)
