import numpy as np
import pytest

from pytest_ari_sla.codecs.g722 import G722Codec
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.rtp import probe
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.testing import EchoedStreams, PerPacketTracker
from pytest_ari_sla.testing.echoed_streams import NONCE
from pytest_ari_sla.testing.per_packet_tracker import Packet

SEEN = Metric("test.seen", "count", "count", "Packets seen")


def test_a_good_network_brings_every_packet_back() -> None:
    """Each leg hears each of its packets once, a millisecond after it was sent."""
    received = EchoedStreams(legs=3, packets=40).received
    assert len(received) == 120
    assert set(zip(received.leg.tolist(), received.probe.tolist(), strict=True)) == {
        (leg, number) for leg in range(3) for number in range(40)
    }
    assert set((received.arrival_ns - received.sent_ns).tolist()) == {1_000_000}
    assert (np.diff(received.arrival_ns) >= 0).all()


def test_a_packet_carries_speech_and_its_probe() -> None:
    """The stamp in the payload says what the batch's columns say."""
    received = EchoedStreams(legs=2, packets=30, codec=G722Codec()).received
    source_leg, number = probe.read(received.payload, received.payload_length, NONCE)
    np.testing.assert_array_equal(source_leg, received.source_leg)
    np.testing.assert_array_equal(number, received.probe)
    assert len(np.unique(received.payload[:, probe.PROBE_BYTES :])) > 50


def test_streams_wrap_around_unless_told_otherwise() -> None:
    """Sequence numbers and time stamps pass their limits within the first seconds."""
    received = EchoedStreams(legs=1, packets=150).received
    for counter in (received.sequence, received.timestamp):
        assert counter[0] > counter[-1]


def test_faults_are_those_of_the_impairment() -> None:
    """Lost packets are missing, doubled ones are there twice."""
    streams = EchoedStreams(legs=4, packets=200, impairment=Impairment(loss=0.2, duplicate=0.1, seed=3))
    keys = list(zip(streams.received.leg.tolist(), streams.received.probe.tolist(), strict=True))
    assert 590 < len(set(keys)) < 690
    assert 40 < len(keys) - len(set(keys)) < 100


def test_the_send_log_knows_what_was_sent_by_now() -> None:
    """It follows the clock: nothing is sent before its time, and everything in the end."""
    streams = EchoedStreams(legs=2, packets=50)
    assert streams.send_log.sent().tolist() == [1, 0]
    streams.clock.advance(101_000_000)
    assert streams.send_log.sent().tolist() == [6, 6]
    assert streams.send_log.settled(streams.clock.now_ns, 60_000_000).tolist() == [3, 3]
    assert streams.send_log.was_sent(np.array([0, 0], np.int32), np.array([5, 6])).tolist() == [True, False]
    streams.clock.advance_to(streams.end_ns)
    assert streams.send_log.due().tolist() == [50, 50]


class Writer(PerPacketTracker):
    """A tracker that breaks a rule: it writes into the batch."""

    def observe(self, batch: PacketBatch) -> None:
        """Observe, badly."""
        batch.leg[:] = 0


def test_a_tracker_that_writes_into_a_batch_is_found_out() -> None:
    """The arrays that a replay hands out are read-only."""
    streams = EchoedStreams()
    with pytest.raises(ValueError, match="read-only"):
        streams.replay(Writer("writer", SEEN, lambda packet: 1))


def test_a_second_life_is_like_the_first() -> None:
    """Played again, the same packets come at the same distances from the leg's beginning, only later."""
    streams = EchoedStreams(legs=2, packets=30)
    lives: list[list[tuple[int, int]]] = []

    def note(packet: Packet) -> None:
        lives[-1].append((packet.leg, packet.arrival_ns))

    tracker = PerPacketTracker("seen", SEEN, note)
    tracker.begin(streams.context)
    for _ in range(2):
        lives.append([])
        streams.replay(tracker)
        streams.release(tracker)
        assert not streams.send_log.sent().any()
        streams.play_again()
    later_ns = lives[1][0][1] - lives[0][0][1]
    assert later_ns > 0
    assert lives[1] == [(leg, arrival_ns + later_ns) for leg, arrival_ns in lives[0]]
