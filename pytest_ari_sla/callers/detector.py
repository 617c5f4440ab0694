"""Speech or silence, for all legs at once: energy against a floor that adapts to each line's noise.

Audio comes in blocks of 10 ms. A block is active when it is louder than the quietest block of the last one or two
seconds by a margin. Speech begins with the first of three active blocks in a row, so that a click is none, and has
ended with the last active block when none has followed for a while (the hangover).

Whether a lost packet held speech or silence, nobody knows: the hangover does not pass meanwhile. Where nothing arrives,
that it was lost is known only when something does again; an end that was told by then is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BLOCK_NS", "HANGOVER_NS", "SpeechChange", "SpeechDetector", "levels_db"]

BLOCK_NS = 10_000_000
HANGOVER_NS = 200_000_000
"""Longer than the pauses within words: a stop consonant closes the mouth for up to 150 ms."""

ONSET_BLOCKS = 3
MARGIN_DB = 9.0
QUIETEST_DB = -50.0
"""Nothing below this is speech: a telephone's speech is at -26 dB, its room noise at -55 dB and less."""

LOUDEST_FLOOR_DB = -38.0
"""A line's noise is not taken to be louder: music and tones, which have no pauses, stay audible."""

# Digital silence has no logarithm; 16 bits span 96 dB.
_SILENCE_DB = -96.0
_WINDOW_BLOCKS = 100
_FULL_SCALE = 32768.0
_LONG_AGO_NS = -(1 << 62)


def levels_db(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the level of blocks of audio ((blocks, samples) int16): (blocks,) dB against a full-scale square wave."""
    mean_square = np.square(samples, dtype=np.float64).mean(axis=1) / _FULL_SCALE**2
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(mean_square, 10 ** (_SILENCE_DB / 10)))
    return levels


@dataclass(frozen=True)
class SpeechChange:
    """Speech began, or has ended.

    Attributes
    ----------
    leg
        Where.
    speaks
        Whether it began.
    at_ns
        When: the beginning of its first block, or the end of its last one.
    goes_on
        Whether it is the same speech as before, whose end was told and is taken back: packets of it had been lost.
    unheard_ns
        For how long packets were lost just before it began: it may have begun in that time.
    """

    leg: int
    speaks: bool
    at_ns: int
    goes_on: bool = False
    unheard_ns: int = 0


class SpeechDetector:
    """Tells speech from silence on any number of legs.

    Parameters
    ----------
    legs
        How many.
    """

    def __init__(self, legs: int) -> None:
        # (2, legs): of the last whole window, and of the one that is under way.
        self._minimum = np.full((2, legs), _SILENCE_DB)
        self._blocks = np.zeros(legs, np.int64)
        self._run = np.zeros(legs, np.int64)
        self._run_began_ns = np.zeros(legs, np.int64)
        self._run_unheard_ns = np.zeros(legs, np.int64)
        self._active_until_ns = np.zeros(legs, np.int64)
        # When the last speech ended; and what was lost since the last active block of speech.
        self._ended_ns = np.full(legs, _LONG_AGO_NS)
        self._lost_ns = np.zeros(legs, np.int64)
        self._speaks = np.zeros(legs, bool)
        self.release(np.arange(legs))

    def hear(
        self,
        legs: NDArray[np.intp],
        at_ns: NDArray[np.int64],
        levels: NDArray[np.float64],
        lost_ns: NDArray[np.int64] | None = None,
    ) -> list[SpeechChange]:
        """Take the next block of some legs, each at most once; return what has changed.

        Parameters
        ----------
        legs, at_ns, levels
            (n,) Where, when it began, and its level in dB.
        lost_ns
            (n,) How much audio was lost between the block before and this one; None: nothing.
        """
        if lost_ns is not None:
            self._lost_ns[legs] += lost_ns
        # First, as blocks may have been missing: what spoke before such a gap has ended before this block.
        ended = self._end(legs, at_ns)
        floor = np.clip(self._minimum[:, legs].min(axis=0), _SILENCE_DB, LOUDEST_FLOOR_DB)
        active = levels > np.maximum(floor + MARGIN_DB, QUIETEST_DB)
        self._adapt(legs, levels)
        fresh = active & (self._run[legs] == 0)
        self._run_began_ns[legs[fresh]] = at_ns[fresh]
        self._run_unheard_ns[legs[fresh]] = 0 if lost_ns is None else lost_ns[fresh]
        self._run[legs] = np.where(active, self._run[legs] + 1, 0)
        loud = legs[active]
        self._active_until_ns[loud] = at_ns[active] + BLOCK_NS
        began = self._begin(legs[(self._run[legs] >= ONSET_BLOCKS) & ~self._speaks[legs]])
        self._lost_ns[loud[self._speaks[loud]]] = 0
        return ended + began

    def _begin(self, legs: NDArray[np.intp]) -> list[SpeechChange]:
        """Let speech begin, or go on where there was less silence since the last one than between words."""
        if not len(legs):
            return []
        self._speaks[legs] = True
        began_ns = self._run_began_ns[legs]
        goes_on = began_ns - self._ended_ns[legs] - self._lost_ns[legs] < HANGOVER_NS
        unheard_ns = np.where(goes_on, 0, self._run_unheard_ns[legs])
        columns = (legs.tolist(), began_ns.tolist(), goes_on.tolist(), unheard_ns.tolist())
        return [SpeechChange(leg, True, at, same, unheard) for leg, at, same, unheard in zip(*columns, strict=True)]

    def advance(self, now_ns: int) -> list[SpeechChange]:
        """Let time pass: on a leg that nothing arrives on there is silence."""
        legs = np.flatnonzero(self._speaks)
        return self._end(legs, np.full(len(legs), now_ns))

    def _end(self, legs: NDArray[np.intp], now_ns: NDArray[np.int64]) -> list[SpeechChange]:
        silent_ns = now_ns - self._active_until_ns[legs] - self._lost_ns[legs]
        over = legs[self._speaks[legs] & (silent_ns >= HANGOVER_NS)]
        self._speaks[over] = False
        self._ended_ns[over] = self._active_until_ns[over]
        # Where packets stop in mid-speech no quiet block ends the run: the next one would begin speech in the past.
        self._run[over] = 0
        return [SpeechChange(leg, False, int(self._active_until_ns[leg])) for leg in over.tolist()]

    def _adapt(self, legs: NDArray[np.intp], levels: NDArray[np.float64]) -> None:
        """Keep the quietest level of this window of time and of the last one."""
        turning = legs[self._blocks[legs] % _WINDOW_BLOCKS == _WINDOW_BLOCKS - 1]
        self._blocks[legs] += 1
        self._minimum[1, legs] = np.minimum(self._minimum[1, legs], levels)
        self._minimum[0, turning] = self._minimum[1, turning]
        # 0 dB, the loudest there is: whatever comes next is quieter.
        self._minimum[1, turning] = 0.0

    def release(self, legs: NDArray[np.integer]) -> None:
        """Forget these legs: their numbers belong to other calls from now on."""
        # Before anything is known of a line, it is taken to be quiet.
        self._minimum[0, legs], self._minimum[1, legs] = _SILENCE_DB, 0.0
        counts = (
            self._blocks,
            self._run,
            self._run_began_ns,
            self._run_unheard_ns,
            self._active_until_ns,
            self._lost_ns,
        )
        for state in counts:
            state[legs] = 0
        self._ended_ns[legs] = _LONG_AGO_NS
        self._speaks[legs] = False
