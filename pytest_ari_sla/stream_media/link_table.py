"""What sending and receiving must know of all connections at once: columns, so that a slot needs no Python for each."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.stream_media.link import Link

__all__ = ["NOBODY", "LinkTable", "Route"]

NOBODY = -1
"""A leg or a descriptor that is none."""

_FEWEST_ROWS = 256


class Route(IntEnum):
    """Where a read goes that is one whole frame; any other one goes to the conversation."""

    CONVERSATION = 0
    """To the conversation: it is in the middle of a message."""
    NOWHERE = auto()
    """The leg has no stream yet, or none any more."""
    RING = auto()
    """To the leg."""


class LinkTable:
    """All connections of a loop.

    Parameters
    ----------
    legs
        Most legs at one time.

    Attributes
    ----------
    of_leg
        The connection of each leg that has one.
    writable
        By leg: the descriptor that its next frame is written to; NOBODY where it cannot be now.
    leg
        int32, by descriptor, like all that follow. Whose a connection is; NOBODY as long as that is not known, and when
        the leg has been forgotten.
    route
        int8, a :class:`Route`. Where a read goes that is one whole frame.
    place
        int64. Frames of the leg's stream that have come.
    seen
        int64. All other reads.
    """

    def __init__(self, legs: int) -> None:
        self.of_leg: dict[int, Link] = {}
        self.writable = [NOBODY] * legs
        self.leg: NDArray[np.int32] = np.full(_FEWEST_ROWS, NOBODY, np.int32)
        self.route: NDArray[np.int8] = np.zeros(_FEWEST_ROWS, np.int8)
        self.place: NDArray[np.int64] = np.zeros(_FEWEST_ROWS, np.int64)
        self.seen: NDArray[np.int64] = np.zeros(_FEWEST_ROWS, np.int64)

    def add(self, descriptor: int) -> None:
        """Take a new connection in: the columns may hold what is left of an earlier one's."""
        while descriptor >= len(self.leg):
            self._grow()
        self.leg[descriptor] = NOBODY
        self.route[descriptor] = Route.CONVERSATION
        self.place[descriptor] = self.seen[descriptor] = 0

    def _grow(self) -> None:
        for name in ("leg", "route", "place", "seen"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, column)))
