"""Growth at constant load: the only thing that tells a leak from a process that is simply busy.

Asterisk's memory follows the most calls it ever held and stays there, so rising readings alone mean nothing. Compared
are readings with the same number of channels, after a first wave of calls has come and gone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GrowthWatch", "growth"]

CHANNEL_TOLERANCE = 0.02
LEAST_READINGS = 10
KEPT_READINGS = 3600  # an hour, one each second: a longer soak is judged by its last hour


@dataclass(frozen=True)
class _Reading:
    time_s: float
    channels: int
    level: float


def growth(times_s: NDArray[np.float64], levels: NDArray[np.float64]) -> float:
    """Return by how much a level has risen from the first reading to the last: Theil-Sen slope times duration.

    The median of the slopes between all pairs of readings: a few outliers do not matter.
    """
    step = max(1, len(times_s) // 300)  # 45,000 pairs are plenty
    times_s, levels = times_s[::step], levels[::step]
    first, second = np.triu_indices(len(times_s), 1)
    slopes = (levels[second] - levels[first]) / (times_s[second] - times_s[first])
    return float(np.median(slopes) * (times_s[-1] - times_s[0]))


class GrowthWatch:
    """Watches one level for growth at constant load.

    Parameters
    ----------
    warm_up_s
        How long the first wave of calls lasts: readings before are not used.
    """

    def __init__(self, warm_up_s: float) -> None:
        self._warm_up_s = warm_up_s
        self._begin_s: float | None = None
        self._readings: deque[_Reading] = deque(maxlen=KEPT_READINGS)

    def add(self, time_s: float, channels: int, level: float) -> None:
        """Take in a reading; the warm-up begins with the first one that finds a channel."""
        # An idle Asterisk before the load is no part of the first wave.
        if self._begin_s is None and channels:
            self._begin_s = time_s
        if self._begin_s is not None and time_s >= self._begin_s + self._warm_up_s:
            self._readings.append(_Reading(time_s, channels, level))

    def growth(self) -> float | None:
        """Return the growth at the most frequent number of channels; None without ten readings there."""
        if not self._readings:
            return None
        channels = np.array([reading.channels for reading in self._readings])
        usual = np.bincount(channels).argmax()
        # At least one channel: with few calls, one that ends just before the next begins is no other load.
        steady = np.abs(channels - usual) <= max(1, CHANNEL_TOLERANCE * usual)
        if usual == 0 or np.count_nonzero(steady) < LEAST_READINGS:
            return None
        times_s = np.array([reading.time_s for reading in self._readings])[steady]
        return growth(times_s, np.array([reading.level for reading in self._readings])[steady])
