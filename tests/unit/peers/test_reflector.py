from __future__ import annotations

import socket

import numpy as np
import pytest

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.peers.reflector import (
    BATCH,
    MOST_BATCHES,
    PACKET_WIDTH,
    PacketMover,
    TurnaroundMeter,
    send_stamped,
)
from pytest_ari_sla.udp.datagrams import open_udp_socket
from pytest_ari_sla.udp.stamp_clock import StampClock
from tests.unit.settable_clock import SettableClock


class MoodySender:
    """Takes a few rows at a time, and refuses chosen ones for ever, others once."""

    def __init__(self, refused: set[int], at_once: int = 3) -> None:
        self.sent: list[int] = []
        self._refused = refused
        self._at_once = at_once

    def send_rows(self, sending: socket.socket, rows: np.ndarray) -> int:
        """Send rows until one is refused."""
        for count, row in enumerate(rows.tolist()):
            if row in self._refused or count == self._at_once:
                return count
            self.sent.append(row)
        return len(rows)


def test_a_refused_packet_does_not_hold_up_the_others() -> None:
    """All other rows are sent, once and in order; the refused ones have no time of sending."""
    sender = MoodySender({0, 5, 9})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        departures = send_stamped(sender, udp, np.arange(10), StampClock())
    assert sender.sent == [1, 2, 3, 4, 6, 7, 8]
    assert np.flatnonzero(~departures.is_sent).tolist() == [0, 5, 9]
    assert not departures.began_ns[[0, 5, 9]].any()


def test_departures_are_ordered_in_time() -> None:
    """Each packet begins before it ends, and not before the one before it has ended."""
    sender = MoodySender(set(), at_once=100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        departures = send_stamped(sender, udp, np.arange(50), StampClock())
    assert (departures.began_ns <= departures.ended_ns).all()
    assert (departures.began_ns[1:] == departures.ended_ns[:-1]).all()


@pytest.mark.parametrize("portion", [1, 4, 1000])
def test_a_meter_holds_exactly_what_was_recorded(portion: int) -> None:
    """Gathering in portions changes no count, also for batches larger than a portion, and after each reading."""
    meter, expected = TurnaroundMeter(portion), Histogram()
    for size in (0, 1, 3, 4, 5, 17):
        values = np.arange(size, dtype=np.int64) * 1000
        meter.record(values)
        expected.record(values)
        assert meter.histogram() == expected


@pytest.mark.parametrize("step_ns", [3_600_000_000_000, -3_600_000_000_000])
def test_a_clock_that_is_set_while_packets_wait_makes_none_an_hour_old(step_ns: int) -> None:
    """Nor does it come in an hour: it was held for as long as it was held."""
    clock = SettableClock()
    with open_udp_socket(("127.0.0.1", 0)) as receiving, open_udp_socket(("127.0.0.1", 0)) as client:
        mover = PacketMover(clock)
        client.sendto(b"\x80" + bytes(20), receiving.getsockname())
        clock.step_ns = step_ns
        ((rows, _),) = mover.batches(receiving)
        departures = mover.send(receiving, rows)
    assert mover.clock.steps == 1
    assert abs(departures.ended_ns - mover.arrival_ns(rows)).max() < 60_000_000_000


def test_only_rtp_is_moved() -> None:
    """Short datagrams, other versions and ones longer than a row are told apart from RTP packets."""
    rtp = b"\x80" + bytes(20)
    sent = [rtp, b"", b"\x80" * 11, b"\x40" + bytes(20), rtp + bytes(PACKET_WIDTH), rtp]
    with open_udp_socket(("127.0.0.1", 0)) as receiving, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for datagram in sent:
            client.sendto(datagram, receiving.getsockname())
        ((rows, invalid),) = PacketMover().batches(receiving)
    assert rows.tolist() == [0, 5]
    assert invalid == 4


def test_one_wake_up_deals_with_a_bounded_number_of_packets() -> None:
    """A socket that is never empty leaves the others their turn; the rest is there next time."""
    count = BATCH * MOST_BATCHES + 10
    with open_udp_socket(("127.0.0.1", 0)) as receiving, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(count):
            client.sendto(b"\x80" + bytes(11), receiving.getsockname())
        mover = PacketMover()
        assert [len(rows) for rows, _ in mover.batches(receiving)] == [BATCH] * MOST_BATCHES
        assert [len(rows) for rows, _ in mover.batches(receiving)] == [10]
