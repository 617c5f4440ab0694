"""A histogram of integers that merges exactly: HdrHistogram's layout over NumPy counts.

Values are whole steps: nanoseconds for times, steps of ``Metric.resolution`` for everything else. The layout is
HdrHistogram's with lowest value 1, highest 3,600,000,000,000 (an hour in ns) and 3 significant digits: values below
2,048 are kept exactly, larger ones in buckets of which none is wider than 1/1024 of its values. A percentile is
therefore less than 0.1 % above the true sample and never below it; ``count``, ``min``, ``max`` and ``mean`` are exact.

Only the octaves (1,024 buckets each) between the smallest and the largest value seen are allocated: 8 KiB for an
octave, 264 KiB at the very most.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pytest_ari_sla.metrics import hdr_encoding
from pytest_ari_sla.metrics.hdr_layout import (
    BUCKETS,
    HIGHEST,
    OCTAVE,
    bucket_high,
    bucket_low,
    bucket_middles,
    bucket_of,
    buckets_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["NEVER", "Histogram"]

NEVER = HIGHEST + 1
"""To record what did not happen: it is above all values, so that percentiles reach it, and ``saturated`` counts it."""

# An int64 sum of that many values, at most HIGHEST each, cannot overflow.
_SAFE_BATCH = np.iinfo(np.int64).max // HIGHEST
_PLAIN_VERSION = 1


class Histogram:
    """Counts of integers, with percentiles that are taken after merging.

    Attributes
    ----------
    count
        Number of values recorded.
    total
        Their exact sum.
    clipped
        How many of them were negative; they are counted as 0.
    saturated
        How many of them were above ``HIGHEST``; they are counted as ``HIGHEST``.
    """

    __slots__ = ("_counts", "_first", "_frozen", "_max", "_min", "clipped", "count", "saturated", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.clipped = 0
        self.saturated = 0
        self._min = 0
        self._max = 0
        # Counters of the buckets _first, _first + 1, …: whole octaves.
        self._first = 0
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._frozen = False

    # -- recording ---------------------------------------------------------------------------------------------

    def record(self, values: NDArray[np.int64]) -> None:
        """Take in (n,) values; a handful of NumPy calls, whatever n is."""
        if len(values) > _SAFE_BATCH:
            for start in range(0, len(values), _SAFE_BATCH):
                self.record(values[start : start + _SAFE_BATCH])
            return
        if not len(values):
            return
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > HIGHEST:
            self.clipped += int(np.count_nonzero(values < 0))
            self.saturated += int(np.count_nonzero(values > HIGHEST))
            values = values.clip(0, HIGHEST)
            low, high = min(max(low, 0), HIGHEST), min(max(high, 0), HIGHEST)
        self._add_counts(buckets_of(values), bucket_of(low), bucket_of(high))
        self._widen_range(low, high)
        self.count += len(values)
        self.total += int(values.sum(dtype=np.int64))

    def record_one(self, value: int) -> None:
        """Take in one value."""
        kept = min(max(value, 0), HIGHEST)
        bucket = bucket_of(kept)
        self._cover(bucket, bucket)
        self._counts[bucket - self._first] += 1
        self.clipped += value < 0
        self.saturated += value > HIGHEST
        self._widen_range(kept, kept)
        self.count += 1
        self.total += kept

    def _add_counts(self, buckets: NDArray[np.int64], first: int, last: int) -> None:
        """Count (n,) bucket numbers, all of them between ``first`` and ``last``."""
        self._cover(first, last)
        width = last - first + 1
        if width <= 4 * len(buckets):
            start = first - self._first
            self._counts[start : start + width] += np.bincount(buckets - first, minlength=width)
        else:
            # A few values far apart: a bincount would mostly add zeros.
            np.add.at(self._counts, buckets - self._first, 1)

    def _cover(self, first: int, last: int) -> None:
        """Make room for the buckets ``first`` to ``last``."""
        if self._frozen:
            message = "this histogram belongs to a snapshot; record into a copy() of it"
            raise ValueError(message)
        end = self._first + len(self._counts)
        if self._first <= first and last < end:
            return
        if not len(self._counts):
            self._first = end = first
        # Whole octaves, so that a value a little further out does not copy everything again.
        new_first = min(first, self._first) // OCTAVE * OCTAVE
        new_end = (max(last + 1, end) + OCTAVE - 1) // OCTAVE * OCTAVE
        counts = np.zeros(new_end - new_first, np.int64)
        start = self._first - new_first
        counts[start : start + len(self._counts)] = self._counts
        self._first, self._counts = new_first, counts

    def _widen_range(self, low: int, high: int) -> None:
        """Let ``min`` and ``max`` reach ``low`` and ``high``; called before ``count`` grows."""
        self._min = min(self._min, low) if self.count else low
        self._max = max(self._max, high)

    # -- reading -----------------------------------------------------------------------------------------------

    @property
    def min(self) -> int:
        """The smallest value recorded; 0 without any."""
        return self._min

    @property
    def max(self) -> int:
        """The largest value recorded; 0 without any."""
        return self._max

    @property
    def mean(self) -> float:
        """The exact arithmetic mean; NaN without any value."""
        return self.total / self.count if self.count else math.nan

    def deviation(self) -> float:
        """Return the standard deviation, from the buckets' middles; NaN without any value."""
        if not self.count:
            return math.nan
        buckets, counts = self.buckets()
        distances = bucket_middles(buckets) - self.mean
        return math.sqrt(float(np.dot(counts, distances**2)) / self.count)

    def percentile(self, percent: float) -> int:
        """Return the value that ``percent`` (0 to 100) of all values do not exceed.

        It is the largest value of the bucket that holds the sample of rank ``ceil(percent / 100 * count)``
        (HdrHistogram's "highest equivalent value"), but never below ``min`` nor above ``max``: p0 is ``min`` and p100
        is ``max``. ``percent`` is taken as the decimal number that it prints as, so that p99.9 of 1,000 values is the
        999th.

        Raises
        ------
        ValueError
            Without any value, or for a percentile outside 0 to 100.
        """
        if not 0 <= percent <= 100:
            message = f"a percentile lies between 0 and 100, not at {percent}"
            raise ValueError(message)
        if percent == 0 and self.count:
            return self._min
        rank = math.ceil(Fraction(str(percent)) * self.count / 100)
        return self.value_at_rank(max(rank, 1))

    def value_at_rank(self, rank: int) -> int:
        """Return the ``rank``-th smallest value (from 1): the largest value of its bucket, within ``min`` and ``max``.

        Raises
        ------
        ValueError
            When there is no such rank.
        """
        if not 1 <= rank <= self.count:
            message = f"there is no rank {rank} among {self.count} values"
            raise ValueError(message)
        offset = int(np.searchsorted(np.cumsum(self._counts), rank))
        return max(min(bucket_high(self._first + offset), self._max), self._min)

    def quantile_rank(self, value: int) -> int:
        """Return how many recorded values are at most ``value``; all values of its bucket are counted in."""
        last = bucket_of(min(value, HIGHEST)) if value >= 0 else -1
        return int(self._counts[: max(last + 1 - self._first, 0)].sum())

    def buckets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of the buckets that hold something ((k,) ascending), and their counts ((k,))."""
        offsets = np.flatnonzero(self._counts)
        return offsets + self._first, self._counts[offsets]

    # -- merging -----------------------------------------------------------------------------------------------

    def merge(self, other: Histogram) -> None:
        """Take in all values of ``other``: the same as having recorded them here. ``other`` stays as it is."""
        # One without values has no buckets to make room for.
        if not other.count:
            return
        self._cover(other._first, other._first + len(other._counts) - 1)
        start = other._first - self._first
        self._counts[start : start + len(other._counts)] += other._counts
        self._widen_range(other._min, other._max)
        self.count += other.count
        self.total += other.total
        self.clipped += other.clipped
        self.saturated += other.saturated

    def __add__(self, other: Histogram) -> Histogram:
        """Return a new histogram that holds the values of both."""
        merged = self.copy()
        merged.merge(other)
        return merged

    def __sub__(self, earlier: Histogram) -> Histogram:
        """Return what was recorded since ``earlier``, a copy of this same histogram.

        ``min`` and ``max`` of the difference are bounds taken from its outermost buckets (0.1 %).

        Raises
        ------
        ValueError
            When ``earlier`` holds values that this histogram does not.
        """
        difference = self.copy()
        if earlier.count:
            difference._cover(earlier._first, earlier._first + len(earlier._counts) - 1)
            start = earlier._first - difference._first
            difference._counts[start : start + len(earlier._counts)] -= earlier._counts
        if difference._counts.min(initial=0) < 0:
            message = "the difference of two histograms is defined for an earlier state of the same one only"
            raise ValueError(message)
        difference.count -= earlier.count
        difference.total -= earlier.total
        difference.clipped -= earlier.clipped
        difference.saturated -= earlier.saturated
        difference._bound_range_by_buckets()
        return difference

    def _bound_range_by_buckets(self) -> None:
        """Set ``min`` and ``max`` to the outermost buckets' bounds, where these are tighter."""
        buckets, _ = self.buckets()
        if not len(buckets):
            self._min = self._max = 0
            return
        self._min = max(self._min, bucket_low(int(buckets[0])))
        self._max = min(self._max, bucket_high(int(buckets[-1])))

    @classmethod
    def sum_of(cls, histograms: Iterable[Histogram]) -> Self:
        """Return a new histogram that holds the values of all given."""
        merged = cls()
        for histogram in histograms:
            merged.merge(histogram)
        return merged

    def copy(self) -> Histogram:
        """Return an independent copy that can be recorded into."""
        twin = type(self)()
        twin.count, twin.total = self.count, self.total
        twin.clipped, twin.saturated = self.clipped, self.saturated
        twin._min, twin._max = self._min, self._max
        twin._first, twin._counts = self._first, self._counts.copy()
        return twin

    def freeze(self) -> Self:
        """Refuse all further recording and return this histogram."""
        self._frozen = True
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._summary() == other._summary() and all(map(np.array_equal, self.buckets(), other.buckets()))

    # Counts change, so a histogram cannot be a key.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not self.count:
            return "<Histogram of nothing>"
        return f"<Histogram of {self.count}: {self._min} … p50 {self.percentile(50)} … {self._max}>"

    def _summary(self) -> tuple[int, int, int, int, int, int]:
        return (self.count, self.total, self._min, self._max, self.clipped, self.saturated)

    # -- wire forms --------------------------------------------------------------------------------------------

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain built-ins: what processes exchange and ``from_plain`` reads."""
        buckets, counts = self.buckets()
        return self._form(buckets.tolist(), counts.tolist())

    def to_compact(self) -> dict[str, Any]:
        """Return the same with arrays of the narrowest types instead of lists: what takes little memory to keep."""
        buckets, counts = self.buckets()
        # There are 33,792 buckets: a number fits 16 bits.
        return self._form(buckets.astype(np.uint16), counts.astype(np.min_scalar_type(counts.max(initial=0))))

    def _form(self, buckets: object, counts: object) -> dict[str, Any]:
        return {
            "version": _PLAIN_VERSION,
            "total": self.total,
            "min": self._min,
            "max": self._max,
            "clipped": self.clipped,
            "saturated": self.saturated,
            "buckets": buckets,
            "counts": counts,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild a histogram from :meth:`to_plain` or :meth:`to_compact`.

        Raises
        ------
        ValueError
            For another version of the form.
        """
        if plain.get("version") != _PLAIN_VERSION:
            message = f"a histogram of version {plain.get('version')!r}; this program reads version {_PLAIN_VERSION}"
            raise ValueError(message)
        histogram = cls._from_buckets(plain["buckets"], plain["counts"])
        histogram.total = plain["total"]
        histogram._min, histogram._max = plain["min"], plain["max"]
        histogram.clipped, histogram.saturated = plain["clipped"], plain["saturated"]
        return histogram

    @classmethod
    def _from_buckets(cls, buckets: Sequence[int], counts: Sequence[int]) -> Self:
        """Build a histogram from parallel lists; ``min`` and ``max`` are bounds, ``total`` is left to the caller."""
        histogram = cls()
        numbers, occurrences = np.asarray(buckets, np.int64), np.asarray(counts, np.int64)
        if not len(numbers):
            return histogram
        if numbers.min() < 0 or numbers.max() >= BUCKETS or occurrences.min() < 0:
            message = "a histogram's buckets or counts are out of range"
            raise ValueError(message)
        histogram._cover(int(numbers.min()), int(numbers.max()))
        # A list from elsewhere may name a bucket twice, of which a plain += would take one.
        np.add.at(histogram._counts, numbers - histogram._first, occurrences)
        histogram.count = int(occurrences.sum())
        # Wide open, for the outermost buckets to narrow.
        histogram._max = HIGHEST
        histogram._bound_range_by_buckets()
        return histogram

    def encode(self) -> str:
        """Return the counts in HdrHistogram's V2 compressed form in base64, which its tools and libraries read.

        The form holds no exact ``min``, ``max``, ``total``, ``clipped`` and ``saturated``.
        """
        return hdr_encoding.encode(*(part.tolist() for part in self.buckets()))

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what :meth:`encode`, or another HdrHistogram with the same settings, has written.

        ``min`` and ``max`` are the outermost buckets' bounds, ``mean`` is estimated from the buckets' middles.

        Raises
        ------
        ValueError
            When the text is not such a histogram, or one with other settings.
        """
        buckets, counts = hdr_encoding.decode(text)
        histogram = cls._from_buckets(buckets, counts)
        # Python's integers, since a product of bounds and counts may exceed 64 bits.
        doubled = (
            (bucket_low(bucket) + bucket_high(bucket)) * count for bucket, count in zip(buckets, counts, strict=True)
        )
        histogram.total = sum(doubled) // 2
        return histogram
