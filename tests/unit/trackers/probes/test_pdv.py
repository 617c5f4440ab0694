from __future__ import annotations

import numpy as np
from hypothesis import given

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.trackers.probes.pdv import DelayVariationTracker
from tests.unit.batches import MILLISECOND, START_NS, batch_of, batch_sizes
from tests.unit.trackers.loads import ADVANCE_NS, LOSS_LIMIT_NS, FixedLog, Load, context_of, echo, loads
from tests.unit.trackers.probes.test_latency import histogram_of


def by_definition(load: Load) -> Histogram:
    """Return delays of first copies less the leg's minimum up to the end of their interval."""
    first = {
        (packet.leg, packet.probe): packet
        for packet in reversed(load.packets)
        if packet.source_leg == load.heard_leg[packet.leg] >= 0
        if packet.arrival_ns - packet.intended_ns < LOSS_LIMIT_NS
    }
    timed = [
        (packet.leg, (packet.arrival_ns - START_NS) // ADVANCE_NS, packet.arrival_ns - packet.sent_ns)
        for packet in first.values()
    ]
    return histogram_of(
        [
            delay - min(other for other_leg, other_turn, other in timed if other_leg == leg and other_turn <= turn)
            for leg, turn, delay in timed
        ]
    )


@given(loads(), batch_sizes())
def test_any_batches_give_the_variation_as_defined(load: Load, sizes: list[int]) -> None:
    """Each delay less the leg's lowest one so far, whatever the split."""
    tracker = DelayVariationTracker()
    load.run(tracker, sizes)
    assert tracker.snapshot()["pdv"] == by_definition(load)


def test_a_minimum_that_comes_later_in_the_interval_counts_for_all_of_it() -> None:
    """Of 9, 4 and 6 ms in one interval, the fastest has 0, the others 5 and 2 ms."""
    tracker = DelayVariationTracker()
    tracker.begin(context_of(FixedLog([3]), [0]))
    tracker.observe(batch_of([echo(0, 9.0), echo(1, 4.0)]))
    tracker.observe(batch_of([echo(2, 6.0)]))
    assert tracker.snapshot()["pdv"] == Histogram()
    tracker.advance(START_NS)
    assert tracker.snapshot()["pdv"] == histogram_of([5 * MILLISECOND, 0, 2 * MILLISECOND])


def test_a_copy_has_no_delay_of_its_own() -> None:
    """One that is sent on twice took as long as its first copy did."""
    tracker = DelayVariationTracker()
    tracker.begin(context_of(FixedLog([2]), [0]))
    tracker.observe(batch_of([echo(0, 4.0), echo(0, 9.0), echo(1, 6.0)]))
    tracker.advance(START_NS)
    assert tracker.snapshot()["pdv"] == histogram_of([0, 2 * MILLISECOND])


def test_the_memory_of_a_batch_may_be_used_again() -> None:
    """What is kept until the interval ends is a copy."""
    tracker = DelayVariationTracker()
    tracker.begin(context_of(FixedLog([2]), [0]))
    batch = batch_of([echo(0, 9.0), echo(1, 4.0)])
    tracker.observe(batch)
    batch.arrival_ns[:] = 0
    batch.leg[:] = 99
    tracker.advance(START_NS)
    assert tracker.snapshot()["pdv"] == histogram_of([5 * MILLISECOND, 0])


def test_a_later_call_has_its_own_minimum() -> None:
    """A release ends the interval and forgets the leg's fastest packet."""
    tracker = DelayVariationTracker()
    tracker.begin(context_of(FixedLog([2]), [0]))
    tracker.observe(batch_of([echo(0, 2.0)]))
    tracker.release(np.array([0], np.int32))
    tracker.observe(batch_of([echo(0, 8.0)]))
    tracker.advance(START_NS)
    assert tracker.snapshot()["pdv"] == histogram_of([0, 0])
    assert tracker.per_leg() == {}
