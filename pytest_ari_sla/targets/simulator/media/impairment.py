"""Impairments of the RTP that the simulator sends: loss, duplicates, disorder, delay."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.targets.simulator.faults import Faults

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MediaFaults"]

_SWAP_NS = 30_000_000  # longer than the time to the next packet of a stream, shorter than to the one after it
_MOST_WAIT_NS = 1_000_000_000
_SERVICE_SPREAD = 0.1


class MediaFaults:
    """Decides what becomes of packets that are about to be sent, and keeps those that are to be late.

    Parameters
    ----------
    faults
        What is to go wrong.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self._late: list[tuple[int, int, int, bytes]] = []
        self._numbers = count()
        self.set_faults(faults or Faults())

    def set_faults(self, faults: Faults) -> None:
        """Let these faults be shown from now on."""
        self._faults = faults
        self._random = np.random.default_rng(faults.seed)
        ratios = (faults.rtp_loss_ratio, faults.rtp_duplicate_ratio, faults.rtp_reorder_ratio)
        times_s = (faults.rtp_delay_s, faults.rtp_jitter_s, faults.rtp_service_s)
        self.active = any(ratios) or any(times_s)
        self._busy_until_ns = 0

    def copies(self, packets: int) -> NDArray[np.int64]:
        """(n,) How often each packet is to be sent: 0, 1 or 2."""
        lost = self._random.random(packets) < self._faults.rtp_loss_ratio
        doubled = self._random.random(packets) < self._faults.rtp_duplicate_ratio
        return np.where(lost, 0, np.where(doubled, 2, 1))

    def delays_ns(self, packets: int, now_ns: int) -> NDArray[np.int64]:
        """(n,) By how much each packet that is there now is to be late."""
        swapped = self._random.random(packets) < self._faults.rtp_reorder_ratio
        jitter_s = self._random.random(packets) * self._faults.rtp_jitter_s
        late_ns = (self._faults.rtp_delay_s + jitter_s) * 1e9
        return late_ns.astype(np.int64) + np.where(swapped, _SWAP_NS, 0) + self._waits_ns(packets, now_ns)

    def _waits_ns(self, packets: int, now_ns: int) -> NDArray[np.int64]:
        """(n,) How long each packet waits for the server, and is served."""
        if not self._faults.rtp_service_s or not packets:
            return np.zeros(packets, np.int64)
        spread = self._random.uniform(1 - _SERVICE_SPREAD, 1 + _SERVICE_SPREAD, packets)
        served_ns = np.cumsum(self._faults.rtp_service_s * 1e9 * spread).astype(np.int64)
        waits_ns = np.minimum(max(self._busy_until_ns - now_ns, 0) + served_ns, _MOST_WAIT_NS)
        self._busy_until_ns = now_ns + int(waits_ns[-1])
        return waits_ns

    def keep(self, due_ns: int, leg: int, datagram: bytes) -> None:
        """Keep a packet until its time has come."""
        # The number keeps packets of one time in their order, and spares the heap comparing their bytes.
        heapq.heappush(self._late, (due_ns, next(self._numbers), leg, datagram))

    def due(self, now_ns: int) -> list[tuple[int, bytes]]:
        """Return the packets whose time has come, in its order: leg and datagram."""
        ready = []
        while self._late and self._late[0][0] <= now_ns:
            _, _, leg, datagram = heapq.heappop(self._late)
            ready.append((leg, datagram))
        return ready

    def next_due_ns(self) -> int | None:
        """When to ask for :meth:`due` next; None while nothing is kept."""
        return self._late[0][0] if self._late else None
