"""Bootstrap: how sure the difference between two runs is, drawn from the runs themselves.

A circular block bootstrap (D. N. Politis, J. P. Romano, 1992): blocks of neighbouring intervals are drawn again and
again, since the seconds of a run are not independent of each other. The length of a block follows from the intervals'
correlation, of the order of the cube root of their number (P. Hall, J. L. Horowitz, B.-Y. Jing, 1995). What is drawn
gives an interval; it is widened as Student's t is against the normal distribution, since a short run has few blocks.

Where each side was run in several turns, they differ by more than their intervals tell (what calls that began together
have in common, a neighbour on the host). A second interval is that of the turns' own figures, by Student's t at 99 %.

A turn is an array of parts: (1, n), a figure for each of n intervals; or (2, n), numerators and denominators.
"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Difference", "block_length", "difference", "typical"]

_RESAMPLES = 1000
# Share of the intervals that is left out at each end.
_TRIMMED = 0.2
_STRONGEST_CORRELATION = 0.9  # the formula for a block's length has a pole at 1
# A run of fewer blocks than this says nothing about its own spread.
_LEAST_BLOCKS = 4
# Quantiles at 99.5 % of Student's t, from one degree of freedom on; more turns than these are judged as these.
_STUDENT_T = (63.657, 9.925, 5.841, 4.604, 4.032, 3.707)


def typical(parts: NDArray[np.float64]) -> float:
    """Return the figure of the typical interval: a trimmed mean of figures, or a quotient of two sums."""
    return float(_typical_of_each(parts[:, np.newaxis, :])[0])


class Difference(NamedTuple):
    """By how much two sides differ.

    Attributes
    ----------
    before, after
        The figure of each side's typical interval.
    interval
        (low, high) of ``after - before``, as the intervals of both sides tell.
    of_turns
        The same as their turns tell; the difference itself, twice, where each side has one.
    """

    before: float
    after: float
    interval: tuple[float, float]
    of_turns: tuple[float, float]


def difference(
    before: Sequence[NDArray[np.float64]], after: Sequence[NDArray[np.float64]], confidence: float, seed: int
) -> Difference:
    """Return the difference of two sides' typical intervals, and its confidence interval.

    Parameters
    ----------
    before, after
        The turns of each side, one at least: (k, n) parts, k = 1 or 2; together they have 8 intervals at least.
    confidence
        Level of the interval.
    seed
        The same seed gives the same interval.
    """
    sides = [np.concatenate(turns, axis=1) for turns in (before, after)]
    old, new = map(typical, sides)
    by_intervals = _interval_of_seconds(sides, new - old, confidence, seed)
    by_turns = _interval_of_turns([[typical(turn) for turn in turns] for turns in (before, after)], new - old)
    return Difference(old, new, by_intervals, by_turns)


def _interval_of_seconds(
    sides: Sequence[NDArray[np.float64]], middle: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval that the intervals of both sides tell, by the bootstrap."""
    randomness = np.random.default_rng(seed)
    blocks = [block_length(side) for side in sides]
    drawn_before, drawn_after = (_resampled(side, block, randomness) for side, block in zip(sides, blocks, strict=True))
    tail = (1 - confidence) / 2
    ends = np.quantile(drawn_after - drawn_before, [tail, 1 - tail])
    widening = _widening([side.shape[1] // block for side, block in zip(sides, blocks, strict=True)], confidence)
    low, high = (middle + (float(end) - middle) * widening for end in ends)
    return low, high


def _interval_of_turns(sides: Sequence[Sequence[float]], middle: float) -> tuple[float, float]:
    """Return the interval that the turns tell, by Student's t with a pooled variance; no width where there is one."""
    freedom = sum(len(turns) - 1 for turns in sides)
    if not freedom:
        return middle, middle
    squares = sum(sum((figure - fmean(turns)) ** 2 for figure in turns) for turns in sides)
    error = math.sqrt(squares / freedom * sum(1 / len(turns) for turns in sides))
    reach = _STUDENT_T[min(freedom, len(_STUDENT_T)) - 1] * error
    return middle - reach, middle + reach


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
    # Around the end: blocks that stop there would draw the first and last intervals less often.
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
    # A partial sort: who belongs to the outer fifths matters, not in which order.
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
