"""The process that the media loop runs in, seen from the one that commands it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.media.loop_memory import Gauge

if TYPE_CHECKING:
    from pytest_ari_sla.media.loop_memory import LoopMemory

__all__ = ["LoopProcess"]

STOP_S = 0.08
"""How long the loop may take to end by itself: with the kill that follows, stopping stays under 100 ms."""

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
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        inherited = (memory.descriptor, theirs.fileno())
        layout = msgspec.json.encode(memory.layout).decode()
        command = [sys.executable, "-m", module, layout, *map(str, inherited)]
        with theirs:
            self._process = subprocess.Popen([*command, "realtime" if realtime else "normal"], pass_fds=inherited)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def command(self, command: msgspec.Struct, attached: socket.socket | None = None) -> None:
        """Give an order, with a socket if it is about one.

        Raises
        ------
        MediaLoopFailed
            When the loop is gone.
        """
        descriptors = [] if attached is None else [attached.fileno()]
        try:
            socket.send_fds(self._channel, [msgspec.msgpack.encode(command)], descriptors)
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
        if not self._stopped and self._process.poll() is not None:
            raise self._gone()

    def _gone(self) -> MediaLoopFailed:
        code = self._process.poll()
        ending = "does not take orders any more" if code is None else f"ended with exit code {code}"
        return MediaLoopFailed(
            f"the process that moves packets {ending}; no packet was sent or measured since (its own words, if any, "
            "are on stderr)"
        )

    async def stop(self) -> None:
        """End the loop, by force where it does not by itself; within 100 ms."""
        self._stopped = True
        self._channel.close()
        self._memory.gauges[Gauge.COMMANDS_SENT] += 1  # lets the loop look at its command socket in the next slot
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
