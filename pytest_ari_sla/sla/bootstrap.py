"""Bootstrap: how sure the difference between two runs is, drawn from the runs themselves.

A circular block bootstrap (D. N. Politis, J. P. Romano, 1992): blocks of neighbouring intervals are drawn again and
again, since the seconds of a run are not independent of each other. The length of a block follows from the intervals'
correlation, of the order of the cube root of their number (P. Hall, J. L. Horowitz, B.-Y. Jing, 1995). What is drawn
gives an interval; it is widened as Student's t is against the normal distribution, since a short run has few blocks.

A run is an array of parts: (1, n), a figure for each of n intervals; or (2, n), numerators and denominators.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["block_length", "difference_interval", "typical"]

_RESAMPLES = 1000
# Share of the intervals that is left out at each end.
_TRIMMED = 0.2
_STRONGEST_CORRELATION = 0.9
# A run of fewer blocks than this says nothing about its own spread.
_LEAST_BLOCKS = 4


def typical(parts: NDArray[np.float64]) -> float:
    """Return the figure of the typical interval: a trimmed mean of figures, or a quotient of two sums."""
    return float(_typical_of_each(parts[:, np.newaxis, :])[0])


def difference_interval(
    before: NDArray[np.float64], after: NDArray[np.float64], confidence: float, seed: int
) -> tuple[float, float]:
    """Return the confidence interval of ``typical(after) - typical(before)``.

    Parameters
    ----------
    before, after
        (k, n) parts of the two runs, k = 1 or 2, n at least 8; they may differ in n.
    confidence
        Level of the interval.
    seed
        The same seed gives the same interval.
    """
    randomness = np.random.default_rng(seed)
    runs = (before, after)
    blocks = [block_length(run) for run in runs]
    drawn_before, drawn_after = (_resampled(run, block, randomness) for run, block in zip(runs, blocks, strict=True))
    tail = (1 - confidence) / 2
    difference = typical(after) - typical(before)
    ends = np.quantile(drawn_after - drawn_before, [tail, 1 - tail])
    widening = _widening([run.shape[1] // block for run, block in zip(runs, blocks, strict=True)], confidence)
    low, high = (difference + (float(end) - difference) * widening for end in ends)
    return low, high


def block_length(parts: NDArray[np.float64]) -> int:
    """Return how many neighbouring intervals hang together, from their correlation with their successors."""
    values = parts[0] / parts[-1] if len(parts) == 2 and parts[-1].all() else parts[0]
    # Single outliers hide a correlation; they are brought to the edge of the others.
    centred = np.clip(values, *np.quantile(values, [0.05, 0.95]))
    centred = centred - centred.mean()
    power = float(np.dot(centred, centred))
    count = len(values)
    # The usual estimate is too small by about 1 / n.
    correlation = float(np.dot(centred[1:], centred[:-1])) / power + 1 / count if power else 0.0
    rho = min(max(correlation, 0.0), _STRONGEST_CORRELATION)
    wanted = math.ceil((2 * rho / (1 - rho * rho)) ** (2 / 3) * math.cbrt(count))
    return int(min(max(wanted, 1), count // _LEAST_BLOCKS))


def _resampled(parts: NDArray[np.float64], block: int, randomness: np.random.Generator) -> NDArray[np.float64]:
    """Return the typical interval's figure of (resamples,) runs that are drawn from one, block by block."""
    count = parts.shape[1]
    starts = randomness.integers(0, count, (_RESAMPLES, -(-count // block), 1))
    drawn = ((starts + np.arange(block)) % count).reshape(_RESAMPLES, -1)[:, :count]
    return _typical_of_each(parts[:, drawn])


def _typical_of_each(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the typical interval's figure of each run, (runs,), for (k, runs, n) parts."""
    if len(parts) == 2:
        numerators, denominators = parts.sum(axis=2)
        # A resample may have drawn intervals without any trial only: nothing lost of nothing.
        quotients = np.zeros(len(numerators))
        np.divide(numerators, denominators, out=quotients, where=denominators > 0)
        return quotients
    count = parts.shape[2]
    trimmed = int(count * _TRIMMED)
    ordered = np.partition(parts[0], (trimmed, count - trimmed - 1), axis=1)
    means: NDArray[np.float64] = ordered[:, trimmed : count - trimmed].mean(axis=1)
    return means


def _widening(blocks: Sequence[int], confidence: float) -> float:
    """Return by how much an interval from so few blocks has to be wider than one from many.

    That is Student's t over the normal quantile (by R. A. Fisher's expansion, good from six degrees of freedom on), and
    the factor that makes a variance of n values one of n - 1 degrees of freedom.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    freedom = sum(blocks) - 2
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    fewest = min(blocks)
    return t / z * math.sqrt(fewest / (fewest - 1))
