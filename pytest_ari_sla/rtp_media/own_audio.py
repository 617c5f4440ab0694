"""What the streams of a group say where each says something of its own: callers who speak when they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp_media.commands import StartLeg

__all__ = ["OwnAudio", "says_its_own"]


def says_its_own(start: StartLeg) -> bool:
    """Whether a stream began to say something at a time of its own; with probes or keys it is in a group of its own."""
    return bool(start.audio_turn) and start.nonce is None and start.event_offset < 0


class OwnAudio:
    """Writes the next frame of each stream into its packet, all of them at once.

    Parameters
    ----------
    frames
        (bytes,) uint8. The audio of all voices.
    place
        (capacity, frame_bytes) uint8. Where the frame of each stream goes.
    """

    def __init__(self, frames: NDArray[np.uint8], place: NDArray[np.uint8]) -> None:
        capacity, self._frame_bytes = place.shape
        self._place = place
        # A view of every place where a frame can begin: the frames of all streams are copied by one indexing.
        self._frame_at = sliding_window_view(frames, self._frame_bytes)
        self._offsets = np.zeros(capacity, np.int64)
        self._counts = np.ones(capacity, np.int64)
        self._turns = np.zeros(capacity, np.int64)

    def enter(self, row: int, start: StartLeg) -> None:
        """Take a stream in."""
        self._offsets[row] = start.frame_offset
        self._counts[row] = start.frame_count
        self._turns[row] = start.audio_turn

    def move(self, source: int, row: int) -> None:
        """Let a stream have another row."""
        for column in (self._offsets, self._counts, self._turns):
            column[row] = column[source]

    def write(self, turn: int, count: int) -> None:
        """Write the frames of a turn into the first rows."""
        frame = (turn - self._turns[:count]) % self._counts[:count]
        self._place[:count] = self._frame_at[self._offsets[:count] + frame * self._frame_bytes]
