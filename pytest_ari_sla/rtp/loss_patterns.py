"""How losses are spread: bursts as RFC 3611 defines them, loss distance and loss period of RFC 3357.

Both are defined by the distance from one loss to the next, so only losses are looked at, however many packets there
are. Positions count the packets of a leg that were sent; all legs are taken together.

RFC 3611, 4.7.2: a *burst* is a longest run of packets that begins and ends with a loss and in which fewer than Gmin
packets in a row were received. A loss with Gmin received packets (or the call's end) on both sides belongs to the gap.
This is the definition itself; the counters of its appendix A.2 are an approximation of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GMIN", "LossPatterns", "LossSpread"]

GMIN = 16
"""Received packets in a row that separate two bursts, as RFC 3611 recommends."""

_STATE = np.dtype([("after_last", "i8"), ("in_burst", "?")], align=True)


@dataclass(frozen=True, eq=False)
class LossSpread:
    """What each of k losses is part of, each array of shape (k,).

    Attributes
    ----------
    distance
        int64. Positions since the leg's previous loss; 0 for its first (RFC 3357, 4.1).
    opens_period
        bool. A run of consecutive losses begins here (RFC 3357, 4.2).
    opens_burst
        bool. With this loss, the burst that began with the previous one is known to be a burst.
    burst_lost, burst_packets
        int64. What this loss adds to the losses in bursts, and to the length of bursts in packets.
    """

    distance: NDArray[np.int64]
    opens_period: NDArray[np.bool_]
    opens_burst: NDArray[np.bool_]
    burst_lost: NDArray[np.int64]
    burst_packets: NDArray[np.int64]


class LossPatterns:
    """Follows the losses of each leg; exact for any split into updates.

    Parameters
    ----------
    legs
        Number of legs.
    gmin
        Received packets in a row that end a burst.
    """

    BYTES_PER_LEG = _STATE.itemsize

    def __init__(self, legs: int, gmin: int = GMIN) -> None:
        self._gmin = gmin
        self._state = np.zeros(legs, _STATE)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget the losses of these legs."""
        self._state[legs] = 0

    def update(self, legs: NDArray[np.int32], positions: NDArray[np.int64]) -> LossSpread:
        """Take in losses.

        Parameters
        ----------
        legs, positions
            (k,) Leg and position of each loss: grouped by leg, ascending within a leg and from call to call.
        """
        opens_leg = np.ones(len(legs), bool)
        np.not_equal(legs[1:], legs[:-1], out=opens_leg[1:])
        state = self._state[legs[opens_leg]]
        after_last = np.zeros(len(legs), np.int64)
        after_last[1:] = positions[:-1] + 1
        after_last[opens_leg] = state["after_last"]
        # "After last" is the position behind the previous loss; 0 says that there was none.
        is_first = after_last == 0
        distance = np.where(is_first, 0, positions - after_last + 1)
        # A distance of d has d - 1 received packets in it: Gmin of them make two bursts.
        continues = ~is_first & (distance <= self._gmin)
        was_in_burst = np.zeros(len(legs), bool)
        was_in_burst[1:] = continues[:-1]
        was_in_burst[opens_leg] = state["in_burst"]
        opens_burst = continues & ~was_in_burst
        self._keep(legs, positions, continues)
        return LossSpread(
            distance=distance,
            opens_period=distance != 1,  # 0, a leg's first loss, opens one too
            opens_burst=opens_burst,
            # Two losses make a burst: the one before it counts too, as soon as the second one shows.
            burst_lost=continues.astype(np.int64) + opens_burst,
            burst_packets=np.where(continues, distance, 0) + opens_burst,
        )

    def _keep(self, legs: NDArray[np.int32], positions: NDArray[np.int64], continues: NDArray[np.bool_]) -> None:
        closes_leg = np.ones(len(legs), bool)
        np.not_equal(legs[1:], legs[:-1], out=closes_leg[:-1])
        self._state["after_last"][legs[closes_leg]] = positions[closes_leg] + 1
        self._state["in_burst"][legs[closes_leg]] = continues[closes_leg]
