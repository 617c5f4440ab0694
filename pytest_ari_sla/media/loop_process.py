"""The process that the media loop runs in, seen from the one that commands it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import Child
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.media.loop_memory import Gauge

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.media.loop_memory import LoopMemory

__all__ = ["LoopProcess"]

_POLL_S = 0.002


class LoopProcess:
    """Starts the loop, commands it, and ends it. All methods belong to one event loop.

    Parameters
    ----------
    module
        What ``python -m`` runs: a module that ends in :func:`pytest_ari_sla.media.slot_loop.run_loop`.
    memory
        What it shares with us; outlives it.
    realtime
        Whether to ask for SCHED_FIFO.

    Raises
    ------
    OSError
        When there can be no more processes or files.
    """

    def __init__(self, module: str, memory: LoopMemory, *, realtime: bool) -> None:
        self._memory = memory
        self._stopped = False
        layout = msgspec.json.encode(memory.layout).decode()
        arguments = [layout, str(memory.descriptor), "realtime" if realtime else "normal"]
        self._child = Child(module, arguments, handles=[memory.descriptor])
        self._orders: Channel[None] = Channel(self._child.control)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    def command(self, command: msgspec.Struct, attached: socket.socket | None = None) -> None:
        """Give an order, with a socket if it is about one.

        Raises
        ------
        MediaLoopFailed
            When the loop is gone.
        """
        try:
            self._orders.send(command, None if attached is None else attached.fileno())
        except OSError as error:
            raise self._gone() from error
        self._memory.gauges[Gauge.COMMANDS_SENT] += 1

    async def obeyed(self) -> None:
        """Wait until the loop has carried out every order so far.

        Raises
        ------
        MediaLoopFailed
            When it ended instead.
        """
        wanted = int(self._memory.gauges[Gauge.COMMANDS_SENT])
        while self._memory.gauges[Gauge.COMMANDS_DONE] < wanted:
            self.ensure_alive()
            await asyncio.sleep(_POLL_S)

    def ensure_alive(self) -> None:
        """Find out whether the loop ended by itself.

        Raises
        ------
        MediaLoopFailed
            When it did.
        """
        if not self._stopped and self._child.has_ended:
            raise self._gone()

    def _gone(self) -> MediaLoopFailed:
        ending = self._child.ending() if self._child.has_ended else "does not take orders any more"
        return MediaLoopFailed(
            f"the process that moves packets {ending}; no packet was sent or measured since (its own words, if any, "
            "are on stderr)"
        )

    async def stop(self) -> None:
        """End the loop, by force where it does not by itself; within 100 ms."""
        self._stopped = True
        self._child.hang_up()
        self._memory.gauges[Gauge.COMMANDS_SENT] += 1  # lets the loop look at its command socket in the next slot
        await asyncio.to_thread(self._child.end)
