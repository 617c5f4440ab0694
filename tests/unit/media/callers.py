"""Callers for tests: real media processes with all built-in trackers, on the loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.media.call_media import CallMedia, MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.rtp_media.transport import RtpEndpoint, RtpMedia
from pytest_ari_sla.session.plugins.registry import builtin_registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.hookspecs.tracker import Tracker
    from pytest_ari_sla.media.measuring.measurer import LegReport
    from pytest_ari_sla.media.transport import LegEndpoint
    from pytest_ari_sla.udp.port_leases import PortManager

PACKETS_PER_SECOND = 50


def plan_for(calls: int, media: CallMedia | None = None, **changes: Any) -> MediaPlan:
    """Return a plan of so many calls, of one echoed leg each."""
    voice = Voice(pcmu(), frames(pcmu(), 20))
    values: dict[str, Any] = {"packet_time_ms": 20}
    return MediaPlan(calls, media or CallMedia((0,), (voice,)), **values | changes)


def make_caller(
    ports: PortManager, legs: int = 1, trackers: Iterable[Tracker] | None = None, **changes: Any
) -> CallerWorker:
    """Return a caller with all built-in trackers, not started yet."""
    chosen = list(builtin_registry().trackers.values()) if trackers is None else list(trackers)
    return CallerWorker(plan_for(legs, **changes), RtpMedia(), MediaSite("127.0.0.1", ports), chosen)


def take(caller: CallerWorker) -> RtpEndpoint:
    """Reserve a call of one leg."""
    endpoint = caller.take_call()[0]
    assert isinstance(endpoint, RtpEndpoint)
    return endpoint


def begin(caller: CallerWorker, remotes: Sequence[Address], packets: int) -> list[RtpEndpoint]:
    """Start one leg towards each of these addresses."""
    seats = [take(caller) for _ in remotes]
    for seat, remote in zip(seats, remotes, strict=True):
        caller.start_leg(seat, remote, packets)
    return seats


async def finish(caller: CallerWorker, seats: Sequence[LegEndpoint]) -> list[LegReport]:
    """Stop these legs and return their reports."""
    for seat in seats:
        await caller.stop_leg(seat)
    return await caller.retire_legs(seats)
