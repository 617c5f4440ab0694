"""Probes the target's control plane once a second while it is loaded: two requests, and it is asked when it started.

Once for a whole fleet, on connections of its own, so that the load's own requests are not queued behind a probe.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.ari.resources import AsteriskInfo
from pytest_ari_sla.ari_client.observer import SilentObserver
from pytest_ari_sla.ari_client.queries import CHANNEL, NO_CHANNEL
from pytest_ari_sla.ari_client.requests import AriClient
from pytest_ari_sla.blame.evidence import Incident, IncidentKind
from pytest_ari_sla.errors import AriRequestFailed, AsteriskCrashed, AsteriskStalled, HarnessError, SlaError
from pytest_ari_sla.watch.own_time import OwnTime
from pytest_ari_sla.watch.probes import Lane, Probes

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.metrics.histogram import Histogram

__all__ = ["CONNECTIONS", "TargetWatch"]

CONNECTIONS = 2
"""So many of Asterisk's HTTP sessions it takes."""

_EVERY_S = 1.0
_TIMEOUT_S = 5.0
"""For one attempt; the time without an answer goes on with the next."""

BEGINS_ANEW_S, AGAIN_S = 20.0, 0.25
"""So long is waited for an Asterisk that has dropped calls, to know whether it was restarted, and between two looks."""

ENDS_NS = 1_500_000_000
"""So long one that ends may go on to answer when it has hung its calls up."""

_STUCK = {
    Lane.CHANNEL: "Requests that need a channel's lock hang, while others are answered",
    Lane.CACHE: "ARI answers no request",
}
_INCIDENTS = {Lane.CHANNEL: IncidentKind.CHANNELS_LOCKED, Lane.CACHE: IncidentKind.ARI_SILENT}
_VARIABLE = "CHANNEL(state)"


class _Took(SilentObserver):
    """Keeps what the latest request took, by the kernel's stamps."""

    took_ns = 0

    def on_request(
        self, method: str, route: str, duration_ns: int, status: int, *, queued_ns: int, uncertainty_ns: int
    ) -> None:
        """Keep it."""
        self.took_ns = duration_ns


