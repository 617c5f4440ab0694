"""The relay and the echo server of a load where both are ours: what they measure, and who of them is to blame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
    from pytest_ari_sla.peers.relay.relay_client import RelayProcess, RelayWorker

__all__ = ["OwnPeers"]

_OF_ECHO = ("harness.echo_stall",)


class OwnPeers:
    """A :class:`~pytest_ari_sla.load.calls.call_tools.RelayControl`.

    Parameters
    ----------
    worker, process
        The relay, as one gives it orders, and as a process.
    echo
        The echo server behind it; None where it is the user's.
    """

    def __init__(self, worker: RelayWorker, process: RelayProcess, echo: EchoServerProcess | None) -> None:
        self._worker = worker
        self._process = process
        self._echo = echo
        self._before = Snapshot()
        self.reserve = worker.reserve
        self.connect = worker.connect
        self.release = worker.release

    async def begin(self) -> None:
        """Count from now on what the echo server does: it serves loads one after the other."""
        if self._echo is not None:
            self._before = await self._of_echo(self._echo)

    async def snapshot(self) -> Snapshot:
        """Return what the relay has measured, and how long either of them stood still.

        Raises
        ------
        MediaLoopFailed
            One of them has ended, or does not answer; says how.
        """
        try:
            relayed = await self._worker.snapshot()
        except MediaLoopFailed as error:
            self._process.ensure_alive()  # how it has ended says more
            raise MediaLoopFailed(f"{error}{self._process.stopped_by}") from None
        return relayed if self._echo is None else relayed + await self._of_echo(self._echo)

    async def _of_echo(self, echo: EchoServerProcess) -> Snapshot:
        # It blocks until the reply (up to 5 s), while the loop has calls to serve.
        figures = await asyncio.to_thread(echo.snapshot)
        return figures.only(_OF_ECHO) - self._before
