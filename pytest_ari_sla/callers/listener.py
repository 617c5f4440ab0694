"""Hears what arrives on the legs of scripted callers; runs in the measuring thread, on whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.callers.detector import BLOCK_NS, SpeechDetector, levels_db
from pytest_ari_sla.callers.lost_packets import LostPackets
from pytest_ari_sla.trackers.audio.sampling import decode_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.callers.clipping import LevelMemory
    from pytest_ari_sla.callers.detector import SpeechChange
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

    _Blocks = tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64] | None]

__all__ = ["SpeechListener"]

_BLOCKS_PER_S = 1_000_000_000 // BLOCK_NS
_JITTER_NS = 100_000_000
"""By so much more than the time in which nothing came may have been lost: packets do not come evenly."""


class SpeechListener:
    """Turns packets into the beginnings and ends of speech.

    Parameters
    ----------
    codec
        What the legs hear.
    legs
        How many there are.
    tell
        Called with what has changed on any leg, in order; never with nothing.
    memory
        Where it is kept how loud all was; None: nowhere.
    """

    def __init__(
        self,
        codec: Codec,
        legs: int,
        tell: Callable[[list[SpeechChange]], None],
        memory: LevelMemory | None = None,
    ) -> None:
        self._codec = codec
        self._detector = SpeechDetector(legs)
        self._memory = memory
        self._packets = LostPackets(legs)
        # By leg: until when audio came, and how many packets had been lost by then.
        self._heard_until_ns = np.zeros(legs, np.int64)
        self._lost_by_then = np.zeros(legs, np.int64)
        self._tell = tell
        self._block_samples = codec.sample_rate_hz // _BLOCKS_PER_S

    def observe(self, batch: PacketBatch) -> None:
        """Take in a batch; packets of one leg come in order of arrival."""
        changes = []
        # The detector takes a leg once at a time: its blocks depend on those before.
        for legs, at_ns, levels, lost_ns in self._blocks(batch):
            changes += self._detector.hear(legs, at_ns, levels, lost_ns)
            if self._memory is not None:
                self._memory.keep(legs, at_ns, levels)
        if changes:
            self._tell(changes)

    def advance(self, now_ns: int) -> None:
        """Let time pass; all that arrived before ``now_ns`` has been observed."""
        if changes := self._detector.advance(now_ns):
            self._tell(changes)

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget these legs."""
        self._detector.release(legs)
        self._packets.release(legs)
        self._heard_until_ns[legs] = self._lost_by_then[legs] = 0

    def _blocks(self, batch: PacketBatch) -> Iterator[_Blocks]:
        """Yield the blocks of a batch so that each leg has at most one of each part, and all of them in its order."""
        # Of all packets: telephone events and comfort noise have sequence numbers too.
        lost = self._packets.count(batch)
        for rows, samples in decode_rows(self._codec, batch, np.arange(len(batch))):
            blocks = samples.shape[1] // self._block_samples
            if not blocks:
                continue
            used = samples[:, : blocks * self._block_samples].reshape(-1, self._block_samples)
            levels = levels_db(used).reshape(len(rows), blocks)
            # NumPy indexes with intp; anything else it would convert at each use.
            legs, arrival_ns, lost_by_now = batch.leg[rows].astype(np.intp), batch.arrival_ns[rows], lost[rows]
            for part in _one_of_each(legs):
                lost_ns = self._lost_ns(legs[part], arrival_ns[part], lost_by_now[part], blocks * BLOCK_NS)
                for block in range(blocks):
                    first = None if block else lost_ns
                    yield legs[part], arrival_ns[part] + block * BLOCK_NS, levels[part, block], first

    def _lost_ns(
        self, legs: NDArray[np.intp], arrival_ns: NDArray[np.int64], lost_by_now: NDArray[np.int64], packet_ns: int
    ) -> NDArray[np.int64] | None:
        """Return how much audio was lost before these packets: never more than the time in which nothing came."""
        gap_ns = np.maximum(arrival_ns - self._heard_until_ns[legs], 0)
        lost = lost_by_now - self._lost_by_then[legs]
        self._heard_until_ns[legs] = arrival_ns + packet_ns
        if not lost.any():
            return None
        lost_ns = lost * packet_ns
        self._lost_by_then[legs] = lost_by_now
        # Numbers that jump by more than there was time for were not lost: the stream is another one.
        return np.where(lost_ns <= gap_ns + _JITTER_NS, np.minimum(lost_ns, gap_ns), 0)


def _one_of_each(legs: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Split positions so that no leg comes twice in one part, and each leg's positions stay in order."""
    # Any other kind may swap packets of one leg.
    order = np.argsort(legs, kind="stable")
    ordered = legs[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    occurrence = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return [order[occurrence == number] for number in range(int(occurrence.max(initial=-1)) + 1)]
