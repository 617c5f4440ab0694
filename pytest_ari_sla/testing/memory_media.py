"""A media transport without a network: what a leg sends is heard, after a while, by the legs that shall hear it.

Calls are still made at the target, so that signalling is real; media never gets there. It serves tests of trackers and
topologies, and shows what a transport of one's own consists of.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.ari.media_needs import RTP
from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.media.frame_transport import FrameTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite

__all__ = ["MemoryMedia"]

_WAKE_S = 0.005


@dataclass(frozen=True)
class _Endpoint:
    leg: int
    # Nothing is ever sent to this address: Asterisk hears nothing from us.
    offer: MediaOffer = field(default_factory=lambda: MediaOffer("127.0.0.1:9"))


class MemoryMedia:
    """The transport ``memory``.

    Parameters
    ----------
    delay_ns
        From a frame's sender to whom hears it.
    """

    name = "memory"
    needs = RTP

    def __init__(self, delay_ns: int = 2_000_000) -> None:
        self._delay_ns = delay_ns

    def port_pairs(self, legs: int) -> int:
        """No ports are needed."""
        del legs
        return 0

    @asynccontextmanager
    async def open(self, plan: MediaPlan, site: MediaSite) -> AsyncIterator[_MemoryTransport]:
        """Return the media of a load, which opens when it is entered."""
        del site
        transport = _MemoryTransport(plan, self._delay_ns)
        moving = asyncio.create_task(transport.move())
        try:
            yield transport
        finally:
            moving.cancel()


class _MemoryTransport(FrameTransport):
    def __init__(self, plan: MediaPlan, delay_ns: int) -> None:
        super().__init__(plan)
        self._delay_ns = delay_ns
        self._under_way: deque[tuple[int, bytes, int]] = deque()
        self._heard_leg = plan.media.heard_legs(plan.calls)

    def take_leg(self, leg: int) -> _Endpoint:
        return _Endpoint(leg)

    def remote_of(self, endpoint: LegEndpoint, media: ExternalMedia) -> None:
        """Nothing goes to Asterisk."""

    async def move(self) -> None:
        """Send and deliver until cancelled."""
        while True:
            now_ns = self.now_ns()
            for leg, frame in self.frames_due(now_ns):
                for hearer in np.flatnonzero(self._heard_leg == leg).tolist():
                    self._under_way.append((hearer, frame, now_ns + self._delay_ns))
            while self._under_way and self._under_way[0][2] < now_ns:
                hearer, frame, arrival_ns = self._under_way.popleft()
                if self.is_started(hearer):  # its call may have ended on the way
                    self.reader.put(hearer, frame, arrival_ns)
            self.reader.present(now_ns)
            await asyncio.sleep(_WAKE_S)
