"""A coarse histogram of times for each leg, small enough to keep for thousands: to find the worst legs, not to judge.

Four buckets an octave from 8 µs to 8.6 s: a percentile is the upper end of its bucket, at most 25 % above the true
value, and never above the exact maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LegHistogram"]

_STEPS_PER_OCTAVE_BITS = 2
_LOWEST_OCTAVE, _OCTAVES = 13, 20  # 2**13 ns are 8 us, 2**33 ns are 8.6 s
_BUCKETS = _OCTAVES << _STEPS_PER_OCTAVE_BITS
# A float64 has its exponent right above its fraction: the top bits are the octave and the step within it.
_SHIFT = 52 - _STEPS_PER_OCTAVE_BITS
_FIRST_KEY = (1023 + _LOWEST_OCTAVE) << _STEPS_PER_OCTAVE_BITS
_UPPER_ENDS = ((np.arange(_BUCKETS, dtype=np.int64) + _FIRST_KEY + 1) << _SHIFT).view(np.float64)


class LegHistogram:
    """Counts of times in ns, by leg."""

    BYTES_PER_LEG = _BUCKETS * 4 + 8

    def __init__(self, legs: int) -> None:
        self._counts = np.zeros((legs, _BUCKETS), np.int32)
        self._highest = np.zeros(legs, np.int64)

    def record(self, legs: NDArray[np.int32], values_ns: NDArray[np.int64]) -> None:
        """Take in (k,) values, each of one leg."""
        keys = values_ns.astype(np.float64).view(np.int64) >> _SHIFT
        # A negative time, after a step of the clock, has a negative key and is counted in the lowest bucket.
        cells = legs.astype(np.int64) * _BUCKETS + np.clip(keys - _FIRST_KEY, 0, _BUCKETS - 1)
        # A plain 1 would be an int64, for which NumPy has no fast way into these counts.
        np.add.at(self._counts.reshape(-1), cells, np.int32(1))
        np.maximum.at(self._highest, legs, values_ns)

    def reset(self, legs: NDArray[np.int32]) -> None:
        """Forget the values of these legs."""
        self._counts[legs] = 0
        self._highest[legs] = 0

    def percentiles_ns(self, *percents: float) -> tuple[NDArray[np.float64], ...]:
        """Return percentiles of each leg's values: (legs,) each, NaN without any."""
        running = np.cumsum(self._counts, axis=1, dtype=np.int32)
        total = running[:, -1]
        found = []
        for percent in percents:
            rank = np.maximum(np.ceil(total * (percent / 100)), 1).astype(np.int32)
            bucket = np.argmax(running >= rank[:, np.newaxis], axis=1)
            value = np.minimum(_UPPER_ENDS[bucket], self._highest)
            found.append(np.where(total > 0, value, np.nan))
        return tuple(found)

    def max_ns(self) -> NDArray[np.float64]:
        """Return each leg's exact maximum: (legs,), NaN without any value."""
        return np.where(self._counts.any(axis=1), self._highest, np.nan)
