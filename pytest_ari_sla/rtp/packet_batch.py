"""Many received RTP packets as a structure of arrays: what every tracker works on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LegGrouping", "PacketBatch"]

_LAST_SHORT = 0xFFFF


@dataclass(frozen=True)
class LegGrouping:
    """The packets of a batch sorted by leg, each leg's in order of arrival.

    Attributes
    ----------
    order
        (n,) intp. Row numbers of the batch, sorted by leg; stable, so that arrival order is kept.
    starts
        (g,) intp. Where each leg's run begins in ``order``: the indices for ``np.ufunc.reduceat``.
    counts
        (g,) intp. Length of each run.
    legs
        (g,) int32. The leg of each run; ascending, unique.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]
    legs: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PacketBatch:
    """Received RTP packets, one array element a packet, in order of arrival.

    A *leg* is one media end of ours: it sends one RTP stream and receives one. All arrays have the shape (n,) but
    ``payload``. They are views of memory that is used again: copy what must outlive the call that hands a batch over.

    Attributes
    ----------
    leg
        int32. The leg that received the packet.
    sequence
        uint16. RTP sequence number.
    timestamp
        uint32. RTP time stamp, in ticks of the codec's RTP clock.
    ssrc
        uint32. Synchronisation source.
    payload_type
        uint8. RTP payload type, 0 to 127.
    marker
        bool. The RTP marker bit.
    arrival_ns
        int64. When the kernel received it: ns since the Unix epoch (CLOCK_REALTIME).
    source_leg
        int32. The leg whose probe the payload carries; -1 without a probe.
    probe
        int64. Number of that probe among its sender's packets, from 0; -1 without a probe.
    sent_ns
        int64. When that probe was sent, ns since the Unix epoch; 0 where unknown (no probe, or its entry was freed).
    intended_ns
        int64. When the schedule wanted it sent, ns since the Unix epoch; 0 where unknown.
    payload
        uint8, shape (n, width). The payload; only the first ``payload_length`` bytes of a row count.
    payload_length
        int32. Bytes of payload.
    """

    leg: NDArray[np.int32]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    arrival_ns: NDArray[np.int64]
    source_leg: NDArray[np.int32]
    probe: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    intended_ns: NDArray[np.int64]
    payload: NDArray[np.uint8]
    payload_length: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.leg)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> PacketBatch:
        """Return the batch of the chosen rows (a mask, row numbers or a slice)."""
        return PacketBatch(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(batches: Sequence[PacketBatch]) -> PacketBatch:
        """Return one batch of the packets of several (at least one), whose payload rows are equally wide."""
        names = [field.name for field in fields(PacketBatch)]
        return PacketBatch(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in names))

    @cached_property
    def by_leg(self) -> LegGrouping:
        """The rows grouped by leg; computed once and shared by all trackers."""
        # NumPy sorts 16-bit numbers by radix: many times faster.
        keys = self.leg.astype(np.uint16) if self.leg.max(initial=0) <= _LAST_SHORT else self.leg
        order = np.argsort(keys, kind="stable")
        sorted_legs = self.leg[order]
        is_start = np.ones(len(order), bool)
        np.not_equal(sorted_legs[1:], sorted_legs[:-1], out=is_start[1:])
        starts = np.flatnonzero(is_start)
        return LegGrouping(order, starts, np.diff(starts, append=len(order)), sorted_legs[starts])

    @cached_property
    def probes_ascend(self) -> bool:
        """Whether each leg's probes are in ascending order: then none of them is there twice."""
        groups = self.by_leg
        steps = np.diff(self.probe[groups.order])
        steps[groups.starts[1:] - 1] = 1  # from one leg to the next there is nothing to compare
        return bool((steps > 0).all())
