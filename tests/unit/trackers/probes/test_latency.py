from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.trackers.probes.latency import LatencyTracker
from tests.unit.batches import MILLISECOND, START_NS, batch_of, batch_sizes
from tests.unit.trackers.loads import LOSS_LIMIT_NS, FixedLog, Load, context_of, echo, loads

TIMES = ("rtt", "rtt_intended", "one_way", "one_way_intended")


def histogram_of(values_ns: list[int]) -> Histogram:
    """Return a histogram of these."""
    histogram = Histogram()
    histogram.record(np.array(values_ns, np.int64))
    return histogram


def by_definition(load: Load) -> dict[str, Histogram | int]:
    """Return the metrics by definition: the first copy of each probe in time, in order of arrival."""
    seen: set[tuple[int, int]] = set()
    values: dict[str, list[int]] = {name: [] for name in TIMES}
    late = 0
    for packet in load.packets:
        source = load.heard_leg[packet.leg]
        if source < 0 or packet.source_leg != source:
            continue
        if packet.arrival_ns - packet.intended_ns >= LOSS_LIMIT_NS:
            late += 1
        elif (packet.leg, packet.probe) not in seen:
            seen.add((packet.leg, packet.probe))
            name = "rtt" if packet.leg == source else "one_way"
            values[name].append(packet.arrival_ns - packet.sent_ns)
            values[f"{name}_intended"].append(packet.arrival_ns - packet.intended_ns)
    return {"late": late} | {name: histogram_of(times) for name, times in values.items()}


@given(loads(), batch_sizes())
def test_probes_in_any_batches_are_timed_as_by_definition(load: Load, sizes: list[int]) -> None:
    """Echo and pair, doubled, late and stray probes: every distribution is that of the first copies."""
    tracker = LatencyTracker()
    load.run(tracker, sizes)
    assert tracker.snapshot() == by_definition(load)


def test_lateness_of_our_own_is_in_the_intended_delay_only() -> None:
    """Sent 3 ms late and back 2 ms after: 2 ms of Asterisk, 5 ms of a caller's life."""
    tracker = LatencyTracker()
    Load(FixedLog([1]), [0], [echo(0, 2.0, send_late_ms=3.0)]).run(tracker, [1])
    snapshot = tracker.snapshot()
    assert snapshot["rtt"] == histogram_of([2 * MILLISECOND])
    assert snapshot["rtt_intended"] == histogram_of([5 * MILLISECOND])
    assert snapshot["one_way"] == Histogram()


def test_a_pair_is_timed_one_way_and_has_no_round_trip() -> None:
    """What another leg said has come one way: a limit for a round trip must not be held by half of one."""
    tracker = LatencyTracker()
    Load(FixedLog([1, 1]), [1, 0], [echo(0, 4.0, leg=0, source_leg=1)]).run(tracker, [1])
    assert tracker.snapshot()["one_way"] == histogram_of([4 * MILLISECOND])
    assert tracker.snapshot()["one_way_intended"] == histogram_of([4 * MILLISECOND])
    assert tracker.snapshot()["rtt"] == tracker.snapshot()["rtt_intended"] == Histogram()
    assert tracker.per_leg()["one_way.max"].shape == (2,)


def test_a_measuring_thread_that_lags_behind_changes_nothing() -> None:
    """Without any call of advance, room is made by the packets' own times."""
    load = Load(FixedLog([200]), [0], [echo(probe) for probe in range(200)])
    tracker = LatencyTracker()
    load.run(tracker, [3], advance=False)
    assert tracker.snapshot() == by_definition(load)


def test_a_probe_that_was_given_up_has_no_delay() -> None:
    """What has been decided is not decided again, however it got overtaken."""
    tracker = LatencyTracker()
    tracker.begin(context_of(FixedLog([1]), [0]))
    tracker.advance(START_NS + LOSS_LIMIT_NS)
    tracker.observe(batch_of([echo(0, 99.0)]))
    assert tracker.snapshot() == {"late": 0} | dict.fromkeys(TIMES, Histogram())


def test_a_snapshot_is_not_touched_by_what_comes_later() -> None:
    """Whoever holds one may read it in another thread."""
    tracker = LatencyTracker()
    tracker.begin(context_of(FixedLog([9]), [0]))
    before = tracker.snapshot()
    tracker.observe(batch_of([echo(0)]))
    assert before["rtt"] == Histogram()


def test_values_of_single_legs_and_their_release() -> None:
    """The worst leg is found; after its release it is empty, and a later call's probe 0 counts anew."""
    tracker = LatencyTracker()
    tracker.begin(context_of(FixedLog([3, 3]), [0, 1]))
    tracker.observe(batch_of([echo(0, 1.0), echo(0, 50.0, leg=1), echo(1, 1.0)]))
    values = tracker.per_leg()
    assert values["rtt.max"].tolist() == pytest.approx([0.001, 0.050])
    assert values["rtt.p99"].tolist() == pytest.approx([0.001, 0.050])
    assert values["rtt.p50"].tolist() == pytest.approx([0.001, 0.050])
    tracker.release(np.array([1], np.int32))
    assert np.isnan(tracker.per_leg()["rtt.max"]).tolist() == [False, True]
    tracker.observe(batch_of([echo(0, 2.0, leg=1)]))
    assert tracker.per_leg()["rtt.max"].tolist() == pytest.approx([0.001, 0.002])
