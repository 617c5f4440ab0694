"""The kernel's stamps on a clock that nobody sets.

The kernel stamps packets with CLOCK_REALTIME, which an operator, NTP or a virtual machine's host may set at any moment.
CLOCK_MONOTONIC is never set, and both are slewed alike, so that what lies between them changes by steps only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.clock import Clock

__all__ = ["StampClock"]

_STEP_NS = 1_000_000
"""A smaller difference is not a step: reading two clocks takes time, most of all where we are interrupted."""

_LATELY_NS = 1_000_000_000
"""For so long after a step there may be packets in a socket that were stamped before it."""

_READINGS = 3


class StampClock:
    """Follows the steps of CLOCK_REALTIME.

    Parameters
    ----------
    epoch_ns
        What CLOCK_MONOTONIC lacked to CLOCK_REALTIME at the beginning.
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
    was_set_lately
        Whether there may be packets around that were stamped before the last step.
    """

    def __init__(self, epoch_ns: int, clock: Clock = time) -> None:
        self.monotonic_ns, self._realtime_ns = clock.monotonic_ns, clock.time_ns
        self.epoch_ns = epoch_ns
        self.step_ns = self._before_ns = 0
        self.steps = 0
        self.was_set_lately = False
        self._set_at_ns = 0

    def now_ns(self) -> int:
        """Return the time, ns since the Unix epoch without any step, and look whether the other clock was set."""
        now_ns = self.monotonic_ns() + self.epoch_ns
        if abs(self._realtime_ns() - now_ns - self.step_ns) > _STEP_NS:
            self._look_closely(now_ns)
        if self.was_set_lately and now_ns - self._set_at_ns > _LATELY_NS:
            self.was_set_lately = False
        return now_ns

    def _look_closely(self, now_ns: int) -> None:
        """Take a step note of, unless we were only interrupted between the two clocks."""
        readings = (self._realtime_ns() - self.monotonic_ns() - self.epoch_ns for _ in range(_READINGS))
        # An interruption between the two clocks shifts one reading, a step shifts all of them.
        step_ns = min(readings, key=lambda reading: abs(reading - self.step_ns))
        if abs(step_ns - self.step_ns) > _STEP_NS:
            self._before_ns, self.step_ns = self.step_ns, step_ns
            self.steps += 1
            self.was_set_lately, self._set_at_ns = True, now_ns

    def steps_at(self, stamps_ns: NDArray[np.int64], since_ns: int) -> NDArray[np.int64]:
        """Return by how much the clock had been set when it gave these stamps.

        Parameters
        ----------
        stamps_ns
            (n,) By CLOCK_REALTIME.
        since_ns
            None of them came before this time.
        """
        arrival_ns = stamps_ns - self.step_ns
        now_ns = self.monotonic_ns() + self.epoch_ns
        # With the new step they would have come in the future, or before the last look into their socket.
        is_older = (arrival_ns > now_ns + _STEP_NS) | (arrival_ns < since_ns - _STEP_NS)
        return np.where(is_older, self._before_ns, self.step_ns)
