import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.hookspecs.tracker import Tracker
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.testing import EchoedStreams, Packet, PerPacketTracker, TrackerContract

ROUND_TRIP = Metric("test.round_trip", "distribution", "s", "From send to return")
SPEECH_STARTS = Metric("test.marked", "count", "count", "Packets with the marker bit")


def round_trip_s(packet: Packet) -> float | None:
    """Return a packet's round trip in seconds, where its send time is known."""
    return (packet.arrival_ns - packet.sent_ns) / 1e9 if packet.sent_ns else None


class TestDistribution(TrackerContract):
    """A function that measures keeps the contract of every tracker."""

    @pytest.fixture
    def tracker(self) -> Tracker:
        """Measure round trips, one at a time."""
        return PerPacketTracker("round trip", ROUND_TRIP, round_trip_s)


class TestCount(TrackerContract):
    """A function that counts keeps the contract of every tracker."""

    @pytest.fixture
    def tracker(self) -> Tracker:
        """Count markers, one at a time."""
        return PerPacketTracker("marked", SPEECH_STARTS, lambda packet: packet.marker)


def test_values_are_kept_in_the_metrics_own_steps() -> None:
    """Seconds become the nanoseconds of the histogram; what is None is left out."""
    streams = EchoedStreams(legs=1, packets=20)
    tracker = PerPacketTracker(
        "round trip", ROUND_TRIP, lambda packet: round_trip_s(packet) if packet.probe % 2 else None
    )
    tracker.begin(streams.context)
    streams.replay(tracker)
    kept = tracker.snapshot()["test.round_trip"]
    assert isinstance(kept, Histogram)
    assert (kept.count, kept.min, kept.max) == (10, 1_000_000, 1_000_000)


def test_a_packet_is_plain_python() -> None:
    """The function sees built-in numbers, and only the payload's own bytes."""
    seen: list[Packet] = []
    streams = EchoedStreams(legs=1, packets=2)
    streams.received.payload_length[:] = 100
    tracker = PerPacketTracker("seen", SPEECH_STARTS, lambda packet: seen.append(packet))
    tracker.begin(streams.context)
    streams.replay(tracker)
    assert [packet.sequence for packet in seen] == [65_500, 65_501]
    assert {type(value) for packet in seen for value in packet} == {int, bool, bytes}
    assert len(seen[0].payload) == 100


def test_a_ratio_is_refused() -> None:
    """A ratio cannot be merged; its two counts can."""
    ratio = Metric("test.share", "ratio", "ratio", "A share", numerator="test.a", denominator="test.b")
    with pytest.raises(UsageError, match=r"metric test.share is a ratio: a tracker keeps the two counts"):
        PerPacketTracker("share", ratio, lambda packet: 1)
