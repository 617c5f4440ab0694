"""The voices of a load as sounds: who speaks when, and where in a loop a piece of what was heard comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.trackers.audio.search import SEARCH_RATE_HZ, AudioSearch, to_search_rate
from pytest_ari_sla.trackers.audio.silence import SILENCE_MEAN_SQUARE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Voice

__all__ = ["LEAST_LIKENESS", "Talkers"]

_BLOCK = SEARCH_RATE_HZ // 50
"""Samples over which loudness is taken: 20 ms."""

LEAST_LIKENESS = 0.5
"""What is less alike than this (a correlation coefficient) is not our audio."""

_LEAST_LOUD = 1 / 3
"""A piece in which a smaller share of the blocks is loud says nothing: it may be a pause, or the end of a turn."""


class Talkers:
    """Looks up what was said, by whom.

    Parameters
    ----------
    voices
        What there is to hear; all loops that are heard together are of one length.
    """

    def __init__(self, voices: Sequence[Voice]) -> None:
        self._loops = [to_search_rate(voice.codec.decode(voice.frames), voice.codec.sample_rate_hz) for voice in voices]
        self._searches: dict[tuple[int, ...], AudioSearch] = {}

    def find(self, voices: Collection[int], piece: NDArray[np.float64]) -> tuple[int, float]:
        """Find where in the loops of these voices, which speak in turn, a piece begins; see :class:`AudioSearch`."""
        key = tuple(sorted(set(voices)))
        # Its spectrum is made once for each set of voices that are heard together.
        search = self._searches.get(key)
        if search is None:
            shortest = min(len(self._loops[voice]) for voice in key)
            mixed = np.sum([self._loops[voice][:shortest] for voice in key], axis=0)
            search = self._searches[key] = AudioSearch(mixed)
        return search.find(piece)

    def speaking(self, voices: Sequence[int], position: int, length: int) -> int | None:
        """Return which of these voices (its place among them) says most in a part of the loop; None: none says enough.

        Parameters
        ----------
        voices
            Numbers of voices.
        position, length
            The part, in samples at ``SEARCH_RATE_HZ``; it may go on at the loop's beginning.
        """
        blocks = max(length // _BLOCK, 1)
        loud = [self._loud_blocks(voice, position, blocks) for voice in voices]
        most = int(np.argmax(loud))
        return most if loud[most] >= _LEAST_LOUD * blocks else None

    def heard(self, voices: Sequence[int], position: int, piece: NDArray[np.float64]) -> int | None:
        """Return which of these voices is heard most in a piece from a place of the loop; None: none is.

        A piece may hold the end of one turn and the beginning of the next: each voice is looked for where it speaks
        itself, since what the other one says there proves the place, and nothing about this one.
        """
        blocks = max(len(piece) // _BLOCK, 1)
        heard = np.zeros(blocks * _BLOCK)
        heard[: len(piece)] = piece[: len(heard)]
        said = [self._part(voice, position, blocks) for voice in voices]
        loud = [_is_loud(part) for part in said]
        known = [
            int(where.sum()) if _likeness(part[where], heard.reshape(blocks, _BLOCK)[where]) >= LEAST_LIKENESS else 0
            for part, where in zip(said, loud, strict=True)
        ]
        most = int(np.argmax(known))
        return most if known[most] >= _LEAST_LOUD * blocks else None

    def _loud_blocks(self, voice: int, position: int, blocks: int) -> int:
        return int(_is_loud(self._part(voice, position, blocks)).sum())

    def _part(self, voice: int, position: int, blocks: int) -> NDArray[np.float64]:
        places = np.arange(position, position + blocks * _BLOCK)
        return np.take(self._loops[voice], places, mode="wrap").reshape(blocks, _BLOCK)


def _is_loud(part: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of (n, samples) blocks hold sound."""
    is_loud: NDArray[np.bool_] = np.square(part).mean(axis=1) > SILENCE_MEAN_SQUARE
    return is_loud


def _likeness(said: NDArray[np.float64], heard: NDArray[np.float64]) -> float:
    """Return the correlation coefficient of two arrays of one shape; 0 where one of them is silent."""
    scale = np.sqrt(np.square(said).sum() * np.square(heard).sum())
    return float((said * heard).sum() / scale) if scale > 1.0 else 0.0
