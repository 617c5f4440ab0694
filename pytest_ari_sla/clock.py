"""The time, as those are given it who must know it: the module ``time``, or what a test puts in its place."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Clock", "ProcessClock", "epoch_of"]

_READINGS = 3


class Clock(Protocol):
    """What is asked for the time; the module ``time`` is one."""

    def monotonic_ns(self) -> int:
        """Return ns since some fixed point; never steps back."""

    def time_ns(self) -> int:
        """Return ns since the Unix epoch."""


class ProcessClock(Clock, Protocol):
    """What a process asks that counts its own processor time; the module ``time`` is one."""

    def process_time_ns(self) -> int:
        """Return the processor time of this process."""

    def sleep(self, seconds: float, /) -> None:
        """Do nothing for so long."""


def epoch_of(clock: Clock) -> int:
    """Return what the monotonic clock lacks to the wall clock now, in ns."""
    # An interruption between the two clocks makes one reading too large or too small, and not the one in the middle.
    readings = sorted(clock.time_ns() - clock.monotonic_ns() for _ in range(_READINGS))
    return readings[_READINGS // 2]
