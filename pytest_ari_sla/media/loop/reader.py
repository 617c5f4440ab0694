"""Reads what a media loop has received, in the time of the packets; the only one that moves the ring's tail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.loop.memory import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.media.loop.memory import LoopMemory
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["STAMP_TO_QUEUE_NS", "LoopReader"]

_NEVER_NS = 1 << 62

STAMP_TO_QUEUE_NS = 50_000_000
"""The kernel stamps a packet before it puts it into the socket; on a busy machine it may be interrupted in between."""


class LoopReader(ABC):
    """A :class:`~pytest_ari_sla.media.transport.FrameReader` of a loop's ring.

    Attributes
    ----------
    foreign, strangers
        Packets that no leg expects, and how many came from each address, where there are addresses.
    malformed
        What came for a leg and is not a packet.
    """

    def __init__(self, memory: LoopMemory) -> None:
        self._memory = memory
        self._known_ns = 0
        self._is_full = False
        self._arrival_ns = np.zeros(0, np.int64)
        self.foreign = 0
        self.strangers: Counter[str] = Counter()
        self.malformed = 0

    @abstractmethod
    def _batch(self, rows: slice, arrival_ns: NDArray[np.int64]) -> PacketBatch:
        """Return the packets of rows of the ring that are a leg's."""

    def look(self, *, to_the_end: bool = False) -> None:
        """Fix how far :meth:`batches` may read.

        Parameters
        ----------
        to_the_end
            Nothing more will come: read all there is.
        """
        # The loop writes the head first and these marks afterwards: read the other way round, both are true.
        drained_ns = self._memory.known_until_ns() - STAMP_TO_QUEUE_NS
        self._known_ns = _NEVER_NS if to_the_end else drained_ns
        gauges, rows = self._memory.gauges, self._memory.layout.ring_rows
        tail, head = int(gauges[Gauge.RING_TAIL]), int(gauges[Gauge.RING_HEAD])
        first, count = tail % rows, head - tail
        self._is_full = count >= rows
        self._arrival_ns = np.concatenate(
            (self._memory.arrival_ns(slice(first, first + count)), self._memory.arrival_ns(slice(first + count - rows)))
            if first + count > rows
            else (self._memory.arrival_ns(slice(first, first + count)),)
        )

    def batches(self, before_ns: int, most: int = 1 << 14) -> Iterator[PacketBatch]:
        """Yield what lies in front of the first packet that arrived at ``before_ns`` or that others may still precede.

        So it depends on when packets arrived where a batch ends, and not on when they are read. Batches are valid until
        the next one is asked for.
        """
        gauges, rows = self._memory.gauges, self._memory.layout.ring_rows
        left = self._in_front_of(min(before_ns, self._known_ns))
        if self._is_full and not left:
            # A socket waits for room, and all that lies here for news from it.
            left, self._is_full = len(self._arrival_ns), False
        while left:
            tail = int(gauges[Gauge.RING_TAIL])
            first = tail % rows
            count = min(left, rows - first, most)
            batch = self._batch(slice(first, first + count), self._arrival_ns[:count])
            self._arrival_ns = self._arrival_ns[count:]
            if len(batch):
                yield batch
            # Not before the batch has been used: from now on the loop may write over it.
            gauges[Gauge.RING_TAIL] = tail + count
            left -= count

    def _in_front_of(self, moment_ns: int) -> int:
        """Return how many waiting packets lie in front of the first one that arrived at a time, or later."""
        is_later = self._arrival_ns >= moment_ns
        return int(is_later.argmax()) if is_later.any() else len(is_later)  # where none is later, argmax would say 0

    def read_until(self, before_ns: int) -> int:
        """Return a time, at most ``before_ns``: what arrived before it has been read (ns since the Unix epoch)."""
        return min(before_ns, self._known_ns, int(self._arrival_ns.min(initial=_NEVER_NS)))

    def knows(self, moment_ns: int) -> bool:
        """Whether all that arrived before a time is in the ring, read or not."""
        return self._known_ns >= moment_ns
