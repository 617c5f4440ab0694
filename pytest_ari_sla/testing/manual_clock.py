"""A clock that moves when it is told to."""

from __future__ import annotations

__all__ = ["START_NS", "ManualClock"]

START_NS = 1_700_000_000_000_000_000
"""A moment of November 2023, ns since the Unix epoch: large enough that careless 32-bit arithmetic shows."""


class ManualClock:
    """Time as a number that a test moves; it never runs by itself and never goes back.

    Attributes
    ----------
    now_ns
        The present, ns since the Unix epoch.
    """

    def __init__(self, now_ns: int = START_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        """Return the present, so that the clock can stand in for ``time.time_ns``."""
        return self.now_ns

    def time_ns(self) -> int:
        """Return the present, as ``time.time_ns`` does."""
        return self.now_ns

    def monotonic_ns(self) -> int:
        """Return the present, as ``time.monotonic_ns`` does, from the same beginning."""
        return self.now_ns

    def advance(self, duration_ns: int) -> int:
        """Let time pass and return the new present.

        Raises
        ------
        ValueError
            For a negative duration.
        """
        if duration_ns < 0:
            message = f"time does not go back by {-duration_ns} ns"
            raise ValueError(message)
        self.now_ns += duration_ns
        return self.now_ns

    def advance_to(self, moment_ns: int) -> int:
        """Let time pass until a moment that is not past, and return it."""
        return self.advance(moment_ns - self.now_ns)
