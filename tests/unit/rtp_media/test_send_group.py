from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.rtp import header, probe
from pytest_ari_sla.rtp_media.memory import BURST_PART, Gauge
from pytest_ari_sla.rtp_media.send_group import SendGroup
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from pytest_ari_sla.udp.batched import (
    BACKEND_VARIABLE,
    DatagramMemory,
    make_receiver,
    open_udp_socket,
)
from pytest_ari_sla.udp.mmsg import MmsgBurst
from pytest_ari_sla.udp.mmsg_python import PythonBurst
from pytest_ari_sla.udp.stamp_clock import StampClock
from tests.unit.rtp_media.memories import FRAME_BYTES, NONCE, WINDOW, make_memory, start_leg

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.rtp_media.memory import MediaMemory

DUE_NS = 1_700_000_000_000_000_000
LOOPBACK = ("127.0.0.1", 0)
REFUSED: Address = ("127.0.0.1", 0)
"""Nobody can be sent to at port 0: the kernel refuses it."""


@pytest.fixture(params=["mmsg", "python"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with each back end."""
    monkeypatch.setenv(BACKEND_VARIABLE, request.param)


class Clock:
    """Shows the times that it was told to, one after the other, and then the real one."""

    def __init__(self) -> None:
        self._times_ns: deque[int] = deque()

    def show(self, *times_ns: int) -> None:
        """Let these times pass."""
        self._times_ns.extend(times_ns)

    def monotonic_ns(self) -> int:
        """Return the next time."""
        return self._times_ns.popleft() if self._times_ns else time.monotonic_ns()

    def time_ns(self) -> int:
        """Return the real time."""
        return time.time_ns()


def let_stamp(monkeypatch: pytest.MonkeyPatch, stamps_ns: list[int]) -> None:
    """Let the kernel tell these times of sending."""
    for burst in (MmsgBurst, PythonBurst):
        monkeypatch.setattr(burst, "stamps_ns", lambda _: stamps_ns)


class Bench:
    """A send group between two sockets, with a memory to keep its log in."""

    def __init__(self, memory: MediaMemory, sending: socket.socket, receiving: socket.socket) -> None:
        self.memory = memory
        self.sending = sending
        self._receiving = receiving
        self.address: Address = receiving.getsockname()
        self.clock = Clock()
        self.group = SendGroup(0, sending, memory, start_leg(0, self.address), 8, StampClock(0, self.clock))

    def send(self, turn: int) -> int:
        """Send a turn that is due now."""
        return self.group.send(turn, DUE_NS)

    def sent_ns(self, turn: int, *legs: int) -> list[int]:
        """Return what the log says of a turn of these legs."""
        self.memory.turns[0] = turn + 1
        log = MediaSendLog(self.memory)
        sent_ns: list[int] = log.times_of(np.array(legs, np.int32), np.full(len(legs), turn))[1].tolist()
        return sent_ns

    def add(self, *legs: int, first_turn: int = 0, packets: int = 5) -> None:
        """Add streams to where the receiving socket is."""
        for leg in legs:
            self.group.add(start_leg(leg, self.address, packets=packets), first_turn)

    def receive(self) -> Packets:
        """Take out what has come."""
        inbox = DatagramMemory.allocate(64, 64)
        count = make_receiver(inbox).receive(self._receiving, 0, 64)
        return Packets(inbox.data[:count], inbox.length[:count].astype(np.int32))


class Packets:
    """Received packets, taken apart."""

    def __init__(self, rows: NDArray[np.uint8], lengths: NDArray[np.int32]) -> None:
        self.headers = header.parse(rows, lengths)
        self.payload = rows[:, header.HEADER_BYTES :]
        self.legs, self.numbers = probe.read(self.payload, self.headers.payload_length, NONCE)

    def __len__(self) -> int:
        return len(self.legs)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A memory, two sockets, an empty group."""
    memory = make_memory(legs=8)
    memory.gauges[Gauge.EPOCH_NS] = 0
    with open_udp_socket(LOOPBACK) as sending, open_udp_socket(LOOPBACK) as receiving:
        yield Bench(memory, sending, receiving)
    memory.close()


def test_a_packet_is_what_the_command_said(bench: Bench) -> None:
    """Header, probe and audio, byte for byte; all streams of a turn carry the same frame."""
    bench.add(4, 2)
    assert bench.send(7) == 2
    packets = bench.receive()
    headers = packets.headers
    assert headers.valid.all()
    assert headers.plain
    assert headers.sequence.tolist() == [7, 7]
    assert headers.timestamp.tolist() == [7 * 160, 7 * 160]
    assert headers.ssrc.tolist() == [1004, 1002]
    assert headers.payload_type.tolist() == [8, 8]
    assert not headers.marker.any()
    assert headers.payload_length.tolist() == [FRAME_BYTES, FRAME_BYTES]
    assert packets.legs.tolist() == [4, 2]
    assert packets.numbers.tolist() == [7, 7]
    assert (packets.payload[:, probe.PROBE_BYTES : FRAME_BYTES] == 7 % 3 + 1).all()


def test_numbers_wrap_as_their_fields_do(bench: Bench) -> None:
    """Sequence numbers have 16 bits, time stamps and probes 32 (RFC 3550, 5.1)."""
    bench.add(0, packets=1 << 40)
    for turn in (0xFFFF, 0x1_0000, 0x1_0000_0001):
        bench.send(turn)
    packets = bench.receive()
    assert packets.headers.sequence.tolist() == [0xFFFF, 0, 1]
    assert packets.headers.timestamp.tolist() == [0xFFFF * 160, 0x1_0000 * 160, 160]
    assert packets.numbers.tolist() == [0xFFFF, 0x1_0000, 1]


def test_frames_follow_each_other_by_turn(bench: Bench) -> None:
    """The audio goes on without a break, whenever a leg joins, and begins again at its end."""
    bench.add(0)
    for turn in range(4):
        bench.send(turn)
    assert bench.receive().payload[:, probe.PROBE_BYTES].tolist() == [1, 2, 3, 1]


def test_without_probes_frames_are_sent_whole(bench: Bench) -> None:
    """Where Asterisk decodes the audio, a probe would be a click in it."""
    plain = start_leg(0, bench.address, nonce=None)
    group = SendGroup(1, bench.sending, bench.memory, plain, 8, StampClock(0, bench.clock))
    group.add(plain, 0)
    group.send(1, DUE_NS)
    packets = bench.receive()
    assert packets.headers.payload_length.tolist() == [FRAME_BYTES]
    assert (packets.payload[0, :FRAME_BYTES] == 2).all()
    assert packets.legs.tolist() == [-1]


def test_streams_of_another_kind_need_another_group(bench: Bench) -> None:
    """One beginning and one end serve all packets of a group: whatever is in them must be the same."""
    bench.add(0)
    same = start_leg(1, bench.address)
    assert bench.group.sends_like(bench.sending, same)
    with open_udp_socket(LOOPBACK) as other:
        assert not bench.group.sends_like(other, same)
    for changes in ({"payload_type": 0}, {"ticks": 80}, {"nonce": None}, {"frame_bytes": 12}, {"frame_offset": 24}):
        assert not bench.group.sends_like(bench.sending, start_leg(1, bench.address, **changes))


def test_a_full_group_takes_no_more(bench: Bench) -> None:
    """The next stream gets a group of its own."""
    group = SendGroup(1, bench.sending, bench.memory, start_leg(0, bench.address), 1, StampClock(0, bench.clock))
    group.add(start_leg(0, bench.address), 0)
    assert not group.sends_like(bench.sending, start_leg(1, bench.address))


def test_starting_a_stream_writes_its_schedule(bench: Bench) -> None:
    """The measuring side reads from the log which turns are the leg's."""
    bench.group.add(start_leg(3, bench.address, slot=2, packets=5), 11)
    record = bench.memory.legs[3]
    assert [int(record[name]) for name in ("slot", "first_turn", "end_turn", "unsent")] == [2, 11, 16, 0]


def test_the_time_of_each_send_is_logged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes while the system call goes on came after what it answers."""
    bench.add(5, 3, packets=4 * WINDOW)
    bench.clock.show(1_000, 1_400)
    bench.group.send(2 * WINDOW + 2, 900)
    assert [value.tolist() for value in bench.memory.bursts[0, 2]][:5] == [2 * WINDOW + 2, 900, 1_000, 2, 0]
    assert bench.sent_ns(2 * WINDOW + 2, 5, 3) == [1_000, 1_000]


def test_packets_of_a_batch_have_even_shares_of_it_and_none_of_an_interruption(bench: Bench) -> None:
    """Where a batch took far longer than any before, it cannot be told between which packets."""
    bench.add(*range(8))
    bench.clock.show(1_000, 1_080, 2_000, 2_120, 3_000, 9_000)
    for turn in range(3):
        bench.send(turn)
    assert bench.sent_ns(0, *range(2, 6)) == [1_020, 1_030, 1_040, 1_050]
    assert bench.sent_ns(1, *range(2, 6)) == [2_030, 2_045, 2_060, 2_075]
    assert bench.sent_ns(2, *range(2, 6)) == [3_040, 3_060, 3_080, 3_100]


def test_what_the_kernel_has_stamped_has_its_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stamps the first of every 32: where it was interrupted in between, the next ones are not early."""
    group = SendGroup(
        1, bench.sending, bench.memory, start_leg(0, bench.address), BURST_PART + 2, StampClock(0, bench.clock)
    )
    for leg in [0] * BURST_PART + [2, 3]:
        group.add(start_leg(leg, bench.address, packets=9), 0)
    let_stamp(monkeypatch, [1_300, 500_000])
    bench.clock.show(1_000, 501_000)
    group.send(0, 900)
    pace_ns = (501_000 - 1_300) // (BURST_PART + 2)
    assert bench.sent_ns(0, 0, 2, 3) == [1_300 + (BURST_PART - 1) * pace_ns, 500_000, 500_000 + pace_ns]


@pytest.mark.parametrize("stamps_ns", [[], [999], [1_401], [1_100, 1_200]], ids=["none", "older", "later", "two"])
def test_stamps_of_anything_else_do_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, stamps_ns: list[int]
) -> None:
    """One that came late is of the last turn; one of a clock that has just been set is out of time."""
    bench.add(0)
    let_stamp(monkeypatch, stamps_ns)
    bench.clock.show(1_000, 1_400)
    bench.send(0)
    assert bench.sent_ns(0, 0) == [1_000]


def test_the_kernels_clock_may_have_been_set(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stamps are brought back to the clock of all other times."""
    clock = StampClock(0, bench.clock)
    clock.step_ns = 5_000
    group = SendGroup(1, bench.sending, bench.memory, start_leg(0, bench.address), 1, clock)
    group.add(start_leg(0, bench.address), 0)
    let_stamp(monkeypatch, [6_200])
    bench.clock.show(1_000, 1_400)
    group.send(0, 900)
    assert bench.sent_ns(0, 0) == [1_200]


@pytest.mark.parametrize("refused", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_a_refused_packet_was_not_sent_and_keeps_no_other_back(bench: Bench, refused: tuple[int, ...]) -> None:
    """Its leg is told as unsent, its time is 0; the others leave."""
    for leg in range(3):
        bench.group.add(start_leg(leg, REFUSED if leg in refused else bench.address), 0)
    assert bench.send(4) == 3 - len(refused)
    taken = [leg for leg in range(3) if leg not in refused]
    assert bench.receive().legs.tolist() == taken
    assert np.flatnonzero(bench.sent_ns(4, 0, 1, 2)).tolist() == taken
    assert bench.memory.legs["unsent"][:3].tolist() == [int(leg in refused) for leg in range(3)]


def test_a_skipped_turn_is_nobodys_send(bench: Bench) -> None:
    """Too late to be sent: all legs are told as unsent, and there is no time of sending."""
    bench.add(0, 1, packets=10)
    bench.group.skip(6, DUE_NS)
    assert len(bench.receive()) == 0
    assert bench.sent_ns(6, 0, 1) == [0, 0]
    assert np.flatnonzero(bench.memory.legs["unsent"]).tolist() == [0, 1]


def test_a_stream_ends_by_itself_after_its_packets(bench: Bench) -> None:
    """It is taken out with its last turn, not one later; those that go on are untouched."""
    bench.add(0, packets=2)
    bench.add(1, packets=3)
    ended = []
    for turn in range(3):
        bench.send(turn)
        ended.append(bench.group.take_ended(turn) if turn >= bench.group.ending_turn else [])
    assert ended == [[], [0], [1]]
    assert bench.group.count == 0
    assert bench.receive().legs.tolist() == [0, 1, 0, 1, 1]


def test_the_last_stream_takes_the_place_of_a_removed_one(bench: Bench) -> None:
    """With its own address, SSRC, probe and log entry."""
    bench.add(0, 1)
    with open_udp_socket(LOOPBACK) as elsewhere:
        bench.group.add(start_leg(2, elsewhere.getsockname()), 0)
        bench.group.remove(0, 0)
        assert bench.send(0) == 2
        assert elsewhere.recv(64)[8:12] == (1002).to_bytes(4)
    assert bench.receive().headers.ssrc.tolist() == [1001]
    assert all(bench.sent_ns(0, 1, 2))


def test_a_stream_that_moved_up_keeps_the_times_of_what_it_has_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sent from its old place left later than what it sends from the new one."""
    bench.add(*range(8))
    bench.clock.show(1_000, 1_080, 2_000, 2_070)
    bench.send(0)
    bench.group.remove(0, 1)
    bench.send(1)
    assert bench.sent_ns(0, 7) == [1_070]
    assert bench.sent_ns(1, 7) == [2_000]


def test_a_stream_that_moves_twice_before_it_sends_keeps_the_place_it_sent_from(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where several end in one turn, the last one moves up again and again."""
    bench.add(*range(8))
    bench.clock.show(1_000, 1_080)
    bench.send(0)
    for leg in (6, 0):
        bench.group.remove(leg, 1)
    assert bench.sent_ns(0, 7) == [1_070]


def test_the_last_stream_itself_can_be_removed(bench: Bench) -> None:
    """Nothing moves then; a stream that comes later is as good as any."""
    bench.add(0, 1)
    bench.group.remove(1, 0)
    bench.add(2)
    bench.send(0)
    assert bench.receive().legs.tolist() == [0, 2]
