"""One figure of every leg over time: what tells, among a thousand calls, which one was bad when.

Memory is bounded: ``legs`` times ``columns`` cells of 12 bytes. When a load outgrows its columns, neighbours are merged
and a column's length doubles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LegCourses"]


class LegCourses:
    """The mean of a figure, for each leg and each column of time.

    Parameters
    ----------
    legs
        Number of legs.
    columns
        How many columns are kept, over all of the load.
    column_ns
        Length of a column at the beginning.
    """

    def __init__(self, legs: int, columns: int = 120, column_ns: int = 1_000_000_000) -> None:
        self.column_ns = column_ns
        self._columns = columns
        self._first: int | None = None
        self._sum = np.zeros((legs, columns), np.float64)
        self._count = np.zeros((legs, columns), np.int32)

    def observe(
        self, legs: NDArray[np.int32], time_ns: NDArray[np.int64], values: NDArray[np.int64], now_ns: int
    ) -> None:
        """Take in (n,) values, each of a leg and a moment (ns since the Unix epoch).

        What is dated later than ``now_ns`` counts there: where the clock was set forward, a packet an hour ahead would
        leave all courses with columns of minutes, for good.
        """
        if not len(legs):
            return
        time_ns = np.minimum(time_ns, now_ns)
        if self._first is None:
            self._first = int(time_ns.min()) // self.column_ns
        while int(time_ns.max()) // self.column_ns - self._first >= self._columns:
            self._first = self._merge_neighbours(self._first)
        # What comes late from before the first column counts there.
        places = np.maximum(time_ns // self.column_ns - self._first, 0)
        rows = len(self._sum)
        for place in np.flatnonzero(np.bincount(places)).tolist():  # one or two: batches are short
            here = slice(None) if (chosen := places == place).all() else chosen
            self._sum[:, place] += np.bincount(legs[here], values[here], rows)
            self._count[:, place] += np.bincount(legs[here], minlength=rows)

    def course(self, leg: int) -> list[tuple[int, int, float]]:
        """Return (start, end, mean value) of each column that has a value; times are ns since the Unix epoch."""
        places = np.flatnonzero(self._count[leg])
        means = self._sum[leg, places] / self._count[leg, places]
        starts = (places + (self._first or 0)) * self.column_ns
        return list(zip(starts.tolist(), (starts + self.column_ns).tolist(), means.tolist(), strict=True))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Forget legs whose numbers other calls will use."""
        self._sum[legs] = 0
        self._count[legs] = 0

    def _merge_neighbours(self, first: int) -> int:
        """Double the columns' length; return the number of the first column in the new counting."""
        # By their numbers since the epoch: an odd first column has no left neighbour and stays alone.
        halves = (first + np.arange(self._columns)) // 2
        begins = np.flatnonzero(np.diff(halves, prepend=-1))
        for cells in (self._sum, self._count):
            merged = np.add.reduceat(cells, begins, axis=1)
            cells[:] = 0
            cells[:, : len(begins)] = merged
        self.column_ns *= 2
        return first // 2
