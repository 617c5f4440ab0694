from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pytest_ari_sla_vitals.asterisk_process import Vitals
from pytest_ari_sla_vitals.tracker import VitalsTracker

from pytest_ari_sla import AriEndpoint, Histogram, Tracker, TrackerContext
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.testing import EchoedStreams, ManualClock, TrackerContract

SECOND_NS = 1_000_000_000


class TestVitals(TrackerContract):
    """The tracker keeps the contract of all trackers, but measures the target instead of legs."""

    adds_up_over_legs: ClassVar[bool] = False

    @pytest.fixture
    def tracker(self) -> Tracker:
        """Without a target: the contract's streams come from nowhere."""
        return VitalsTracker()


class Scripted:
    """A process whose readings are known beforehand."""

    def __init__(self, *readings: Vitals | None) -> None:
        self._readings = list(readings)

    def read(self) -> Vitals | None:
        """Return the next one."""
        return self._readings.pop(0)


HEALTHY = Vitals(cpu_s=10.0, rss_bytes=80_000_000, open_files=300, threads=120, channels=100, queued_tasks=2)


def context() -> TrackerContext:
    """A context with a target."""
    return replace(
        EchoedStreams(legs=1, packets=1).context, ari=AriEndpoint("http://127.0.0.1:8088/ari", "me", "secret")
    )


def tracked(*readings: Vitals | None, **arguments: Any) -> Snapshot:
    """Return what a tracker says after these readings, one a second."""
    process = Scripted(*readings)
    tracker = VitalsTracker(find=lambda endpoint: process, **arguments)  # type: ignore[arg-type, return-value]
    tracker.begin(context())
    clock = ManualClock()
    for _ in readings:
        tracker.advance(clock.advance(SECOND_NS))
    return Snapshot(tracker.snapshot())


def test_every_reading_is_a_sample() -> None:
    """Levels are distributions: their maximum and percentiles can be limited."""
    snapshot = tracked(HEALTHY, replace(HEALTHY, rss_bytes=90_000_000, channels=120))
    rss, channels = snapshot.histogram("vitals.rss"), snapshot.histogram("vitals.channels")
    assert (rss.count, rss.min, rss.max) == (2, 80_000_000, 90_000_000)
    assert (channels.min, channels.max) == (100, 120)
    assert snapshot.histogram("vitals.queued_tasks").max == 2


def test_a_reading_is_taken_once_a_second_however_often_time_is_told() -> None:
    """It is told at the end of every call: a load of many calls must not become a load of readings."""
    process = Scripted(HEALTHY, HEALTHY)
    tracker = VitalsTracker(find=lambda endpoint: process)  # type: ignore[arg-type, return-value]
    tracker.begin(context())
    clock = ManualClock()
    for _ in range(15):
        tracker.advance(clock.advance(SECOND_NS // 10))
    assert Snapshot(tracker.snapshot()).histogram("vitals.rss").count == 2


def test_cpu_is_the_share_of_a_core_between_two_readings() -> None:
    """0.3 s of CPU in a second are 30 %; the first reading has nothing to be compared with."""
    cpu = tracked(HEALTHY, replace(HEALTHY, cpu_s=10.3), replace(HEALTHY, cpu_s=12.0)).histogram("vitals.cpu")
    assert (cpu.count, cpu.min, cpu.max) == (2, 300, 1700)


def test_a_leak_is_counted_in_bytes_and_files() -> None:
    """1 MB and one file a second over 30 s at 100 channels; threads stay, CPU does not matter."""
    leaking = [
        replace(HEALTHY, rss_bytes=80_000_000 + 1_000_000 * second, open_files=300 + second) for second in range(31)
    ]
    snapshot = tracked(*leaking, warm_up_s=0.0)
    assert snapshot.count("vitals.rss_growth") == pytest.approx(30_000_000, rel=0.01)
    assert snapshot.count("vitals.open_files_growth") == 30
    assert snapshot.count("vitals.threads_growth") == 0


def test_what_shrinks_does_not_leak() -> None:
    """A falling level is a growth of 0: thresholds have one side only."""
    shrinking = [replace(HEALTHY, rss_bytes=80_000_000 - 1_000_000 * second) for second in range(20)]
    assert tracked(*shrinking, warm_up_s=0.0)["vitals.rss_growth"] == 0


def test_growth_is_unknown_until_there_is_enough_to_compare() -> None:
    """It is left out rather than said to be 0, so that a threshold on it cannot pass by accident."""
    assert "vitals.rss_growth" not in tracked(HEALTHY, HEALTHY)


def test_a_control_socket_that_does_not_answer_costs_channels_only() -> None:
    """CPU and memory are known all the same; growth is not, since the load is not."""
    mute = replace(HEALTHY, channels=None, queued_tasks=None)
    snapshot = tracked(*[mute] * 30, warm_up_s=0.0)
    assert snapshot.histogram("vitals.rss").count == 30
    assert snapshot.histogram("vitals.channels").count == 0
    assert "vitals.rss_growth" not in snapshot


def test_an_asterisk_that_is_gone_ends_the_samples() -> None:
    """Readings stop; those taken stay."""
    assert tracked(HEALTHY, None, None).histogram("vitals.rss").count == 1


@pytest.mark.parametrize("change", [{"shard": 2}, {"ari": None}], ids=["another worker", "no target"])
def test_only_the_first_worker_with_a_target_reads(change: dict[str, Any]) -> None:
    """Four workers on one host would otherwise count the same process four times."""

    def find(endpoint: AriEndpoint) -> None:
        raise AssertionError("nobody is looked for")

    tracker = VitalsTracker(find=find)
    tracker.begin(replace(context(), **change))
    tracker.advance(ManualClock().now_ns)
    assert all(value == Histogram() for value in tracker.snapshot().values())


def test_later_snapshots_contain_earlier_ones() -> None:
    """Levels only take in more, so that the difference of two snapshots is a second of the time series."""
    leaking = [replace(HEALTHY, rss_bytes=80_000_000 + 1_000_000 * second) for second in range(40)]
    process = Scripted(*leaking)
    tracker = VitalsTracker(warm_up_s=0.0, find=lambda endpoint: process)  # type: ignore[arg-type, return-value]
    tracker.begin(context())
    clock = ManualClock()
    earlier = Snapshot(tracker.snapshot())
    for _ in leaking:
        tracker.advance(clock.advance(SECOND_NS))
        later = Snapshot(tracker.snapshot())
        assert (later - earlier).histogram("vitals.rss").count == 1
        earlier = later
