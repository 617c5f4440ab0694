"""A clock that tests set, as an administrator or NTP would."""

from __future__ import annotations

import time

__all__ = ["SettableClock"]


class SettableClock:
    """The clocks of this machine, the one of which is set in our eyes alone."""

    monotonic_ns = staticmethod(time.monotonic_ns)

    def __init__(self) -> None:
        self.step_ns = 0

    def time_ns(self) -> int:
        """Time since the Unix epoch, as it was set."""
        return time.time_ns() + self.step_ns
