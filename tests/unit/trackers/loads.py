"""A load for trackers: what was due and sent, what came back and when, and trackers that live through it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.hookspecs.tracker import TrackerContext
from tests.unit.batches import MILLISECOND, START_NS, Packet, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import Tracker

PACKET_TIME_NS = 20 * MILLISECOND
# Short, so that a few packets reach beyond the limit and around the ring.
LOSS_LIMIT_NS = 100 * MILLISECOND
ADVANCE_NS = 50 * MILLISECOND
WINDOW = 16
VOICE = Voice(pcmu(), frames(pcmu(), 20))


@dataclass
class FixedLog:
    """A send log written in advance: ``packets`` of each leg are due from ``START_NS`` on, some were never sent."""

    packets: list[int]
    unsent: set[tuple[int, int]] = field(default_factory=set)

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets due in all."""
        return np.array(self.packets, np.int64)

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Packets sent in all."""
        unsent = Counter(leg for leg, _ in self.unsent)
        return np.array([due - unsent[leg] for leg, due in enumerate(self.packets)], np.int64)

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Packets due at least ``age_ns`` before ``now_ns``."""
        settled: NDArray[np.int64] = np.clip((now_ns - age_ns - START_NS) // PACKET_TIME_NS + 1, 0, self.due())
        return settled

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When each leg's packet 0 was due, which carries frame 0; 0 for legs that send nothing."""
        return np.where(self.due() > 0, START_NS, 0)

    def closed(self) -> NDArray[np.bool_]:
        """(legs,) No leg is ending."""
        return np.zeros(len(self.packets), np.bool_)

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """When these probes were due."""
        return START_NS + probes * PACKET_TIME_NS

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes were sent."""
        pairs = zip(legs.tolist(), probes.tolist(), strict=True)
        return np.array([pair not in self.unsent for pair in pairs], bool)


def context_of(
    log: FixedLog, heard_leg: Sequence[int], window: int = WINDOW, receive_drops: Callable[[], int] = int
) -> TrackerContext:
    """Return a context of PCMU at 20 ms, with a loss limit of 100 ms."""
    return TrackerContext(
        legs=len(heard_leg),
        heard_leg=np.array(heard_leg, np.int32),
        voices=(VOICE,),
        voice_of_leg=np.zeros(len(heard_leg), np.int32),
        packet_time_ns=PACKET_TIME_NS,
        send_log=log,
        probe_window=window,
        loss_limit_ns=LOSS_LIMIT_NS,
        receive_drops=receive_drops,
    )


def intended_ns(probe: int) -> int:
    """Return when a probe was due."""
    return START_NS + probe * PACKET_TIME_NS


def echo(
    probe: int, delay_ms: float = 1.0, *, leg: int = 0, source_leg: int | None = None, send_late_ms: float = 0.0
) -> Packet:
    """Return a probe that came back so long after it was sent."""
    sent_ns = intended_ns(probe) + round(send_late_ms * MILLISECOND)
    return Packet(
        leg=leg,
        sequence=probe % 2**16,
        timestamp=160 * probe % 2**32,
        source_leg=leg if source_leg is None else source_leg,
        probe=probe,
        arrival_ns=sent_ns + round(delay_ms * MILLISECOND),
        sent_ns=sent_ns,
        intended_ns=intended_ns(probe),
    )


@dataclass
class Load:
    """All that happens to some legs, by time."""

    log: FixedLog
    heard_leg: list[int]
    packets: list[Packet]

    @property
    def legs(self) -> NDArray[np.int32]:
        """All legs."""
        return np.arange(len(self.heard_leg), dtype=np.int32)

    def run(self, tracker: Tracker, sizes: Sequence[int], *, advance: bool = True, release: bool = True) -> None:
        """Let a tracker live through it: batches of these sizes, time advancing in between, all settled at the end."""
        tracker.begin(context_of(self.log, self.heard_leg))
        for now_ns, packets in self.intervals():
            for batch in split(packets, sizes):
                tracker.observe(batch)
            if advance:
                tracker.advance(now_ns)
        if release:
            tracker.release(self.legs)

    def intervals(self) -> Iterator[tuple[int, list[Packet]]]:
        """Yield the times at which trackers are told that time has passed, and what arrives before each."""
        end_ns = intended_ns(max(self.log.packets)) + LOSS_LIMIT_NS
        last_ns = max([end_ns, *(packet.arrival_ns for packet in self.packets)])
        from_ns = START_NS
        while from_ns <= last_ns:
            until_ns = from_ns + ADVANCE_NS
            yield until_ns, [packet for packet in self.packets if from_ns <= packet.arrival_ns < until_ns]
            from_ns = until_ns


@st.composite
def loads(draw: st.DrawFn, most: int = 40) -> Load:
    """Draw a load of three legs: an echo, a pair or a mix; unsent, lost, late, doubled, reordered, stray packets."""
    heard_leg = draw(st.sampled_from([[0, 1, 2], [1, 0, 2], [1, 0, -1]]))
    log = FixedLog([draw(st.integers(0, most)) for _ in heard_leg])
    packets = []
    for leg, source in enumerate(heard_leg):
        for probe in range(log.packets[source if source >= 0 else leg]):
            fate = draw(st.sampled_from(["back"] * 8 + ["lost"] * 4 + ["unsent", "twice", "late", "stray"]))
            if fate == "unsent" and source >= 0:
                log.unsent.add((source, probe))
            elif fate in ("back", "twice", "stray", "late"):
                delays = [draw(st.floats(0, 99.9)) for _ in range(1 + (fate == "twice"))]
                for delay_ms in delays:
                    packet = echo(probe, delay_ms + 110 * (fate == "late"), leg=leg, source_leg=source)
                    packets.append(_as_heard(packet, stray=fate == "stray"))
    # A probe that two legs should hear is sent to both or to neither.
    packets = [packet for packet in packets if (packet.source_leg, packet.probe) not in log.unsent]
    return Load(log, heard_leg, sorted(packets, key=lambda packet: packet.arrival_ns))


def _as_heard(packet: Packet, *, stray: bool) -> Packet:
    """Return the packet as its leg receives it: without a probe in a mix, or with another leg's when astray."""
    if packet.source_leg < 0:
        return packet._replace(probe=-1, sent_ns=0, intended_ns=0)
    return packet._replace(source_leg=(packet.source_leg + 1) % 3) if stray else packet
