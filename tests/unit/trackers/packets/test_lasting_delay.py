"""Delay that came at one moment and stayed."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.trackers.packets.lasting_delay import LastingDelayTracker
from tests.unit.batches import batch_of
from tests.unit.trackers.loads import FixedLog, context_of, echo

_PER_SECOND = 10
_SECOND_NS = 1_000_000_000


def _lived(*delays_ms: float) -> LastingDelayTracker:
    """Return a tracker after seconds in which the shortest delay was each of these, and others were longer."""
    tracker = LastingDelayTracker()
    tracker.begin(context_of(FixedLog([1000]), [0]))
    for second, delay_ms in enumerate(delays_ms):
        probes = range(_PER_SECOND * second, _PER_SECOND * (second + 1))
        tracker.observe(batch_of([echo(probe, delay_ms + 30 * (probe % 3)) for probe in probes]))
        tracker.advance((second + 1) * _SECOND_NS)
    return tracker


def _histogram(tracker: LastingDelayTracker) -> Histogram:
    tracker.release(np.zeros(1, np.int32))
    histogram = tracker.snapshot()["lasting_delay"]
    assert isinstance(histogram, Histogram)
    return histogram


@pytest.mark.parametrize(
    ("delays_ms", "lasting_ms", "legs"),
    [
        ([10, 10, 10, 10], 0, 0),  # jitter of 60 ms is in every second
        ([10, 10, 2010, 2010, 2010], 2000, 1),  # a burst of 100 frames waits for ever
        ([10, 10, 900, 10, 10], 0, 0),  # a stall of a second is made good
        ([10, 60, 110, 160, 210, 260], 200, 1),  # a queue that grows: the last two seconds, the lesser of them
        ([300, 300, 10, 10], 0, 0),  # delay that goes away was there from the beginning
    ],
)
def test_only_what_stays_up_for_two_seconds_counts(delays_ms: list[float], lasting_ms: float, legs: int) -> None:
    """One value a leg, and a count while the call lasts."""
    tracker = _lived(*delays_ms)
    assert tracker.snapshot()["lasting_delay.legs"] == legs
    assert tracker.per_leg()["lasting_delay"].tolist() == [pytest.approx(lasting_ms / 1000)]
    assert _histogram(tracker).max == pytest.approx(lasting_ms * 1e6, rel=0.01)


def test_it_is_counted_three_seconds_after_it_came() -> None:
    """While the call goes on."""
    tracker = _lived(10, 10, 2010)
    assert tracker.snapshot()["lasting_delay.legs"] == 0
    tracker.observe(batch_of([echo(40, 2010)]))
    tracker.advance(4 * _SECOND_NS)
    assert tracker.snapshot()["lasting_delay.legs"] == 1


def test_seconds_are_seconds_however_often_time_is_told() -> None:
    """It is told at the end of every call: a stall of 300 ms in a load of many calls is not a delay that stays."""
    tracker = _lived(10, 10)
    for moment, probe in enumerate(range(20, 35)):
        tracker.observe(batch_of([echo(probe, 310 - 20 * moment)]))
        tracker.advance(2 * _SECOND_NS + moment * 20_000_000)
    tracker.observe(batch_of([echo(40, 10)]))
    tracker.advance(3 * _SECOND_NS)
    assert tracker.snapshot()["lasting_delay.legs"] == 0


def test_a_later_call_on_the_same_leg_begins_anew() -> None:
    """Its delay has nothing to do with the former's."""
    tracker = _lived(10, 10)
    tracker.release(np.zeros(1, np.int32))
    for second in range(4):
        tracker.observe(batch_of([echo(second, 700)]))
        tracker.advance((second + 3) * _SECOND_NS)
    assert tracker.snapshot()["lasting_delay.legs"] == 0


def test_a_leg_that_heard_no_probe_has_no_value() -> None:
    """Where audio is mixed, nothing is known."""
    tracker = _lived()
    tracker.advance(0)
    assert np.isnan(tracker.per_leg()["lasting_delay"]).all()
    assert _histogram(tracker).count == 0
