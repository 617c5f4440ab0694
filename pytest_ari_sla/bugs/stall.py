"""When channel requests hang while lists are still answered: the sign of a lock that a channel's thread holds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median_high

__all__ = ["Stall", "StallRule"]

STALL_NS = 1_000_000_000
"""A request about one channel that takes longer hangs: an idle Asterisk answers in 1 ms, a busy one in some 100."""

LIST_NS = 500_000_000
"""Lists that take longer are slow as well: then the whole machine, or the HTTP server, is; one of many may be."""

LISTS_KEPT = 100


@dataclass(frozen=True)
class Stall:
    """A stall of channel requests.

    Attributes
    ----------
    duration_ns
        How long one request about a channel has been waiting, or has waited.
    list_ns
        What a list took in this time, the median.
    """

    duration_ns: int
    list_ns: int

    def words(self) -> str:
        """Return it as part of a sentence."""
        return (
            f"requests about one channel waited {self.duration_ns / 1e9:.1f} s while lists were answered in "
            f"{self.list_ns / 1e6:.0f} ms"
        )


class StallRule:
    """Judges a split probe: a request that needs a channel's lock, beside one that is answered from a cache.

    Whatever stands still as a whole (this process, the machine, Asterisk's HTTP server) delays both, and is no stall.
    """

    def __init__(self) -> None:
        self._lists: deque[tuple[int, int]] = deque(maxlen=LISTS_KEPT)

    def list_answered(self, asked_ns: int, answered_ns: int) -> None:
        """Take note of an answer to a list request."""
        self._lists.append((asked_ns, answered_ns))

    def judge(self, asked_ns: int, now_ns: int) -> Stall | None:
        """Return the stall of a channel request that was asked then, and is pending or was answered now; or None.

        At least two lists must have been asked and answered since half a stall after it was asked, most of them
        quickly.
        """
        if now_ns - asked_ns < STALL_NS:
            return None
        beside = [end - begin for begin, end in self._lists if begin >= asked_ns + STALL_NS // 2 and end <= now_ns]
        if len(beside) < 2 or median_high(beside) > LIST_NS:
            return None
        return Stall(now_ns - asked_ns, median_high(beside))
