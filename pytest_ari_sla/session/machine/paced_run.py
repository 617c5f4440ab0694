"""Measures what this machine carries: our own caller with all built-in trackers, paced as in every load."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.load.planning.voices import echo_media
from pytest_ari_sla.media.call_media import MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.measuring.capacity import PacedRun, sustainable_calls
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.peers.echo.mirror import MirrorProcess
from pytest_ari_sla.rtp_media.transport import LEGS_PER_SOCKET, RtpMedia
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.settings import DEFAULT_CODEC, Settings
from pytest_ari_sla.sla.guards import tripped_guards
from pytest_ari_sla.udp.port_leases import PortManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.ari.media_offer import MediaOffer
    from pytest_ari_sla.metrics.snapshot import Snapshot

__all__ = ["find_capacity", "paced_run"]

FEW_CALLS, MORE_CALLS = 200, 800
_PACKET_TIME_MS = 20
_PORTS = 2 * LEGS_PER_SOCKET  # no socket of the caller has more legs, and each needs another port at the peer
_SETTLE_S = 1.0
_MOST_WAIT_S = 5.0
_LOOK_S = 0.03
_SECONDS = 3
_LEAST_RETURNED = 0.95  # some are still on their way at the end
_STEP_DOWN = 0.75
_MOST_STEPS = 5


async def find_capacity(cores: float, tell: Callable[[PacedRun], None] = lambda _: None) -> PacedRun:
    """Return the largest load that keeps within the tool's own limits; takes some 15 s.

    Parameters
    ----------
    cores
        Cores that are ours to use.
    tell
        Called with each load that was tried.

    Returns
    -------
    The last load that was tried. It has a problem where not even that was held.
    """
    share = min(1.0, cores)
    few, more = [await paced_run(max(1, int(calls * share))) for calls in (FEW_CALLS, MORE_CALLS)]
    tell(few)
    tell(more)
    calls, why_not_more = sustainable_calls(few, more, cores), ""
    for _ in range(_MOST_STEPS):
        tried = replace(await paced_run(max(1, calls)), why_not_more=why_not_more)
        tell(tried)
        if not tried.problem:
            break
        calls, why_not_more = int(calls * _STEP_DOWN), tried.problem
    return tried


async def paced_run(calls: int, seconds: int = _SECONDS) -> PacedRun:
    """Hold so many two-way calls of G.711 at 20 ms against a mirror on the loopback; return what they cost."""
    registry, defaults = builtin_registry(), Settings()
    plan = MediaPlan(calls, echo_media(registry.codec(DEFAULT_CODEC), _PACKET_TIME_MS), _PACKET_TIME_MS)
    with PortManager(host="127.0.0.1") as ports, MirrorProcess(min(calls, _PORTS)) as mirror:
        site, trackers = MediaSite("127.0.0.1", ports), registry.trackers.values()
        async with CallerWorker(plan, RtpMedia(), site, trackers, registry.owners) as worker:
            # No leg may end before it has been measured.
            _start(worker, calls, mirror.addresses, packets=math.ceil(1000 / _PACKET_TIME_MS * (seconds + 60)))
            await asyncio.sleep(_SETTLE_S)
            loop_ratio, measuring_ratio = await _busy_ratios(worker, seconds)
    return PacedRun(calls, loop_ratio, measuring_ratio, _problem(worker.last_snapshot(), defaults.pacing_limit_s))


def _problem(measured: Snapshot, pacing_limit_s: float) -> str:
    """Return why a load was not held, by the rules of every load; or why what it cost means nothing."""
    for guard in tripped_guards(measured, pacing_limit_s):
        return guard.reason
    sent, returned = measured.histogram("harness.pacing_error").count, measured.histogram("rtt").count
    if returned < _LEAST_RETURNED * sent:
        return f"{returned:,} of {sent:,} packets came back from our own peer: this machine cannot carry both"
    return ""


def _start(worker: CallerWorker, calls: int, addresses: Sequence[Address], packets: int) -> None:
    taken: Counter[MediaOffer] = Counter()
    for _ in range(calls):
        (endpoint,) = worker.take_call()
        worker.start_leg(endpoint, addresses[taken[endpoint.offer]], packets)
        taken[endpoint.offer] += 1


async def _busy_ratios(worker: CallerWorker, seconds: int) -> tuple[float, float]:
    """Return what both our processes took, as shares of one core, over whole seconds of the media loop."""
    await _next_second(worker)
    began = np.array((time.monotonic(), worker.media_cpu_ns() / 1e9, time.process_time()))
    for _ in range(seconds):
        await _next_second(worker)
    lasted_s, loop_s, own_s = np.array((time.monotonic(), worker.media_cpu_ns() / 1e9, time.process_time())) - began
    return float(loop_s / lasted_s), float(own_s / lasted_s)


async def _next_second(worker: CallerWorker) -> None:
    """Wait until the media loop has told anew what it used."""
    before_ns = worker.media_cpu_ns()
    worker.snapshot()
    async with asyncio.timeout(_MOST_WAIT_S):
        while worker.media_cpu_ns() == before_ns:
            # As seldom as the seconds allow: a look each 5 ms, a snapshot with it, cost a tenth of a core itself.
            await asyncio.sleep(_LOOK_S)
