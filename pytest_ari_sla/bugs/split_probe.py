"""Asks for a variable of a channel that there is not, which needs each channel's lock, and beside it for a list.

Asterisk looks for an id among all its channels, one after the other, and takes the lock of each: a channel that exists
may be found before the one that is stuck, one that does not never is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import aiohttp

from pytest_ari_sla.ari_client.queries import NO_CHANNEL
from pytest_ari_sla.bugs.stall import Stall, StallRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.ari.endpoint import AriEndpoint

__all__ = ["SplitProbe"]

EVERY_S = 0.1
PATIENCE_S = 60.0


class SplitProbe:
    """Looks for stalls from its beginning to its end; an asynchronous context manager.

    Parameters
    ----------
    endpoint
        The ARI.
    now_ns
        A monotonic clock.

    Attributes
    ----------
    worst
        The longest stall so far; None where there was none.
    """

    def __init__(self, endpoint: AriEndpoint, now_ns: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._variable = f"{endpoint.base_url}/channels/{NO_CHANNEL}/variable"
        self._list = f"{endpoint.base_url}/channels"
        self._now_ns = now_ns
        self._rule = StallRule()
        self._asked_ns: int | None = None
        self.worst: Stall | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers={"Authorization": self._endpoint.authorization},
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        )
        # Side by side: a list that is answered proves a stall only while the other request hangs.
        self._tasks = [
            asyncio.create_task(self._probe(), name="probe"),
            asyncio.create_task(self._look(), name="lists"),
        ]
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._http.close()

    def has_lasted(self, at_least_s: float) -> bool:
        """Whether a stall has lasted so long."""
        return self.worst is not None and self.worst.duration_ns >= at_least_s * 1e9

    async def stalled(self, within_s: float, at_least_s: float) -> Stall | None:
        """Wait for a stall of this length that begins within so many seconds; return it, or None.

        A shorter one is none: on a busy machine a request may be late, and faults of the kind that is looked for last.
        """
        end_ns = self._now_ns() + int(within_s * 1e9)
        # One that has begun in time may last beyond it: it is given twice the length that is looked for.
        while not self.has_lasted(at_least_s):
            began_ns = self._now_ns() if self._asked_ns is None else self._asked_ns
            if began_ns >= end_ns or self._now_ns() >= end_ns + int(2 * at_least_s * 1e9):
                return None
            await asyncio.sleep(EVERY_S)
        return self.worst

    async def _probe(self) -> None:
        while True:
            self._asked_ns = self._now_ns()
            await self._ask(self._variable, variable="CHANNEL(state)")
            self._judge()
            self._asked_ns = None
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        while True:
            asked_ns = self._now_ns()
            if await self._ask(self._list):
                self._rule.list_answered(asked_ns, self._now_ns())
            self._judge()
            await asyncio.sleep(EVERY_S)

    async def _ask(self, url: str, **params: str) -> bool:
        """Ask; return whether it was answered. What is not is nobody's stall: a dead Asterisk answers neither."""
        try:
            async with self._http.get(url, params=params) as response:
                await response.read()
                return True
        except (aiohttp.ClientError, TimeoutError):
            # Without a pause it would ask a dead Asterisk as fast as it can.
            await asyncio.sleep(EVERY_S)
            return False

    def _judge(self) -> None:
        if self._asked_ns is None:
            return
        stall = self._rule.judge(self._asked_ns, self._now_ns())
        if stall is not None and (self.worst is None or stall.duration_ns > self.worst.duration_ns):
            self.worst = stall
