"""The kernel's stamps on a clock that nobody sets.

The kernel stamps packets with CLOCK_REALTIME, which an operator, NTP or a virtual machine's host may set at any moment.
CLOCK_MONOTONIC is never set, and both are slewed alike, so that what lies between them changes by steps only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.clock import epoch_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.clock import Clock

__all__ = ["LATELY_NS", "StampClock"]

_STEP_NS = 1_000_000
"""A smaller difference is not a step: reading two clocks takes time, most of all where we are interrupted."""

LATELY_NS = 1_000_000_000
"""For so long after a step there may be packets in a socket that were stamped before it, or longer if nobody reads."""

_READINGS = 3


class StampClock:
    """Follows the steps of CLOCK_REALTIME.

    Parameters
    ----------
    epoch_ns
        What CLOCK_MONOTONIC lacked to CLOCK_REALTIME at the beginning; by default now.
    clock
        Both of them.

    Attributes
    ----------
    step_ns
        By how much CLOCK_REALTIME has been set since.
    steps
        How often.
    monotonic_ns
        Reads CLOCK_MONOTONIC.
    """

    def __init__(self, epoch_ns: int | None = None, clock: Clock = time) -> None:
        self.monotonic_ns, self._realtime_ns = clock.monotonic_ns, clock.time_ns
        self.epoch_ns = epoch_of(clock) if epoch_ns is None else epoch_ns
        self.step_ns = self._before_ns = 0
        self.steps = 0
        self._set_at_ns = -1 << 62

    def now_ns(self) -> int:
        """Return the time, ns since the Unix epoch without any step, and look whether the other clock was set."""
        now_ns = self.monotonic_ns() + self.epoch_ns
        if abs(self._realtime_ns() - now_ns - self.step_ns) > _STEP_NS:
            self._look_closely(now_ns)
        return now_ns

    def _look_closely(self, now_ns: int) -> None:
        """Take a step note of, unless we were only interrupted between the two clocks."""
        readings = (self._realtime_ns() - self.monotonic_ns() - self.epoch_ns for _ in range(_READINGS))
        # An interruption between the two clocks shifts one reading, a step shifts all of them.
        step_ns = min(readings, key=lambda reading: abs(reading - self.step_ns))
        if abs(step_ns - self.step_ns) > _STEP_NS:
            self._before_ns, self.step_ns = self.step_ns, step_ns
            self.steps += 1
            self._set_at_ns = now_ns

    def was_set_since(self, since_ns: int) -> bool:
        """Whether a socket that was empty at a time may hold, or have given, stamps from before the last step."""
        return since_ns < self._set_at_ns + LATELY_NS

    def steps_at(self, stamps_ns: NDArray[np.int64], since_ns: int) -> NDArray[np.int64]:
        """Return by how much the clock had been set when it gave these stamps, which a socket has just given.

        Parameters
        ----------
        stamps_ns
            (n,) By CLOCK_REALTIME.
        since_ns
            None of them came before this time.
        """
        now_ns = self.now_ns()
        newer_ns, older_ns = stamps_ns - self.step_ns, stamps_ns - self._before_ns
        is_older = ~_lies(newer_ns, since_ns, now_ns) & _lies(older_ns, since_ns, now_ns)
        arrival_ns = np.where(is_older, older_ns, newer_ns)
        # Set twice, it may fit neither. But a time to come would let the measuring side wait until then.
        steps_ns: NDArray[np.int64] = stamps_ns - arrival_ns.clip(since_ns, now_ns)
        return steps_ns

    def arrivals_ns(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return when packets came, which a socket has just given that is never left alone for long ((n,) ns)."""
        since_ns = self.now_ns() - LATELY_NS
        return stamps_ns - (self.steps_at(stamps_ns, since_ns) if self.was_set_since(since_ns) else self.step_ns)


def _lies(times_ns: NDArray[np.int64], since_ns: int, now_ns: int) -> NDArray[np.bool_]:
    return (times_ns >= since_ns - _STEP_NS) & (times_ns <= now_ns + _STEP_NS)
