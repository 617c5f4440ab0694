from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.trackers.packets.jitter import SAMPLE_NS, JitterTracker
from tests.unit.batches import MILLISECOND, START_NS, Packet, batch_of, batch_sizes, split, streams
from tests.unit.rtp.test_jitter import SlowJitter
from tests.unit.trackers.loads import FixedLog, context_of

CONTEXT = context_of(FixedLog([0, 0, 0]), [0, 1, 2])
FIVE_MS_LATE_ONCE = [
    Packet(sequence=number, timestamp=160 * number, arrival_ns=START_NS + arrival_ms * MILLISECOND)
    for number, arrival_ms in enumerate([0, 20, 45, 60, 80])
]


def begun() -> JitterTracker:
    """Return a tracker of three legs."""
    tracker = JitterTracker()
    tracker.begin(CONTEXT)
    return tracker


def samples(tracker: JitterTracker) -> Histogram:
    """Return what it has sampled."""
    histogram = tracker.snapshot()["jitter"]
    assert isinstance(histogram, Histogram)
    return histogram


@given(streams(), batch_sizes())
def test_any_batches_give_the_jitter_of_the_loop(packets: list[Packet], sizes: list[int]) -> None:
    """Values of single legs, and the sample of each, are those of A.8 packet by packet, to the ns."""
    slow = [SlowJitter(8000) for _ in range(3)]
    for packet in packets:
        slow[packet.leg].take(packet)
    expected_s = np.array([leg.jitter / 8000 for leg in slow])
    tracker = begun()
    for batch in split(packets, sizes):
        tracker.observe(batch)
    np.testing.assert_allclose(tracker.per_leg()["jitter"], expected_s, rtol=1e-12, atol=1e-12)
    tracker.advance(START_NS)
    known_s = expected_s[~np.isnan(expected_s)]
    assert samples(tracker).count == len(known_s)
    assert samples(tracker).total == pytest.approx(known_s.sum() * 1e9, abs=len(known_s))


def test_a_leg_is_sampled_once_a_second_while_it_receives() -> None:
    """However often time advances; and a leg that has fallen silent adds nothing."""
    tracker = begun()
    tracker.observe(batch_of(FIVE_MS_LATE_ONCE))
    counts = []
    for now_ns in range(START_NS, START_NS + 3 * SAMPLE_NS, SAMPLE_NS // 4):
        if now_ns < START_NS + 2 * SAMPLE_NS:
            tracker.observe(batch_of(FIVE_MS_LATE_ONCE[-1:]))
        tracker.advance(now_ns)
        counts.append(samples(tracker).count)
    assert counts == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


def test_a_release_takes_a_last_sample_of_its_legs_only() -> None:
    """A call shorter than a second has its jitter counted; the next call on the leg starts without any."""
    tracker = begun()
    tracker.observe(batch_of([packet._replace(leg=leg) for packet in FIVE_MS_LATE_ONCE for leg in (0, 1)]))
    tracker.release(np.array([0], np.int32))
    assert samples(tracker).count == 1
    assert samples(tracker).max == round(4.541015625 / 8000 * 1e9)
    assert np.isnan(tracker.per_leg()["jitter"]).tolist() == [True, False, True]


def stream(leg: int, ticks: int, jump_at: int = -1) -> list[Packet]:
    """Return six seconds of a stream whose time stamps go on by so many ticks a packet, with a jump of 10 s in one."""
    return [
        Packet(
            leg=leg,
            sequence=number,
            timestamp=ticks * number + (80_000 if 0 <= jump_at <= number else 0),
            arrival_ns=START_NS + 20 * number * MILLISECOND,
        )
        for number in range(300)
    ]


def test_legs_by_a_wrong_clock_and_jumps_of_time_stamps_are_counted() -> None:
    """One sender counts G.722's samples, another one's time stamps jump: neither is the network's doing."""
    tracker = begun()
    packets = [*stream(0, 160), *stream(1, 320), *stream(2, 160, jump_at=100)]
    tracker.observe(batch_of(sorted(packets, key=lambda packet: packet.arrival_ns)))
    tracker.release(np.arange(3, dtype=np.int32))
    values = tracker.snapshot()
    assert (values["timestamp.wrong_clock"], values["timestamp.jumps"]) == (1, 1)
    speed = values["timestamp.speed"]
    assert isinstance(speed, Histogram)
    assert speed.max == pytest.approx(2_000, rel=0.01)
