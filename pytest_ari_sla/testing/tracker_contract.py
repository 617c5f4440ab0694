"""What every tracker must do: a test class to inherit, for authors of trackers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, ClassVar

import execnet
import numpy as np
import pytest

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.testing.echoed_streams import EchoedStreams

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.tracker import Tracker

__all__ = ["TrackerContract"]

BAD_NETWORK = Impairment(
    loss=0.05, loss_burst=3.0, delay_ns=8_000_000, jitter_ns=6_000_000, duplicate=0.02, reorder=0.02, seed=7
)


def _measured(prototype: Tracker, streams: EchoedStreams, rows: int = 1000) -> Snapshot:
    """Let a copy of a tracker live through some streams, and return what it says at the end."""
    tracker = copy.deepcopy(prototype)
    tracker.begin(streams.context)
    streams.replay(tracker, rows)
    return Snapshot(tracker.snapshot())


class TrackerContract:
    """Inherit this, override the fixture ``tracker``, and every test below runs on your tracker.

    Attributes
    ----------
    adds_up_over_legs
        Whether measuring two halves of the legs apart and merging gives what measuring all of them together gives.
        True for whatever is measured on packets; set it to False for a tracker that measures something else.

    Examples
    --------
    >>> class TestMyTracker(TrackerContract):
    ...     @pytest.fixture
    ...     def tracker(self):
    ...         return MyTracker()
    """

    adds_up_over_legs: ClassVar[bool] = True

    @pytest.fixture
    def tracker(self) -> Tracker:
        """The prototype under test, not begun."""
        raise NotImplementedError("override the fixture 'tracker' and return your tracker from it")

    def test_it_describes_itself(self, tracker: Tracker) -> None:
        """A tracker has a name and at least one metric, each under a name of its own."""
        assert tracker.name
        names = [metric.name for metric in tracker.metrics]
        assert names
        assert len(set(names)) == len(names)
        assert all(isinstance(metric, Metric) for metric in tracker.metrics)

    def test_its_snapshot_holds_what_it_declares(self, tracker: Tracker) -> None:
        """Distributions are histograms, counts are integers, and nothing is undeclared; ratios are never stored."""
        metrics = {metric.name: metric for metric in tracker.metrics}
        parts = {part for metric in tracker.metrics for part in (metric.numerator, metric.denominator)}
        for name, value in _measured(tracker, EchoedStreams(impairment=BAD_NETWORK)).items():
            assert name in metrics.keys() | parts, f"{name} is not declared"
            if name in metrics:
                kind = "distribution" if isinstance(value, Histogram) else "count"
                assert metrics[name].kind == kind, f"{name} is declared as a {metrics[name].kind}"

    def test_a_copy_is_independent(self, tracker: Tracker) -> None:
        """Every load works on a deep copy: what one measures, another one never sees."""
        streams = EchoedStreams()
        idle, busy = copy.deepcopy(tracker), copy.deepcopy(tracker)
        idle.begin(streams.context)
        before = Snapshot(idle.snapshot())
        busy.begin(streams.context)
        streams.replay(busy)
        assert Snapshot(idle.snapshot()) == before

    def test_it_does_not_matter_how_packets_are_cut_into_batches(self, tracker: Tracker) -> None:
        """One packet at a time, a prime number of them, or all of a second at once: the result is the same."""
        whole = _measured(tracker, EchoedStreams(impairment=BAD_NETWORK))
        for rows in (1, 13, 97):
            assert _measured(tracker, EchoedStreams(impairment=BAD_NETWORK), rows) == whole, f"{rows} at a time"

    def test_an_empty_batch_changes_nothing(self, tracker: Tracker) -> None:
        """A batch without packets is legal at any time."""
        streams = EchoedStreams(impairment=BAD_NETWORK)
        empty = streams.received.select(slice(0, 0))
        tracker.begin(streams.context)
        tracker.observe(empty)
        streams.replay(tracker)
        before = Snapshot(tracker.snapshot())
        tracker.observe(empty)
        assert Snapshot(tracker.snapshot()) == before

    def test_it_does_not_matter_how_often_time_is_told(self, tracker: Tracker) -> None:
        """``advance`` comes once more wherever a call ends: who counts seconds, or samples, goes by its time."""
        once = _measured(tracker, EchoedStreams(impairment=BAD_NETWORK))
        twice = copy.deepcopy(tracker)
        streams = EchoedStreams(impairment=BAD_NETWORK)
        twice.begin(streams.context)
        streams.replay(twice, times_told=2)
        assert Snapshot(twice.snapshot()) == once

    def test_reading_changes_nothing(self, tracker: Tracker) -> None:
        """Two snapshots in a row are equal, and an earlier one is not touched by what comes later."""
        streams = EchoedStreams(impairment=BAD_NETWORK)
        tracker.begin(streams.context)
        first = Snapshot(tracker.snapshot())
        kept = Snapshot.from_plain(first.to_plain())
        assert Snapshot(tracker.snapshot()) == first
        streams.replay(tracker)
        assert first == kept
        assert Snapshot(tracker.snapshot()) == Snapshot(tracker.snapshot())

    def test_snapshots_are_cumulative(self, tracker: Tracker) -> None:
        """A later snapshot contains every earlier one: their difference is what happened in between."""
        streams = EchoedStreams(impairment=BAD_NETWORK)
        tracker.begin(streams.context)
        most = len(streams.received) * 3 // 4
        tracker.observe(streams.received.select(slice(0, most)))
        tracker.advance(streams.clock.advance_to(int(streams.received.arrival_ns[most])))
        earlier = Snapshot(tracker.snapshot())
        tracker.observe(streams.received.select(slice(most, None)))
        tracker.advance(streams.clock.advance_to(streams.end_ns))
        since = Snapshot(tracker.snapshot()) - earlier
        assert all(value >= 0 for value in since.values() if isinstance(value, int))

    def test_snapshots_travel(self, tracker: Tracker) -> None:
        """A snapshot survives the way from a worker to the controller, and merging with nothing."""
        snapshot = _measured(tracker, EchoedStreams(impairment=BAD_NETWORK))
        arrived = Snapshot.from_plain(execnet.loads(execnet.dumps(snapshot.to_plain())))
        assert arrived == snapshot
        assert arrived + Snapshot() == snapshot

    def test_legs_can_be_shared_out(self, tracker: Tracker) -> None:
        """Two workers with half of the legs each measure, merged, what one with all of them measures."""
        if not self.adds_up_over_legs:
            pytest.skip("this tracker does not measure legs")
        whole = _measured(tracker, EchoedStreams(legs=4, impairment=BAD_NETWORK))
        halves = [
            _measured(tracker, EchoedStreams(legs=2, first_leg=first, impairment=BAD_NETWORK)) for first in (0, 2)
        ]
        assert halves[0] + halves[1] == whole

    def test_counters_of_rtp_may_wrap_around(self, tracker: Tracker) -> None:
        """A stream whose sequence numbers and time stamps wrap measures like one whose do not."""
        wrapping = EchoedStreams(impairment=BAD_NETWORK, first_sequence=65_500, first_timestamp=2**32 - 4000)
        steady = EchoedStreams(impairment=BAD_NETWORK, first_sequence=100, first_timestamp=100)
        assert _measured(tracker, wrapping) == _measured(tracker, steady)

    def test_silence_is_survived(self, tracker: Tracker) -> None:
        """Where not a single packet comes back, time passes and a snapshot can be taken all the same."""
        snapshot = _measured(tracker, EchoedStreams(impairment=Impairment(loss=1.0)))
        Snapshot.from_plain(snapshot.to_plain())

    def test_a_leg_can_be_used_again(self, tracker: Tracker) -> None:
        """After a release the same numbers serve a later call, and measuring it again doubles everything."""
        if not self.adds_up_over_legs:
            pytest.skip("this tracker does not measure legs")
        streams = EchoedStreams(impairment=BAD_NETWORK)
        tracker.begin(streams.context)
        streams.replay(tracker)
        streams.release(tracker)
        once = Snapshot(tracker.snapshot())
        streams.play_again()
        streams.replay(tracker)
        streams.release(tracker)
        assert Snapshot(tracker.snapshot()) == once + once

    def test_values_of_single_legs_are_declared(self, tracker: Tracker) -> None:
        """What is said of each leg is one number per leg, under a declared name or a stat of one (``rtt.p50``)."""
        streams = EchoedStreams(impairment=BAD_NETWORK)
        tracker.begin(streams.context)
        streams.replay(tracker)
        names = {metric.name for metric in tracker.metrics}
        for name, values in tracker.per_leg().items():
            assert name in names or name.rpartition(".")[0] in names
            assert values.shape == (streams.context.legs,)
            assert values.dtype == np.float64
