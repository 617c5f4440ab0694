"""Which port pairs are free, leased, or resting: the book-keeping behind port leases, without sockets or a clock.

Life of a pair, named by its even port::

    free --take--> leased --give_back--> resting --quarantine over--> free
                        `--refuse-----> resting     (another program has one of its ports)

A pair rests so that late packets of the call that had it never reach the next one. All pairs rest equally long, so they
become free in the order in which they began to rest: every operation is O(1), amortised.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PortCounts", "PortTable"]


@dataclass(frozen=True)
class PortCounts:
    """How many port pairs are in each state.

    Attributes
    ----------
    free, leased, resting
        As in the table; ``resting`` includes ``refused``.
    refused
        Pairs that rest because another program has one of their ports.
    """

    free: int
    leased: int
    resting: int
    refused: int


class PortTable:
    """The states of port pairs; time is an argument and must not run backwards.

    Parameters
    ----------
    quarantine_ns
        How long a pair rests.
    """

    def __init__(self, quarantine_ns: int) -> None:
        self.quarantine_ns = quarantine_ns
        self._free: deque[int] = deque()
        self._leased: set[int] = set()
        self._resting: deque[tuple[int, int, bool]] = deque()  # (free from ns, port, refused?), in order of time
        self._refused = 0

    def add(self, ports: Iterable[int]) -> None:
        """Make more pairs free; none of them may be in the table already."""
        self._free.extend(ports)

    def take(self, now_ns: int) -> int | None:
        """Lease the pair that has been free for longest and return its even port; None where none is free."""
        self._wake(now_ns)
        if not self._free:
            return None
        port = self._free.popleft()
        self._leased.add(port)
        return port

    def give_back(self, port: int, now_ns: int) -> None:
        """Let a leased pair rest.

        Raises
        ------
        KeyError
            If it is not leased.
        """
        self._rest(port, now_ns, refused=False)

    def refuse(self, port: int, now_ns: int) -> None:
        """Let a pair that was taken but could not be bound rest: another program uses it, perhaps not for long.

        Raises
        ------
        KeyError
            If it is not leased.
        """
        self._rest(port, now_ns, refused=True)

    def put_back(self, port: int) -> None:
        """Undo :meth:`take`: no packet can have gone there.

        Raises
        ------
        KeyError
            If it is not leased.
        """
        self._leased.remove(port)
        self._free.appendleft(port)  # it keeps its turn

    def counts(self, now_ns: int) -> PortCounts:
        """Return how many pairs are in each state."""
        self._wake(now_ns)
        return PortCounts(len(self._free), len(self._leased), len(self._resting), self._refused)

    def _rest(self, port: int, now_ns: int, *, refused: bool) -> None:
        self._leased.remove(port)
        self._resting.append((now_ns + self.quarantine_ns, port, refused))
        self._refused += refused

    def _wake(self, now_ns: int) -> None:
        while self._resting and self._resting[0][0] <= now_ns:
            _, port, refused = self._resting.popleft()
            self._free.append(port)
            self._refused -= refused
