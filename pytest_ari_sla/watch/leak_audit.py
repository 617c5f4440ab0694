"""Reads what an Asterisk on this machine holds before and after a load, and asks what is still up there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pytest_ari_sla.ari_client.queries import AriQueries
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.watch.forensics import OwnAsterisk
from pytest_ari_sla.watch.holdings import read_holdings
from pytest_ari_sla.watch.leak_rules import POOL_THREADS, Audit, MemoryHistory, MemorySpan, judge_holdings

if TYPE_CHECKING:
    import ssl

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.watch.holdings import Holdings

__all__ = ["LeakAudit"]

GRACE_S, POLL_S = 3.0, 0.1
"""So long Asterisk may take to give back what a load's last calls had, and between two looks."""

THREADS_GRACE_S = 0.5
"""So long for threads, where its pools may keep as many for a minute."""

_PATIENCE_S = 2.0


class LeakAudit:
    """The audit of one process, over all loads that are put on it.

    Parameters
    ----------
    pid
        The process.
    endpoint
        Its ARI.
    is_ours
        Whether this tool runs it: then it is told to give unused memory back, as ``asterisk -rx 'malloc trim'`` does.
    clock
        The time.
    """

    def __init__(self, pid: int, endpoint: AriEndpoint, *, is_ours: bool, clock: Clock = time) -> None:
        self._pid = pid
        self._endpoint = endpoint
        self._clock = clock
        self._console = OwnAsterisk.of(pid) if is_ours else None
        self._memory = MemoryHistory()
        self._before: Holdings | None = None

    async def begin(self) -> None:
        """Take the reading before a load."""
        self._before = await asyncio.to_thread(self._trimmed)

    async def end(self, calls: int, peak: int, tls: ssl.SSLContext | bool) -> Audit:
        """Return what became of what the load took; nothing where the process has ended meanwhile.

        Parameters
        ----------
        calls, peak
            How many there were, and at a time.
        tls
            How ARI's certificate is checked.
        """
        before, after = self._before, await self._settled()
        if before is None or after is None:
            return Audit()
        channels = 0
        # Only then: a healthy Asterisk is not asked anything more.
        if after.all_files > before.all_files or after.threads > before.threads:
            try:
                channels = await self._channels(tls)
            except SlaError as problem:
                return Audit(notes=(f"whether Asterisk leaks cannot be told: {problem}",))
        found = judge_holdings(before, after, calls, channels)
        trimmed = await asyncio.to_thread(self._trimmed) if self._console is not None else None
        if trimmed is None:
            return found
        return found + self._memory.judge(MemorySpan(peak, calls, before.memory_bytes, trimmed.memory_bytes))

    async def _settled(self) -> Holdings | None:
        """Return a reading as soon as all is given back that was taken since the one before, or after a while."""
        began_ns, before = self._clock.monotonic_ns(), self._before
        while True:
            now = await asyncio.to_thread(read_holdings, self._pid, self._endpoint.port)
            waited_s = (self._clock.monotonic_ns() - began_ns) / 1e9
            if now is None or before is None or waited_s >= GRACE_S:
                return now
            allowed = before.threads + (POOL_THREADS if waited_s >= THREADS_GRACE_S else 0)
            if now.all_files <= before.all_files and now.threads <= allowed:
                return now
            await asyncio.sleep(POLL_S)

    async def _channels(self, tls: ssl.SSLContext | bool) -> int:
        client = AriClient(self._endpoint, tls=tls, max_in_flight=1, request_timeout_s=_PATIENCE_S, clock=self._clock)
        await client.open()
        try:
            return len(await AriQueries(client, "").channels())
        finally:
            await client.close()

    def _trimmed(self) -> Holdings | None:
        """Take a reading, after unused memory was given back where it is ours to do so."""
        if self._console is not None:
            # glibc keeps what was freed: 786 MB of a loaded Asterisk were 47 MB after a trim.
            self._console.console("malloc trim")
        return read_holdings(self._pid, self._endpoint.port)