class TargetWatch:
    """An asynchronous context manager; it watches while it is entered.

    Parameters
    ----------
    endpoint
        The target.
    tls
        How its certificate is checked.
    channel
        Returns a channel of ours that is up; empty where there is none.
    when_stuck
        Is told of a time without answers while it lasts.
    clock
        The time.
    """

    def __init__(
        self,
        endpoint: AriEndpoint,
        tls: ssl.SSLContext | bool,
        channel: Callable[[], str],
        when_stuck: Callable[[str], None] = lambda what: None,
        clock: Clock = time,
    ) -> None:
        self._clock = clock
        self._channel = channel
        self._when_stuck = when_stuck
        self._probes = Probes()
        self._began_ns = self._clock.monotonic_ns()
        self._asks_for_ours = False
        self._started_at: str | None = None
        self._restarted_ns: int | None = None
        self._restarts = 0
        self._gone_ns: int | None = None
        self._lanes = {lane: _Took() for lane in Lane}
        # One connection a lane: a probe that hangs must not hold up the other, which tells what kind of hang it is.
        self._clients = {
            lane: AriClient(
                endpoint, tls=tls, max_in_flight=1, request_timeout_s=_TIMEOUT_S, clock=clock, observer=took
            )
            for lane, took in self._lanes.items()
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._own = OwnTime()

    async def __aenter__(self) -> Self:
        for client in self._clients.values():
            await client.open()
        for lane, ask in ((Lane.CHANNEL, self._ask_for_variable), (Lane.CACHE, self._ask_for_start)):
            self._tasks.append(asyncio.create_task(self._own.of(self._run(lane, ask)), name=f"watch {lane.name}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._probes.end(self._clock.monotonic_ns())
        for client in self._clients.values():
            await client.close()

    async def look_again(self, hears: Callable[[], bool], ended_ns: int) -> None:
        """Ask once more whether it is the same Asterisk, which may take some seconds to begin anew.

        Parameters
        ----------
        hears
            Whether its events are heard: one that ends hangs up first, and answers as ever meanwhile.
        ended_ns
            When the last call was lost, on the monotonic clock: taking evidence since then may have lasted long.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        began_ns, answered = self._clock.monotonic_ns(), False
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGINS_ANEW_S):
                while True:
                    answered = await self._has_answered()
                    is_same = hears() and self._clock.monotonic_ns() - began_ns >= ENDS_NS
                    if answered and (self._restarts or is_same):
                        return
                    await asyncio.sleep(AGAIN_S)
        self._gone_ns = None if answered else ended_ns

    async def _has_answered(self) -> bool:
        try:
            return await self._ask_for_start()
        except AriRequestFailed as refused:
            return refused.status != 503  # it is still starting
        except HarnessError:
            return True  # nobody was asked: that says nothing against it
        except SlaError:
            return False

    def values(self) -> dict[str, Histogram | int]:
        """Return all values since the beginning, by metric name; called once a second."""
        # After `look_again` nobody asks any more: to go on looking would find a silence of our own.
        if not all(task.done() for task in self._tasks):
            self._look(self._clock.monotonic_ns())
        self._own.look(self._clock.monotonic_ns())
        own = {"harness.watch_cpu": self._own.shares}
        return {**dict(self._probes.values()), **own, "target.restarts": self._restarts}

    def pending(self) -> list[tuple[str, int]]:
        """Return the probes that are not answered yet, and for how long, in ns."""
        return [request for client in self._clients.values() for request in client.pending()]

    def note_stop(self, is_stopped: bool) -> None:
        """Take note that a debugger of ours stops the target, or no longer does."""
        self._probes.pause(is_stopped, self._clock.monotonic_ns())

    def _look(self, now_ns: int) -> None:
        self._probes.look(now_ns)
        lane = self._probes.stuck(now_ns)
        if lane is not None:
            self._when_stuck(f"{_STUCK[lane]}, {self._at(now_ns)}")

    def incidents(self) -> list[Incident]:
        """Return what happened to the target, for whoever lays blame."""
        found = []
        if self._restarted_ns is not None:
            at_s = (self._restarted_ns - self._began_ns) / 1e9
            found.append(Incident(IncidentKind.ASTERISK_RESTARTED, at_s, at_s))
        if self._gone_ns is not None:
            at_s = (self._gone_ns - self._began_ns) / 1e9
            words = f"it ended all calls, and ARI has not answered for {BEGINS_ANEW_S:g} s since"
            found.append(Incident(IncidentKind.ASTERISK_ENDED, at_s, at_s, words))
        for gap in self._probes.gaps:
            from_s = (gap.since_ns - self._began_ns) / 1e9
            found.append(Incident(_INCIDENTS[gap.lane], from_s, from_s + gap.lasted_ns / 1e9))
        return found

    def finding(self) -> SlaError | None:
        """Return what was wrong with the target, in a sentence; None: nothing that nobody else would tell."""
        if self._restarted_ns is not None:
            return AsteriskCrashed(f"Asterisk was restarted {self._at(self._restarted_ns)}: all calls of then are gone")
        if self._gone_ns is not None:
            return AsteriskCrashed(f"Asterisk ended all calls, and ARI has not answered for {BEGINS_ANEW_S:g} s since")
        gap = self._probes.worst
        if gap is None:
            return None
        when = f"for {gap.lasted_ns / 1e9:.1f} s, from {self._at(gap.since_ns)} on"
        if gap.lane is Lane.CACHE:
            return AsteriskStalled(f"ARI answered no request {when}: Asterisk stood still, or could not be reached")
        return AsteriskStalled(
            f"Requests that need a channel (GET {CHANNEL}/variable) hung {when}, while {gap.others} others "
            "(GET /asterisk/info) were answered: Asterisk's channels were locked"
        )

    def _at(self, when_ns: int) -> str:
        return f"{(when_ns - self._began_ns) / 1e9:.1f} s into the load"

    async def _run(self, lane: Lane, ask: Callable[[], Awaitable[bool]]) -> None:
        while True:
            began_ns = self._clock.monotonic_ns()
            try:
                if await ask():
                    # By the kernel's stamps: how late we read it is not Asterisk's doing.
                    self._probes.answered(lane, began_ns + self._lanes[lane].took_ns)
            except AriRequestFailed:
                self._probes.answered(lane, began_ns + self._lanes[lane].took_ns)  # a refusal is an answer as well
            except HarnessError:
                self._probes.withdraw(lane, began_ns)  # it could not even be asked
            except SlaError:
                pass  # no answer: the time since the first attempt goes on
            await asyncio.sleep(max(0.1, _EVERY_S - (self._clock.monotonic_ns() - began_ns) / 1e9))

    async def _ask_for_variable(self) -> bool:
        # To find none, Asterisk takes the lock of each channel; where it keeps an index, only of the one that is there.
        self._asks_for_ours = not self._asks_for_ours
        channel = self._channel() if self._asks_for_ours else NO_CHANNEL
        if not channel:
            return False
        self._probes.sent(Lane.CHANNEL, self._clock.monotonic_ns())
        await self._clients[Lane.CHANNEL].request(
            "GET", CHANNEL + "/variable", {"channelId": channel}, {"variable": _VARIABLE}
        )
        return True

    async def _ask_for_start(self) -> bool:
        self._probes.sent(Lane.CACHE, self._clock.monotonic_ns())
        info = await self._clients[Lane.CACHE].fetch(AsteriskInfo, "GET", "/asterisk/info", query={"only": "status"})
        started_at = info.status.startup_time
        # A start time that cannot be read is no other one.
        if self._started_at not in (None, started_at) and started_at:
            self._restarts += 1
            # The first restart is what ended the calls; of later ones only the number is told.
            self._restarted_ns = self._restarted_ns or self._clock.monotonic_ns()
        self._started_at = started_at or self._started_at
        return True
