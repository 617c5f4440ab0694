"""Until when it is known that calls were alive: what was sent later may have been sent to nobody.

A packet that comes back shows that its call lived when it left; Asterisk's word that the channel exists shows the same
of the moment at which it was asked. Nothing is lost of what was sent after the last sign of life, as long as there may
be no call any more: who ended it may have told so, and the event may be lost, or late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["FOR_GOOD_NS", "SignsOfLife"]

FOR_GOOD_NS = 1 << 62
"""A call that has lived to its end."""


class SignsOfLife:
    """The last sign of life of each leg's call; ns since the Unix epoch, 0 where there is none yet.

    Parameters
    ----------
    legs
        Number of legs.
    legs_of_call
        How many of them, one after the other, are a call.
    """

    def __init__(self, legs: int, legs_of_call: int) -> None:
        self._legs_of_call = legs_of_call
        self._heard_ns = np.zeros(legs, np.int64)
        # Written by whoever asks Asterisk, in another thread than what is heard.
        self._vouched_ns = np.zeros(legs, np.int64)

    def hear(self, batch: PacketBatch) -> None:
        """Take in packets that came: a probe tells when it was due, any other one when it came."""
        seen_ns = np.where(batch.intended_ns > 0, batch.intended_ns, batch.arrival_ns)
        # A leg may be in a batch many times: assigning by index would keep the last one, not the latest.
        np.maximum.at(self._heard_ns, batch.leg, seen_ns)

    def vouch(self, legs: Sequence[int], until_ns: int) -> None:
        """Take note that the call of these legs existed at a time, by whoever must know."""
        chosen = list(legs)
        self._vouched_ns[chosen] = np.maximum(self._vouched_ns[chosen], until_ns)

    def heard_ns(self) -> NDArray[np.int64]:
        """(legs,) The last sign of life that each leg itself has heard."""
        return self._heard_ns

    def known_ns(self) -> NDArray[np.int64]:
        """(legs,) The last sign of life of each leg's call, by whichever of its legs."""
        of_legs = np.maximum(self._heard_ns, self._vouched_ns).reshape(-1, self._legs_of_call)
        return np.repeat(of_legs.max(axis=1), self._legs_of_call)

    def forget(self, legs: NDArray[np.int32]) -> None:
        """Let these legs be those of a call that has not begun."""
        self._heard_ns[legs] = 0
        self._vouched_ns[legs] = 0
