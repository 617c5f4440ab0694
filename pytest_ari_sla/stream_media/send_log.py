"""What the send side knows of every frame of a stream, read out of the shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.frame_send_log import Departures
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.media.loop.send_log import SlotSendLog
from pytest_ari_sla.rtp.send_schedule import SLOT_NS
from pytest_ari_sla.stream_media.memory import StreamGauge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.stream_media.memory import StreamMemory

__all__ = ["StreamSendLog"]


class StreamSendLog(SlotSendLog):
    """The log of legs whose frames leave one by one."""

    _memory: StreamMemory

    def __init__(self, memory: StreamMemory) -> None:
        super().__init__(memory)
        self._window = memory.layout.window
        self._read = 0

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these frames were really sent.

        Of one older than the window that is not known where its leg has failed to send: it counts as not sent then, so
        that nobody is blamed for it.
        """
        record = self._memory.legs
        turns = record["first_turn"][legs] + probes
        left = self._memory.sent_ns[turns % self._window, legs] > 0
        was_sent: NDArray[np.bool_] = np.where(self._is_recent(legs, turns), left, record["unsent"][legs] == 0)
        return was_sent

    def _is_recent(self, legs: NDArray[np.int32], turns: NDArray[np.int64]) -> NDArray[np.bool_]:
        past = self._memory.turns[self._memory.legs["slot"][legs]]
        recent: NDArray[np.bool_] = past - turns <= self._window
        return recent

    def _times(self, legs: NDArray[np.int32], turns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return when legs' frames of these turns left and were due; 0 for what is forgotten, or did not leave."""
        memory = self._memory
        known = self._is_recent(legs, turns)
        sent_ns = np.where(known, memory.sent_ns[turns % self._window, legs], 0)
        slots = turns * memory.layout.cycle + memory.legs["slot"][legs]
        due_ns = np.where(known, int(memory.gauges[Gauge.ORIGIN_NS]) + slots * SLOT_NS, 0)
        return sent_ns, due_ns

    def departures(self, until_ns: int = 1 << 62) -> Departures:
        """Return what became of every frame that was due since the last time and before ``until_ns``."""
        memory = self._memory
        head, rows = int(memory.streams[StreamGauge.DEPARTURES]), memory.layout.log_rows
        first = max(self._read, head - rows)  # what was written over before we looked is lost
        log = memory.departures[np.arange(first, head) % rows]
        # Slots are logged in their order: what is due later comes later.
        count = int(np.searchsorted(log["due_ns"], until_ns))
        self._read = first + count
        due_ns, sent_ns = log["due_ns"][:count], log["sent_ns"][:count]
        left = sent_ns > 0
        return Departures((sent_ns - due_ns)[left], int(np.count_nonzero(~left)))
