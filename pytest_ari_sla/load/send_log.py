"""What the send side knows of every probe, read out of the shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.load.media_memory import MediaMemory

__all__ = ["MediaSendLog"]


class MediaSendLog:
    """A :class:`~pytest_ari_sla.hookspecs.SendLog` on a :class:`~pytest_ari_sla.load.media_memory.MediaMemory`.

    A leg that was released is hidden until the loop has set its counts to zero: a call of the same number must not
    inherit them.
    """

    def __init__(self, memory: MediaMemory, packet_time_ns: int) -> None:
        self._memory = memory
        self._packet_time_ns = packet_time_ns
        self._shown = np.ones(memory.layout.legs, bool)

    def hide(self, legs: NDArray[np.int32]) -> None:
        """Let the counts of these legs be 0, whatever the memory holds."""
        self._shown[legs] = False

    def show(self, leg: int) -> None:
        """Let a leg's counts be what the memory holds."""
        self._shown[leg] = True

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg really sent, so far."""
        return self._memory.sent * self._shown

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg's schedule has called for, so far."""
        return self._memory.due * self._shown

    def settled(self, now_ns: int, age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of probes of each leg that were due at least ``age_ns`` before ``now_ns``."""
        memory = self._memory
        elapsed_ns = now_ns - age_ns - memory.started_ns
        old = np.where(memory.started_ns > 0, elapsed_ns // self._packet_time_ns + 1, 0)
        return np.clip(old, 0, memory.due) * self._shown

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes (not older than the window) were really sent."""
        was_sent: NDArray[np.bool_] = self._memory.sent_ns[legs, probes & (self._memory.layout.probe_window - 1)] != 0
        return was_sent
