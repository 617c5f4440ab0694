"""Our own receive drops, and which missing packets they explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext

__all__ = ["OwnDrops"]


@dataclass
class _Drops:
    """Datagrams that found our buffers full: so many, and what each leg had been due to send when they were noticed."""

    left: int
    due: NDArray[np.int64]


class OwnDrops:
    """Explains missing packets by drops of our own, as long as they can be these.

    Nobody knows which packets were dropped. A drop explains one that is missing, whichever, if that was sent before the
    drop was noticed; when all of those have been decided on, it was a packet that nobody misses.

    Parameters
    ----------
    context
        Of the load; tells how many drops there are.
    """

    def __init__(self, context: TrackerContext) -> None:
        self._log = context.send_log
        self._total = context.receive_drops
        self._seen = 0
        self._drops: list[_Drops] = []

    def look(self) -> None:
        """Take note of new drops."""
        total = self._total()
        if total > self._seen:
            # What is due later cannot have been dropped by then.
            self._drops.append(_Drops(total - self._seen, self._log.due()))
            self._seen = total

    def explain(self, missing: int) -> int:
        """Return how many of so many missing packets are drops of ours; they explain no other ones."""
        explained = 0
        for drops in self._drops:
            used = min(drops.left, missing - explained)
            drops.left -= used
            explained += used
        return explained

    def expire(self, decided: NDArray[np.int64]) -> None:
        """Forget drops before which nothing was sent that is undecided; of each leg, ``decided`` probes are not."""
        if self._drops:
            self._drops = [drops for drops in self._drops if drops.left and (decided < drops.due).any()]

    def release(self, legs: NDArray[np.int32]) -> None:
        """Note that all is decided on these legs."""
        for drops in self._drops:
            drops.due[legs] = 0  # their numbers will be another call's, which these drops cannot explain
