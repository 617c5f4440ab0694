"""What a session noticed and a report should mention, without the same words a thousand times."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.observer import AriNote

if TYPE_CHECKING:
    from pytest_ari_sla.clock import Clock

__all__ = ["Notes"]

#: Notes of different words that are kept; what says the same again is counted.
NOTES_KEPT = 200

#: What differs between notes that say the same: ids of ours, and numbers.
_PARTICULARS = re.compile(r"[a-z0-9-]+\.(?:[a-z]\d{7}\.)+|\d+(?:\.\d+)?")


class Notes:
    """The notes of one session.

    Attributes
    ----------
    left_out
        How many notes of still other words there were.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._notes: dict[tuple[str, str], AriNote] = {}
        self.left_out = 0

    def take(self, kind: str, reason: str) -> None:
        """Take a note; one that differs from an earlier one in ids and numbers only is counted there."""
        key = kind, _PARTICULARS.sub("#", reason)
        known = self._notes.get(key)
        if known is not None:
            self._notes[key] = replace(known, times=known.times + 1)
        elif len(self._notes) < NOTES_KEPT:
            self._notes[key] = AriNote(self._clock.time_ns(), kind, reason)
        else:
            self.left_out += 1

    def all(self) -> list[AriNote]:
        """Return them, the oldest first."""
        return list(self._notes.values())
