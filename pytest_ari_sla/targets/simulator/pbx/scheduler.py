"""What is to happen later: steps with a time, run when that time is told to have come."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ScheduledStep", "Scheduler"]


@dataclass(order=True)
class ScheduledStep:
    """A step at a time.

    Attributes
    ----------
    due_ns
        When it is to run.
    number
        Order among steps of the same time.
    step
        What to run; None once it is cancelled or done.
    """

    due_ns: int
    number: int
    step: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """Do not run the step; after it has run this does nothing."""
        self.step = None


class Scheduler:
    """Steps in order of their time. It has no clock: :meth:`advance` is told the time.

    Attributes
    ----------
    now_ns
        The time that was told last. While a step runs it is the time of that step, so that what follows from it is
        not delayed by a late caller.
    """

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns
        self._numbers = count()
        self._appointments: list[ScheduledStep] = []

    def after(self, delay_ns: int, step: Callable[[], None]) -> ScheduledStep:
        """Let a step run ``delay_ns`` from now."""
        scheduled = ScheduledStep(self.now_ns + delay_ns, next(self._numbers), step)
        heapq.heappush(self._appointments, scheduled)
        return scheduled

    def advance(self, now_ns: int) -> None:
        """Run all steps that are due, in order, also those that they add."""
        while self._appointments and self._appointments[0].due_ns <= now_ns:
            scheduled = heapq.heappop(self._appointments)
            if scheduled.step is not None:
                step, scheduled.step = scheduled.step, None
                self.now_ns = max(self.now_ns, scheduled.due_ns)
                step()
        self.now_ns = max(self.now_ns, now_ns)

    def next_due_ns(self) -> int | None:
        """When to call :meth:`advance` next; None while nothing is to happen."""
        # A heap gives up nothing from its middle: what was cancelled goes when it has come to the top.
        while self._appointments and self._appointments[0].step is None:
            heapq.heappop(self._appointments)
        return self._appointments[0].due_ns if self._appointments else None
