"""Packets of a hostile peer through the receive path: all counted, no tracker lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.codecs.builtin import pytest_ari_sla_register_codecs
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.hookspecs.tracker import TrackerContext
from pytest_ari_sla.media.measuring.tracker_group import TrackerGroup
from pytest_ari_sla.rtp_media.memory import Gauge, MediaLayout, MediaMemory
from pytest_ari_sla.rtp_media.ring_reader import RingReader, SourceTable
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from pytest_ari_sla.trackers.builtin import BuiltinTrackers
from tests.unit.hostile import PACKETS, hostile_datagrams, is_rtp, seed
from tests.unit.rtp_media.memories import NONCE, ORIGIN_NS, Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 1 << 15
WIDTH = 700
LEGS = 28
PACKET_TIME_NS = 20_000_000
HOST = 0x0A000001


@pytest.fixture
def memory() -> Iterator[MediaMemory]:
    """A load of 28 legs, four of each codec, that have sent 100 packets each."""
    memory = MediaMemory(
        MediaLayout(
            legs=LEGS,
            groups=LEGS,
            cycle=20,
            probe_window=256,
            burst_window=512,
            sockets=1,
            ring_rows=ROWS,
            packet_width=WIDTH,
            frame_bytes=1024,
        )
    )
    memory.gauges[Gauge.ORIGIN_NS] = ORIGIN_NS
    schedule = Schedule(memory)
    for leg in range(LEGS):
        slot = leg % 20
        schedule.start(leg, slot=slot)
    for slot in range(20):
        schedule.turns(slot, 100)
    yield memory
    memory.close()


def context_of(memory: MediaMemory) -> TrackerContext:
    """Return what trackers are told: of each codec, two legs hear probes, and two hear what Asterisk has coded anew."""
    codecs = pytest_ari_sla_register_codecs()
    numbers = np.arange(LEGS, dtype=np.int32)
    heard = np.where(numbers % 4 < 2, numbers, np.int32(-1))
    heard[[0, 4]] = [4, 0]
    return TrackerContext(
        legs=LEGS,
        heard_leg=heard,
        voices=tuple(
            Voice(codec, frames(codec, 20, 2.0), digits="19" if codec == codecs[0] else "") for codec in codecs
        ),
        voice_of_leg=numbers // 4,
        packet_time_ns=PACKET_TIME_NS,
        send_log=MediaSendLog(memory),
        probe_window=256,
        loss_limit_ns=3_000_000_000,
        audio_legs=np.where(heard < 0, numbers, np.int32(-1))[:, np.newaxis],
    )


def test_hostile_packets_are_all_counted_and_no_tracker_is_lost(memory: MediaMemory) -> None:
    """Whatever a peer sends costs it its own counts, and nobody else anything."""
    random = np.random.default_rng(seed())
    sources = SourceTable(sockets=1, legs=LEGS)
    for leg in range(LEGS):
        sources.expect(leg, 0, ("10.0.0.1", 10_000 + 2 * leg))
    context = context_of(memory)
    reader = RingReader(memory, MediaSendLog(memory), sources, NONCE)
    trackers = TrackerGroup(BuiltinTrackers().pytest_ari_sla_register_trackers(), {})
    trackers.begin(context)
    ring, now_ns = memory.ring, ORIGIN_NS
    foreign = rtp = told = 0
    for begin in range(0, PACKETS, ROWS):
        count = min(ROWS, PACKETS - begin)
        ring.data[:count], ring.length[:count] = hostile_datagrams(random, count, WIDTH, nonce=NONCE, legs=LEGS)
        ring.address["host"][:count] = np.where(random.random(count) < 0.98, HOST, HOST + 1)
        ring.address["port"][:count] = 10_000 + 2 * random.integers(0, LEGS + 1, count)
        now_ns += 500_000_000
        arrival_ns = now_ns - np.sort(random.integers(0, 500_000_000, count))[::-1]
        ring.control["seconds"][:count], ring.control["nanoseconds"][:count] = np.divmod(arrival_ns, 1_000_000_000)
        is_ours = (ring.address["host"][:count] == HOST) & (ring.address["port"][:count] < 10_000 + 2 * LEGS)
        foreign += int(np.count_nonzero(~is_ours))
        if begin == 0:
            datagrams = (ring.data[row, : ring.length[row]].tobytes() for row in np.flatnonzero(is_ours).tolist())
            rtp = sum(is_rtp(datagram) and len(datagram) < WIDTH for datagram in datagrams)
        memory.gauges[Gauge.RING_HEAD] = memory.gauges[Gauge.RING_TAIL] = 0
        memory.gauges[Gauge.RING_HEAD] = count
        reader.look(to_the_end=True)
        for batch in reader.batches(1 << 62):
            trackers.observe(batch)
            told += len(batch)
        if begin == 0:
            assert told == rtp
        trackers.advance(now_ns)
        if begin % (8 * ROWS) == 0:
            trackers.release(np.arange(0, LEGS, 3, dtype=np.int32))
    trackers.per_leg()
    trackers.release(np.arange(LEGS, dtype=np.int32))
    snapshot = trackers.snapshot()
    assert snapshot["harness.trackers_failed"] == 0, trackers.remarks()
    assert (reader.foreign, reader.foreign + reader.malformed + told) == (foreign, PACKETS)
    counts = {name: value for name, value in snapshot.items() if isinstance(value, int)}
    assert min(counts.values()) >= 0
    assert counts["loss.lost"] + counts["loss.received"] == counts["loss.sent"]
