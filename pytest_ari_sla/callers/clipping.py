"""How much of the beginning of what a caller said did not come back, where it hears itself: told by how loud both are.

What comes back may be late, quieter, and coded anew: what was said is laid over what was heard where the two differ
least, 10 ms by 10 ms. Whatever is missing before the first place where both are heard was clipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.callers.detector import BLOCK_NS, QUIETEST_DB

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LATEST_NS", "LONGEST_NS", "LevelMemory", "clipped_ns"]

LATEST_NS = 2_000_000_000
"""What comes back later than this is not looked for."""

LONGEST_NS = 10_000_000_000
"""So much of the beginning of what was said is compared: nobody misses more of it."""

DEPTH = 2000
"""So many blocks are kept of a leg: those that are compared, and as many again until somebody does."""

MEMORY_BYTES = 1 << 27
"""For the levels of all legs; with more of them, less is kept of each."""

_BLOCK_BYTES = 12
_LATEST_BLOCKS = LATEST_NS // BLOCK_NS
# No echo is so much quieter than what was said: that is the noise of the line.
_DEAF_DB = 30.0
_AUDIBLE_DB = 1.0
_LOUD_PERCENT = 90
_SLACK_DB = 10.0
_AS_GOOD = 0.001
_MISSING_WEIGHT = 0.25


class LevelMemory:
    """Keeps how loud the last blocks of audio were that legs heard.

    Written by the measuring thread, and read by the load's, which asks for what is over.

    Parameters
    ----------
    legs
        How many.
    """

    def __init__(self, legs: int) -> None:
        self._depth = min(DEPTH, max(1, MEMORY_BYTES // (legs * _BLOCK_BYTES)))
        self._at_ns = np.zeros((legs, self._depth), np.int64)
        self._levels = np.zeros((legs, self._depth), np.float32)
        self._kept = np.zeros(legs, np.int64)

    def keep(self, legs: NDArray[np.intp], at_ns: NDArray[np.int64], levels: NDArray[np.float64]) -> None:
        """Keep the next block of some legs, each at most once: when it began, and its level in dB."""
        places = self._kept[legs] % self._depth
        self._levels[legs, places] = levels
        self._at_ns[legs, places] = at_ns
        self._kept[legs] += 1

    def between(self, leg: int, from_ns: int, until_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """Return when the blocks of a leg began that it heard in a span of time, and their levels.

        None where that is not known any more.
        """
        at_ns = self._at_ns[leg].copy()
        if at_ns.min() > from_ns:
            return None
        chosen = (at_ns >= from_ns) & (at_ns < until_ns)
        return at_ns[chosen], self._levels[leg, chosen]


def clipped_ns(
    said_db: NDArray[np.float64],
    began_ns: int,
    heard_at_ns: NDArray[np.int64],
    heard_db: NDArray[np.float32],
    *,
    is_whole: bool,
) -> int | None:
    """Return how much was missing at the beginning of what was said; None where that cannot be told.

    Parameters
    ----------
    said_db
        (n,) How loud the speech was, from its first block of 10 ms on, in dB.
    began_ns
        When that was sent.
    heard_at_ns, heard_db
        (m,) When blocks came that were heard from then on, and how loud they were.
    is_whole
        Whether all has been heard by now that can have come back: then nothing means that all was clipped.
    """
    # A quiet block at both ends: an edge of what was said is an edge, as one of what was heard.
    said = _loudness(np.pad(said_db, 1, constant_values=QUIETEST_DB))
    heard = _loudness(_by_time(heard_at_ns, heard_db, began_ns - BLOCK_NS, len(said) + _LATEST_BLOCKS))
    if heard.max() <= max(said.max() - _DEAF_DB, 0.0):
        return len(said_db) * BLOCK_NS if is_whole else None
    expected, lag = _fitted(said, heard)
    audible = expected > 0
    is_back = audible & (heard[lag : lag + len(said)] >= np.maximum(expected - _SLACK_DB, _AUDIBLE_DB))
    if not is_back.any():
        return len(said_db) * BLOCK_NS if is_whole else None
    return max(int(np.argmax(is_back)) - int(np.argmax(audible)), 0) * BLOCK_NS


def _fitted(said: NDArray[np.float64], heard: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return what was said, as loud as it was to come back, and how many blocks later it was heard."""
    # Whichever part of it came back, its loudest blocks are about as loud as those of all; where it lies, tells better.
    quieter_db = np.percentile(said[said > 0], _LOUD_PERCENT) - np.percentile(heard[heard > 0], _LOUD_PERCENT)
    lag = _lag(np.maximum(said - quieter_db, 0.0), heard)
    there = heard[lag : lag + len(said)]
    both = (said > 0) & (there > 0)
    if both.any():
        quieter_db = np.median(said[both] - there[both])
    expected = np.maximum(said - quieter_db, 0.0)
    return expected, _lag(expected, heard)


def _lag(expected: NDArray[np.float64], heard: NDArray[np.float64]) -> int:
    """Return how many blocks later what is expected was heard: where the two differ least."""
    # By the sum of squares; what did not come back at all counts for less than what came back as something else.
    match = np.correlate(heard, expected, "valid")
    overlap = np.correlate((heard > 0).astype(np.float64), expected**2, "valid")
    energy = np.convolve(heard**2, np.ones(len(expected)), "valid")
    difference = energy - 2 * match + (1 - _MISSING_WEIGHT) * overlap
    # A tone whose beginning is missing fits in several places: it came back no later than it had to.
    return int(np.argmax(difference <= difference.min() + _AS_GOOD * np.square(expected).sum()))


def _by_time(at_ns: NDArray[np.int64], levels: NDArray[np.float32], from_ns: int, blocks: int) -> NDArray[np.float64]:
    """Return the levels of each 10 ms of a span of time; the quietest where nothing came."""
    places = (at_ns - from_ns) // BLOCK_NS
    inside = (places >= 0) & (places < blocks)
    by_time = np.full(blocks, QUIETEST_DB)
    np.maximum.at(by_time, places[inside], levels[inside].astype(np.float64))
    return by_time


def _loudness(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much blocks are louder than silence, each as loud as the louder of its neighbours.

    Packets do not come evenly: a block of 10 ms may have two of them in it, and the next one none.
    """
    above = np.maximum(levels - QUIETEST_DB, 0.0)
    padded = np.pad(above, 1)
    loudness: NDArray[np.float64] = np.maximum(np.maximum(padded[:-2], padded[2:]), above)
    return loudness
