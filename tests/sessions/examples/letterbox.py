"""A transport as a stranger writes it: frames lie in a box until whoever is to hear them takes them out."""

import asyncio
from collections import deque
from contextlib import asynccontextmanager

import numpy as np

from pytest_ari_sla import FrameTransport, MediaNeeds, MediaOffer

DELAY_NS = 5_000_000


class Place:
    """One leg; calls are made at the target, and its media goes nowhere."""

    def __init__(self, leg):
        self.leg = leg
        self.offer = MediaOffer("127.0.0.1:9")


class Letterbox:
    """``load(transport="letterbox")``."""

    name = "letterbox"
    needs = MediaNeeds("a letterbox", modules=(), since="ever", connections=0)

    def port_pairs(self, legs):
        """No ports are needed."""
        return 0

    @asynccontextmanager
    async def open(self, plan, site):
        """Open the media of a load."""
        media = Frames(plan)
        carrying = asyncio.create_task(media.carry())
        yield media
        carrying.cancel()


class Frames(FrameTransport):
    """The frames of one load."""

    def __init__(self, plan):
        super().__init__(plan)
        self.box = deque()
        self.hearers = plan.media.heard_legs(plan.calls)

    def take_leg(self, leg):
        """Give a leg its place."""
        return Place(leg)

    def remote_of(self, endpoint, media):
        """Nothing goes to Asterisk."""

    async def carry(self):
        """Carry frames until cancelled."""
        while True:
            now_ns = self.now_ns()
            for leg, frame in self.frames_due(now_ns):
                for hearer in np.flatnonzero(self.hearers == leg).tolist():
                    self.box.append((now_ns + DELAY_NS, hearer, frame))
            while self.box and self.box[0][0] < now_ns:
                arrival_ns, hearer, frame = self.box.popleft()
                if self.is_started(hearer):
                    self.reader.put(hearer, frame, arrival_ns)
            self.reader.present(now_ns)
            await asyncio.sleep(0.005)


def pytest_ari_sla_register_transports():
    """Add it."""
    return [Letterbox()]
