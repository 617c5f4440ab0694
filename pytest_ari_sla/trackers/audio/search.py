"""Finding a piece of audio in a loop that it was played from, after a codec or two had it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SEARCH_RATE_HZ", "AudioSearch", "to_search_rate"]

SEARCH_RATE_HZ = 8000
"""Rate at which audio is compared: what every telephone codec keeps; a place is found to 125 µs."""


def to_search_rate(samples: NDArray[np.int16], sample_rate_hz: int) -> NDArray[np.float64]:
    """Bring (k,) samples to ``SEARCH_RATE_HZ`` by averaging neighbours.

    Raises
    ------
    ValueError
        When the rate is not a multiple.
    """
    factor, rest = divmod(sample_rate_hz, SEARCH_RATE_HZ)
    if rest or not factor:
        message = f"audio at {sample_rate_hz} Hz cannot be brought to {SEARCH_RATE_HZ} Hz by averaging"
        raise ValueError(message)
    whole = samples[: len(samples) // factor * factor]
    averaged: NDArray[np.float64] = whole.reshape(-1, factor).mean(axis=1, dtype=np.float64)
    return averaged


class AudioSearch:
    """Looks pieces up in a loop, by circular cross-correlation: level, noise and coding do not matter much.

    Parameters
    ----------
    loop
        (length,) float64 at ``SEARCH_RATE_HZ``. Audio that is played over and over.
    """

    def __init__(self, loop: NDArray[np.float64]) -> None:
        self._length = len(loop)
        self._spectrum = np.fft.rfft(loop)
        # Twice around: a piece may go over the loop's end.
        self._energy = np.concatenate(([0.0], np.cumsum(np.tile(np.square(loop), 2))))

    def find(self, piece: NDArray[np.float64]) -> tuple[int, float]:
        """Find where in the loop a piece (at most as long as the loop) begins.

        Returns
        -------
        position, likeness
            The sample where it fits best, and how well: 1 is the same but for the level, 0 is nothing alike or silence.
        """
        # By FFT, n log n: for each place one after the other it would be n times the piece's length.
        products = np.fft.irfft(self._spectrum * np.fft.rfft(piece, self._length).conj(), self._length)
        local_energy = self._energy[len(piece) :][: self._length] - self._energy[: self._length]
        scale = np.sqrt(np.maximum(local_energy * np.square(piece).sum(), 0.0))
        # Samples are whole numbers: what has less energy than one of them is silence, and rounding noise.
        likeness = np.divide(products, scale, out=np.zeros(self._length), where=scale > 1.0)
        position = int(np.argmax(likeness))
        return position, float(likeness[position])
