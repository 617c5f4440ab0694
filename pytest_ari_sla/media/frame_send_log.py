"""What is known of every frame that was sent: what the measuring thread asks of a transport's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.hookspecs.tracker import SendLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Departures", "FrameSendLog", "LastSent"]


@dataclass(frozen=True)
class Departures:
    """Packets whose turn has come.

    Attributes
    ----------
    late_ns
        (n,) int64. How long after their time those that left did so.
    not_sent
        How many did not leave.
    """

    late_ns: NDArray[np.int64]
    not_sent: int


@dataclass(frozen=True)
class LastSent:
    """A leg's last frames.

    Attributes
    ----------
    first_turn
        The turn of the first of them.
    sent_ns
        (k,) When each left, ns since the Unix epoch; 0 where it did not. Of one that is forgotten: when it was due.
    due_ns
        (k,) When each was due.
    """

    first_turn: int
    sent_ns: NDArray[np.int64]
    due_ns: NDArray[np.int64]


class FrameSendLog(SendLog, Protocol):
    """What the send side knows of every frame; kept by the transport, used by the measuring thread."""

    def sent_by(self, legs: list[int]) -> NDArray[np.int64]:
        """(n,) Frames that these legs really sent, so far."""

    def times_of(
        self, legs: NDArray[np.int32], stamps: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Look probes up by what they carry: (n,) senders, -1 where there is none, and numbers.

        Returns
        -------
        Number of the frame among its leg's (-1 where there is none), when it was sent and when it was due (ns since the
        Unix epoch, 0 where that is not known any more).
        """

    def due_by(self, legs: list[int]) -> NDArray[np.int64]:
        """(n,) Frames that these legs' schedule has called for, so far."""

    def close(self, legs: NDArray[np.int32]) -> None:
        """Note that these legs are ending: nothing more comes for them."""

    def withdraw(self, legs: Sequence[int], first: NDArray[np.int64]) -> None:
        """Let these legs' frames from number ``first`` ((n,)) on count as never due: their call had been ended."""

    def hide(self, legs: NDArray[np.int32]) -> None:
        """Let the counts of these legs be 0, whatever is known of them."""

    def last_sent(self, leg: int, most: int) -> LastSent:
        """Return what became of a leg's last frames, up to so many."""

    def departures(self, until_ns: int) -> Departures:
        """Return what became of every frame that was due since the last time and before ``until_ns``."""
