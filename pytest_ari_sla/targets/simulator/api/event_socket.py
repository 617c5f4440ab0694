"""One event WebSocket: a line of events in order, and the faults that can befall it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from pytest_ari_sla.targets.simulator.faults import Dice

__all__ = ["EventSocket"]

MOST_WAITING = 10_000
"""Events that nobody reads. Asterisk cuts a slow reader off after 100 ms; here it may be our own machine that is slow,
so that only one counts who does not read at all."""


class EventSocket:
    """Sends events to whoever listens, one after the other.

    Parameters
    ----------
    socket
        The open WebSocket.
    dice
        Chooses which events meet with a fault.
    cut
        Cuts the connection off, without a closing handshake.
    """

    def __init__(self, socket: web.WebSocketResponse, dice: Dice, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._socket = socket
        self._dice = dice
        self._line: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._held_back: dict[str, Any] | None = None
        self._hangs = False

    def put(self, event: dict[str, Any]) -> None:
        """Queue an event, unless it is to be lost; one that is to be reordered waits for the next."""
        if self._dice.hits("lost_event_ratio"):
            return
        if self._held_back is None and self._dice.hits("reordered_event_ratio"):
            self._held_back = event
            return
        if self._line.qsize() >= MOST_WAITING:
            self._cut()
            return
        self._line.put_nowait(event)
        if self._held_back is not None:
            self._line.put_nowait(self._held_back)
            self._held_back = None

    async def serve(self) -> None:
        """Send until the other side closes the socket."""
        faults = self._dice.faults
        tasks = [asyncio.create_task(self._send_events()), asyncio.create_task(self._await_end())]
        if faults.websocket_close_after_s:
            tasks.append(asyncio.create_task(self._close_after(faults.websocket_close_after_s)))
        if faults.websocket_hang_after_s:
            tasks.append(asyncio.create_task(self._hang_after(faults.websocket_hang_after_s)))
        try:
            await tasks[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close the socket because the server ends."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _send_events(self) -> None:
        # A listener that is gone ends the socket, and with it this task.
        with contextlib.suppress(ConnectionError):
            while True:
                event = await self._line.get()
                if self._dice.hits("delayed_event_ratio"):
                    await asyncio.sleep(self._dice.faults.delayed_event_s)
                # A hung one is emptied all the same, lest its events pile up here.
                if not self._hangs:
                    await self._socket.send_str(json.dumps(event, separators=(",", ":")))

    async def _await_end(self) -> None:
        async for _ in self._socket:
            pass  # ARI's event socket takes no messages from this side

    async def _close_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._socket.close(code=WSCloseCode.INTERNAL_ERROR)

    async def _hang_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._hangs = True
