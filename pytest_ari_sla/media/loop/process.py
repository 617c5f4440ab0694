"""The process that the media loop runs in, seen from the one that commands it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import Child
from pytest_ari_sla.children.standstill import Standstill
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.media.loop.memory import Gauge

if TYPE_CHECKING:
    import socket

    from pytest_ari_sla.media.loop.memory import LoopMemory

__all__ = ["LoopProcess"]

STANDSTILL_S = 15.0
"""A loop that does nothing for so long is given up: nothing of the load that was asked for is sent any more."""

START_S = 90.0
"""How long it may take to begin: on a machine that does much else, Python alone takes 20 s to start."""

# an order takes a slot or two; telling of it by anything but a number would cost the loop a system call
_POLL_S = 0.002


class LoopProcess:
    """Starts the loop, commands it, and ends it. All methods belong to one event loop.

    Parameters
    ----------
    module
        What ``python -m`` runs: a module that ends in :func:`pytest_ari_sla.media.loop.slot_loop.run_loop`.
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
        self._standstill = Standstill()
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
            # The order before its number: a loop that sees the number finds the order there.
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
        """Find out whether the loop ended by itself, or stands still.

        Raises
        ------
        MediaLoopFailed
            When it did, or has done so for `STANDSTILL_S`.
        """
        if self._stopped:  # ended by us: that is no failure
            return
        if self._child.has_ended:
            raise self._gone()
        gauges = self._memory.gauges
        # One that has nothing to do yet counts nothing up.
        is_idle = not gauges[Gauge.ORIGIN_NS] and gauges[Gauge.COMMANDS_SENT] == gauges[Gauge.COMMANDS_DONE]
        count = -1 if is_idle else int(self._memory.turns.sum())
        stood_s = self._standstill.look(count, time.monotonic())
        if not is_idle and stood_s >= (STANDSTILL_S if gauges[Gauge.ORIGIN_NS] else START_S):
            raise MediaLoopFailed(
                f"the process that moves packets stands still since {stood_s:.0f} s{self._child.stopped_by}; no packet "
                "was sent or measured since"
            )

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
