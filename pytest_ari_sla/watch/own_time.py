"""What the watch itself costs: processor time of its steps, second by second."""

from __future__ import annotations

import time
from types import coroutine
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.metrics.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["OwnTime"]

_SHARE_STEPS = 10_000


class OwnTime:
    """Adds up what coroutines take of their thread's processor time, from each resumption to the next suspension.

    Reading what arrives is the event loop's, and not in it.

    Parameters
    ----------
    thread_time_ns
        What this thread has used of the processor.

    Attributes
    ----------
    shares
        Share of a core of each second, in steps of 1/10,000.
    """

    def __init__(self, thread_time_ns: Callable[[], int] = time.thread_time_ns) -> None:
        self._thread_time_ns = thread_time_ns
        self._spent_ns = 0
        self._looked: tuple[int, int] | None = None
        self.shares = Histogram()

    async def of(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine, and count what it takes."""
        await self._metered(work)

    @coroutine
    def _metered(self, work: Coroutine[Any, Any, None]) -> Generator[Any, None, None]:
        raised: BaseException | None = None
        while True:
            began_ns = self._thread_time_ns()
            try:
                waits_for = work.send(None) if raised is None else work.throw(raised)
            except StopIteration:
                return
            finally:
                self._spent_ns += self._thread_time_ns() - began_ns
            raised = None
            try:
                yield waits_for
            except BaseException as thrown:  # a cancellation is the coroutine's to hear
                raised = thrown

    def look(self, at_ns: int) -> None:
        """Enter the share since the last time, once a second."""
        if self._looked is not None and at_ns > self._looked[0]:
            before_ns, spent_ns = self._looked
            self.shares.record_one(round((self._spent_ns - spent_ns) / (at_ns - before_ns) * _SHARE_STEPS))
        self._looked = at_ns, self._spent_ns
