"""Whether a load ends, how soon, and why: what its driver decides and its calls look at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.errors import SlaError

__all__ = ["LoadEnd", "set_within"]


class LoadEnd:
    """The end of a load, which has come or not.

    Attributes
    ----------
    hurried
        Whether what is on its way is not waited for.
    broken_by
        What made the load end; None for its plan, or somebody who asked for it.
    lost_target
        Why there is nothing any more that could hold its calls.
    on_end
        Called each time that somebody asks for the end.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._has_come = asyncio.Event()
        self._on_end = on_end
        self.hurried = False
        self.broken_by: BaseException | None = None
        self.lost_target: SlaError | None = None

    @property
    def has_come(self) -> bool:
        """Whether no more calls are started, and those that are up end."""
        return self._has_come.is_set()

    async def within(self, seconds: float) -> bool:
        """Wait for the end, but not for longer than so many seconds; return whether it has come."""
        return await set_within(self._has_come, seconds) if seconds > 0 else self.has_come

    def ask(self, *, hurried: bool = False) -> None:
        """Let it come; hurried: without waiting for what is still on its way."""
        self.hurried |= hurried  # once in a hurry, always
        self._has_come.set()
        self._on_end()

    def give_up(self, error: BaseException) -> None:
        """Let it come because of this."""
        self.broken_by = self.broken_by or host_limit(error) or error  # the first cause: what follows comes of it
        self.ask(hurried=True)

    def lose_target(self, error: SlaError) -> None:
        """Let it come since the target has gone."""
        self.lost_target = self.lost_target or error
        self.give_up(error)

    @property
    def target_loss(self) -> str:
        """How the target was lost, in a line; empty as long as it is there."""
        return str(self.lost_target).splitlines()[0] if self.lost_target is not None else ""


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but not for longer than so many seconds; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
