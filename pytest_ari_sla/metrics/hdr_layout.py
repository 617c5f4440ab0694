"""HdrHistogram's buckets for lowest value 1, highest value 3,600,000,000,000 and 3 significant digits.

Values below 2,048 have a bucket each; every further octave of values is divided into 1,024 buckets, so that no bucket
is wider than 1/1024 of the values in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BUCKETS",
    "HIGHEST",
    "LOWEST",
    "OCTAVE",
    "SIGNIFICANT_DIGITS",
    "bucket_high",
    "bucket_low",
    "bucket_middles",
    "bucket_of",
    "buckets_of",
]

LOWEST = 1
HIGHEST = 3_600_000_000_000  # an hour in ns
SIGNIFICANT_DIGITS = 3
_OCTAVE_BITS = 10
OCTAVE = 1 << _OCTAVE_BITS
BUCKETS = 33 * OCTAVE  # HIGHEST has 42 bits: 31 more than a value in the first two octaves
# Or-ing this mask in keeps all the values that have a bucket of their own in the first two octaves.
_EXACT_MASK = 2 * OCTAVE - 1
# The exponent of a float64 in those octaves, as its raw bits give it.
_LOWEST_EXPONENT = 1023 + _OCTAVE_BITS  # 1023: the bias of IEEE 754


def bucket_of(value: int) -> int:
    """Return the number of the bucket that holds ``value`` (0 to ``HIGHEST``)."""
    shift = max(value.bit_length() - _OCTAVE_BITS - 1, 0)
    return (shift << _OCTAVE_BITS) + (value >> shift)


def buckets_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return :func:`bucket_of` for each of (n,) values between 0 and ``HIGHEST``.

    The bit length is read from the exponent of the value as a float64, which is exact below 2**53.
    """
    exponents = (values | _EXACT_MASK).astype(np.float64).view(np.int64) >> 52
    shifts = exponents - _LOWEST_EXPONENT
    return (shifts << _OCTAVE_BITS) + (values >> shifts)


def bucket_low(bucket: int) -> int:
    """Return the smallest value that ``bucket`` holds."""
    shift = max((bucket >> _OCTAVE_BITS) - 1, 0)
    return (bucket - (shift << _OCTAVE_BITS)) << shift


def bucket_high(bucket: int) -> int:
    """Return the largest value that ``bucket`` holds."""
    return bucket_low(bucket + 1) - 1


def bucket_middles(buckets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the middles of (n,) buckets: the mean of the smallest and the largest value of each."""
    shifts = np.maximum((buckets >> _OCTAVE_BITS) - 1, 0)
    lows = (buckets - (shifts << _OCTAVE_BITS)) << shifts
    middles: NDArray[np.float64] = lows + ((1 << shifts) - 1) / 2
    return middles
