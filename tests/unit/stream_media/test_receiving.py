"""What comes of reads that hold one frame, several, or a part of one."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import numpy as np
import pytest

from pytest_ari_sla.framing import audiosocket
from pytest_ari_sla.framing.conversations import AudioSocketServer
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.stream_media.loop.link import Link, LinkTable
from pytest_ari_sla.stream_media.loop.receiving import FrameReceiver
from pytest_ari_sla.stream_media.memory import StreamGauge, StreamLayout, StreamMemory
from pytest_ari_sla.udp.stamp_clock import StampClock
from tests.unit.settable_clock import SettableClock

LEGS = 3
UUID = audiosocket.encode(audiosocket.Kind.UUID, bytes(16))


def frame(number: int, size: int = 320) -> bytes:
    """Return a message of audio."""
    return audiosocket.encode(audiosocket.Kind.SLIN, bytes([number]) * size)


class Legs:
    """Legs whose streams have begun, each with the socket that its peer writes to."""

    def __init__(self, stack: ExitStack, ring_rows: int) -> None:
        layout = StreamLayout("audiosocket", LEGS, 20, 64, ring_rows, 640, 64, 640)
        self.memory = StreamMemory(layout, epoch_ns=time.time_ns() - time.monotonic_ns())
        stack.callback(self.memory.close)
        table, self._links = LinkTable(LEGS), dict[int, Link]()
        self.settable = SettableClock()
        clock = StampClock(int(self.memory.gauges[Gauge.EPOCH_NS]), self.settable)
        self._receiver = FrameReceiver(self.memory, clock, self._links, table)
        self.peers: list[socket.socket] = []
        for leg in range(LEGS):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.peers.append(stack.enter_context(socket.create_connection(listener.getsockname())))
                link = Link(listener.accept()[0], AudioSocketServer(), table)
            stack.callback(link.close)
            self._links[link.descriptor] = link
            link.conversation.receive(UUID)
            link.join(leg, 0)
            link.hear()

    def read(self) -> None:
        """Read once from all."""
        for link in self._receiver.read(list(self._links)):
            link.settle()

    def took(self) -> list[tuple[int, int, bytes]]:
        """Return what is in the ring and can be told apart: leg, place, and the frame."""
        rows = range(int(self.memory.gauges[Gauge.RING_HEAD]))
        ring, data = self.memory.ring[rows], self.memory.ring_data[rows]
        told = zip(ring["leg"].tolist(), ring["place"].tolist(), data, ring["length"].tolist(), strict=True)
        return sorted((leg, place, row[:length].tobytes()) for leg, place, row, length in told)


@pytest.fixture
def stack() -> ExitStack:
    """Return what closes all at the end of a test."""
    return ExitStack()


def test_frames_that_come_together_are_a_legs_in_their_order(stack: ExitStack) -> None:
    """One, three, and two of which the last is cut off."""
    with stack:
        legs = Legs(stack, 64)
        legs.peers[0].sendall(frame(1))
        legs.peers[1].sendall(frame(2) + frame(3) + frame(4))
        legs.peers[2].sendall(frame(5) + frame(6, 160) + frame(7)[:9])
        legs.read()
        legs.peers[2].sendall(frame(7)[9:])
        legs.read()
        sent = [(0, 0, 1), (1, 0, 2), (1, 1, 3), (1, 2, 4), (2, 0, 5), (2, 1, 6), (2, 2, 7)]
        assert [(leg, place, data[0]) for leg, place, data in legs.took()] == sent
        assert [len(data) for _, _, data in legs.took()] == [320, 320, 320, 320, 320, 160, 320]
        assert legs.memory.streams[StreamGauge.MERGED_READS] == 2
        assert legs.memory.streams[StreamGauge.MALFORMED] == 0


def test_a_leg_that_sends_a_backlog_at_once_is_read_in_any_number_of_reads(stack: ExitStack) -> None:
    """More than a read holds, and more than are taken apart at once."""
    with stack:
        legs = Legs(stack, 256)
        legs.peers[0].sendall(b"".join(frame(number) for number in range(60)))
        for _ in range(8):
            legs.read()
        assert [(leg, place, data[0]) for leg, place, data in legs.took()] == [(0, n, n) for n in range(60)]


def test_frames_for_which_the_ring_has_no_room_are_counted(stack: ExitStack) -> None:
    """Nothing else is overwritten."""
    with stack:
        legs = Legs(stack, 4)
        for peer in legs.peers:
            peer.sendall(frame(1) + frame(2))
        legs.read()
        assert legs.memory.gauges[Gauge.RING_HEAD] == 4
        assert legs.memory.streams[StreamGauge.NO_ROOM] == 2  # ours: the peer has done nothing wrong
        assert legs.memory.streams[StreamGauge.MALFORMED] == 0
        assert np.count_nonzero(legs.memory.ring["length"]) == 4


@pytest.mark.parametrize("step_ns", [3_600_000_000_000, -3_600_000_000_000])
def test_a_clock_that_is_set_before_frames_are_read_dates_them_as_they_came(stack: ExitStack, step_ns: int) -> None:
    """The kernel has stamped them by the clock as it was: one in an hour would keep all others from being measured."""
    with stack:
        legs = Legs(stack, 64)
        began_ns = legs.memory.streams[StreamGauge.DRAINED_NS] = legs.memory.now_ns()
        legs.peers[0].sendall(frame(1))
        legs.settable.step_ns = step_ns
        legs.read()
        assert began_ns <= legs.memory.ring["arrival_ns"][0] <= legs.memory.now_ns()
        assert legs.memory.gauges[Gauge.CLOCK_STEPS] == 1
