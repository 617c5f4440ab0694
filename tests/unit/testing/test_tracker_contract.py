from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_ari_sla.hookspecs.tracker import Tracker, TrackerContext
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.testing import TrackerContract
from pytest_ari_sla.trackers.builtin import BuiltinTrackers


class TestEveryBuiltInTracker(TrackerContract):
    """The built-in trackers keep the contract that a stranger's must keep."""

    @pytest.fixture(params=BuiltinTrackers().pytest_ari_sla_register_trackers(), ids=lambda tracker: tracker.name)
    def tracker(self, request: pytest.FixtureRequest) -> Tracker:
        """Each of them in turn."""
        tracker: Tracker = request.param
        return tracker


class Counting:
    """A correct tracker that counts packets, for mistakes to be put into."""

    name = "counting"
    metrics = (Metric("test.counted", "count", "count", "Packets counted"),)

    def __init__(self) -> None:
        self.packets = 0

    def begin(self, context: TrackerContext) -> None:
        """Start from nothing."""
        self.packets = 0

    def observe(self, batch: PacketBatch) -> None:
        """Count."""
        self.packets += len(batch)

    def advance(self, now_ns: int) -> None:
        """Nothing happens."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Nothing is kept per leg."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the count."""
        return {"test.counted": self.packets}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Nothing is known per leg."""
        return {}


class TestCounting(TrackerContract):
    """Without a mistake the tracker passes."""

    @pytest.fixture
    def tracker(self) -> Tracker:
        """Count packets."""
        return Counting()


class Undeclared(Counting):
    """Gives a metric that is not in its catalogue."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the count, under another name."""
        return {"test.other": self.packets}


class Batches(Counting):
    """Counts batches instead of packets."""

    def observe(self, batch: PacketBatch) -> None:
        """Count, badly."""
        self.packets += 1


class Shared(Counting):
    """Keeps its state where all copies share it."""

    packets_of_all = 0

    def observe(self, batch: PacketBatch) -> None:
        """Count, badly."""
        Shared.packets_of_all += len(batch)

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return what all copies have counted."""
        return {"test.counted": Shared.packets_of_all}


class Resetting(Counting):
    """Forgets what it counted once it was read."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the count since the last time."""
        packets, self.packets = self.packets, 0
        return {"test.counted": packets}


class Careless(Counting):
    """Compares sequence numbers without minding that they wrap."""

    def begin(self, context: TrackerContext) -> None:
        """Start from nothing."""
        self.packets, self.highest = 0, np.zeros(context.legs, np.int64)

    def observe(self, batch: PacketBatch) -> None:
        """Count packets that are newer than all before."""
        for leg, sequence in zip(batch.leg.tolist(), batch.sequence.tolist(), strict=True):
            self.packets += sequence > self.highest[leg]
            self.highest[leg] = max(self.highest[leg], sequence)


class Sticky(Careless):
    """Keeps the state of a leg beyond the call's end."""


class Numpy(Counting):
    """Hands out one number for all legs."""

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return one number, whatever the number of legs."""
        return {"test.counted": np.array([1.0])}


class Slow(Counting):
    """Reports a packet only when the next one comes."""

    def observe(self, batch: PacketBatch) -> None:
        """Count all but the last."""
        self.packets += max(len(batch) - 1, 0)


class Seconds(Counting):
    """Takes each call of ``advance`` for a second."""

    def advance(self, now_ns: int) -> None:
        """Count, badly."""
        self.packets += 1


class Global(Counting):
    """Counts the load, not its legs: two workers would count it twice."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return one for the load."""
        return {"test.counted": 1}


@pytest.mark.parametrize(
    ("tracker", "broken_test"),
    [
        (Undeclared(), TrackerContract.test_its_snapshot_holds_what_it_declares),
        (Batches(), TrackerContract.test_it_does_not_matter_how_packets_are_cut_into_batches),
        (Slow(), TrackerContract.test_it_does_not_matter_how_packets_are_cut_into_batches),
        (Seconds(), TrackerContract.test_it_does_not_matter_how_often_time_is_told),
        (Batches(), TrackerContract.test_an_empty_batch_changes_nothing),
        (Shared(), TrackerContract.test_a_copy_is_independent),
        (Careless(), TrackerContract.test_counters_of_rtp_may_wrap_around),
        (Sticky(), TrackerContract.test_a_leg_can_be_used_again),
        (Numpy(), TrackerContract.test_values_of_single_legs_are_declared),
        (Resetting(), TrackerContract.test_reading_changes_nothing),
        (Resetting(), TrackerContract.test_snapshots_are_cumulative),
        (Global(), TrackerContract.test_legs_can_be_shared_out),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Counting) else value.__name__,
)
def test_mistakes_are_found(tracker: Tracker, broken_test: Callable[[TrackerContract, Tracker], Any]) -> None:
    """Each of the contract's tests can fail."""
    with pytest.raises(AssertionError):
        broken_test(TrackerContract(), tracker)
