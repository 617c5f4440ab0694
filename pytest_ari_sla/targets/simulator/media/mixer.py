"""Mixing for bridges of more than two legs: everybody hears the sum of the others, every 20 ms, silence included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.targets.simulator.media.formats import FRAME_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Mixer"]

_LONGEST_WAIT = 5 * FRAME_SAMPLES  # audio that has waited for 100 ms is not late but in excess


class Mixer:
    """One mixing bridge.

    Attributes
    ----------
    legs
        Its members, in order of entering.
    """

    def __init__(self, legs: Sequence[int]) -> None:
        self.legs = list(legs)
        self._waiting: dict[int, NDArray[np.int16]] = {leg: _nothing() for leg in self.legs}

    def set_legs(self, legs: Sequence[int]) -> None:
        """Let exactly these legs be members."""
        self.legs = list(legs)
        self._waiting = {leg: self._waiting.get(leg, _nothing()) for leg in self.legs}

    def hear(self, leg: int, samples: NDArray[np.int16]) -> None:
        """Take what a member says; the oldest is dropped when too much waits."""
        self._waiting[leg] = np.concatenate([self._waiting[leg], samples])[-_LONGEST_WAIT:]

    def mix(self) -> NDArray[np.int16]:
        """Return what each member is to hear for the next 20 ms: (members, 160) int16, clipped."""
        # 32 bits: the sum of several loud members does not fit into 16, and is clipped only at the end.
        said = np.zeros((len(self.legs), FRAME_SAMPLES), np.int32)
        for row, leg in enumerate(self.legs):
            waiting = self._waiting[leg]
            # Half a packet is left to wait for its other half: to play it now would tear it apart.
            if len(waiting) >= FRAME_SAMPLES:
                said[row] = waiting[:FRAME_SAMPLES]
                self._waiting[leg] = waiting[FRAME_SAMPLES:]
        # One sum for all, less each one's own voice: that costs the same for any number of members.
        heard = np.clip(said.sum(axis=0) - said, -32768, 32767)
        return np.asarray(heard, np.int16)


def _nothing() -> NDArray[np.int16]:
    return np.empty(0, np.int16)
