"""The loop in this process, by a clock and a timer that the test moves; packets go over real sockets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.media.loop import slot_loop
from pytest_ari_sla.rtp import header, probe
from pytest_ari_sla.rtp.event_frames import EVENT_FRAME
from pytest_ari_sla.rtp_media import loop as media_loop
from pytest_ari_sla.rtp_media.commands import AlterLeg, ForgetLeg, OpenSocket, PlayLeg, Stall, StopLeg
from pytest_ari_sla.rtp_media.loop import MediaLoop
from pytest_ari_sla.rtp_media.memory import NONE, Gauge
from pytest_ari_sla.rtp_media.ring_reader import RingReader, SourceTable
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from pytest_ari_sla.udp.batched import open_udp_socket
from tests.unit.rtp_media.memories import CYCLE, FRAME_BYTES, NONCE, make_memory, start_leg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_ari_sla.rtp_media.commands import Command
    from pytest_ari_sla.rtp_media.memory import MediaMemory

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_000
LOOPBACK = ("127.0.0.1", 0)


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now_ns = 50 * MS
        self.step_ns = 0
        self.slept_s: list[float] = []

    def monotonic_ns(self) -> int:
        """Time since nobody knows when."""
        return self.now_ns

    def time_ns(self) -> int:
        """Time since the epoch, jumps included."""
        return EPOCH_NS + self.now_ns + self.step_ns

    def process_time_ns(self) -> int:
        """Pretend that all time is spent working."""
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept_s.append(seconds)
        self.now_ns += round(seconds * 1e9)


class Stage:
    """A loop, the ends of its sockets, and the script of its wake-ups."""

    def __init__(self, memory: MediaMemory, clock: Clock, udp: tuple[socket.socket, socket.socket]) -> None:
        self.memory = memory
        self.clock = clock
        self.log = MediaSendLog(memory)
        self.peer, self._ours = udp
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs = theirs
        self._script: Iterator[int] = iter(())
        self._during: Callable[[int], None] = lambda slot: None
        self.command(OpenSocket(0), self._ours.fileno())

    def strike(self) -> None:
        """Close what is open."""
        for end in (self._channel, self._theirs, self.peer, self._ours):
            end.close()

    def command(self, command: Command, *descriptors: int) -> None:
        """Queue a command; the loop takes one a wake-up."""
        Channel[None](self._channel).send(command, *descriptors)
        self.memory.gauges[Gauge.COMMANDS_SENT] += 1

    def start(self, leg: int, **changes: Any) -> None:
        """Queue the order to start a stream to the peer."""
        self.command(start_leg(leg, self.peer.getsockname(), **changes))

    def run(self, slots: list[int], during: Callable[[int], None] | None = None) -> None:
        """Run a loop that is woken in these slots (counted from its beginning), then end it."""
        self._script = iter(slots)
        self._during = during or self._during
        MediaLoop(self.memory, self._theirs, self.clock).run()

    def make_timer(self, origin_ns: int, period_ns: int) -> Stage:
        """Give the loop this stage as its timer."""
        self.origin_ns = origin_ns
        return self

    def wait(self) -> None:
        """Move the clock to the next wake-up of the script; end the loop with it."""
        slot = next(self._script, None)
        if slot is None:
            self._channel.close()
            self.memory.gauges[Gauge.COMMANDS_SENT] += 1
            return
        self.clock.now_ns = max(self.clock.now_ns, self.origin_ns + slot * MS)
        self._during(slot)

    def close(self) -> None:
        """End being the loop's timer."""

    def datagrams(self) -> list[bytes]:
        """Return the packets that came."""
        packets = []
        while True:
            try:
                packets.append(self.peer.recv(100))
            except BlockingIOError:
                return packets

    def first_turn(self, leg: int) -> int:
        """Return the turn that a leg began in."""
        return int(self.memory.legs["first_turn"][leg])

    def received(self) -> list[tuple[int, int]]:
        """Return leg and turn of each packet that came."""
        packets = self.datagrams()
        rows = np.zeros((len(packets), 100), np.uint8)
        for row, packet in zip(rows, packets, strict=True):
            row[: len(packet)] = np.frombuffer(packet, np.uint8)
        payload = rows[:, header.HEADER_BYTES :]
        legs, turns = probe.read(payload, np.full(len(rows), 80, np.int32), NONCE)
        return list(zip(legs.tolist(), turns.tolist(), strict=True))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A loop that has not been run yet."""
    memory, clock = make_memory(), Clock()
    stage = Stage(memory, clock, (open_udp_socket(LOOPBACK), open_udp_socket(LOOPBACK)))
    memory.gauges[Gauge.EPOCH_NS] = EPOCH_NS
    monkeypatch.setattr(slot_loop, "make_timer", stage.make_timer)
    yield stage
    stage.strike()
    memory.close()


def test_each_leg_sends_once_a_cycle_in_its_slot(stage: Stage) -> None:
    """And in no other one, from the next turn of its slot on."""
    stage.start(0, slot=0)
    stage.start(3, slot=3)
    sent_in: dict[int, list[tuple[int, int]]] = {}

    def look(slot: int) -> None:
        sent_in[slot - 1] = stage.received()

    stage.run(list(range(14)), look)
    assert {slot: packets for slot, packets in sent_in.items() if packets} == {
        3: [(3, 0)],
        4: [(0, 1)],
        7: [(3, 1)],
        8: [(0, 2)],
        11: [(3, 2)],
        12: [(0, 3)],
    }


def test_what_is_sent_is_in_the_log(stage: Stage) -> None:
    """In time: no packet is late, none unsent; due times are exact multiples of the packet time."""
    stage.start(1, slot=2)
    stage.run(list(range(12)))
    departures = stage.log.departures()
    assert departures.late_ns.tolist() == [0, 0, 0]
    assert departures.not_sent == 0
    first_due_ns = EPOCH_NS + stage.origin_ns + 2 * MS
    assert (stage.memory.bursts["due_ns"][0, :3] - first_due_ns).tolist() == [0, CYCLE * MS, 2 * CYCLE * MS]


def test_a_late_wake_up_is_made_up_for_at_once_and_moves_nothing(stage: Stage) -> None:
    """Less than a packet time late: all is sent, late by what it was late; the next packets are in time again."""
    for slot in range(CYCLE):
        stage.start(slot, slot=slot)
    stage.run([0, 1, 2, 3, 4, 7, 8, 9, 10, 11])
    departures = stage.log.departures()
    assert departures.not_sent == 0
    # Leg 0 starts in the slot after its command: turn 1. Slots 5 and 6 are 2 ms and 1 ms late.
    assert sorted(departures.late_ns.tolist())[-2:] == [1 * MS, 2 * MS]
    assert np.count_nonzero(departures.late_ns) == 2


def test_a_stall_skips_what_is_a_packet_time_late(stage: Stage) -> None:
    """The burst after it holds one packet of each leg at most; the others count as not sent, and none comes later."""
    for leg in range(CYCLE):
        stage.start(leg, slot=leg, packets=50)
    stage.run([0, 1, 2, 3, 4, 5, 6, 7, 8, 23, 24, 25, 26, 27])
    packets = stage.received()
    turns = {leg: [turn for other, turn in packets if other == leg] for leg in range(CYCLE)}
    # From slot 9 to 19 nothing is sent: 23 is the slot of the wake-up, and 20 the first within a packet time of it.
    assert turns == {0: [1, 2, 5, 6], 1: [0, 1, 5, 6], 2: [0, 1, 5, 6], 3: [0, 1, 5, 6]}
    departures = stage.log.departures()
    assert departures.not_sent == 3 * 3 + 2
    assert departures.late_ns.max() == 3 * MS
    assert stage.log.due().tolist()[:CYCLE] == [6, 7, 7, 7]
    assert (stage.log.due() - stage.log.sent()).tolist()[:CYCLE] == [2, 3, 3, 3]


def test_a_stalled_leg_still_ends_when_it_should(stage: Stage) -> None:
    """Its last turn passes unsent; it sends nothing after the time that was planned for it."""
    stage.start(0, packets=3)
    stage.run([0, 1, 2, 3, 4, 5, 40, 41, 44])
    assert stage.received() == [(0, 1)]
    assert stage.log.due()[0] == 3
    assert stage.log.sent()[0] == 1


def test_a_stopped_leg_sends_nothing_more_and_can_be_forgotten(stage: Stage) -> None:
    """Stop ends its schedule with the turns it has had; forget clears its place for the next call."""

    def at(slot: int) -> None:
        if slot == 6:
            stage.command(StopLeg(0))
        elif slot == 14:
            assert stage.memory.legs[0].tolist()[:4] == (0, 1, 2, 0)
            stage.command(ForgetLeg(0))
        elif slot == 16:
            assert not any(stage.memory.legs[0].tolist())

    stage.start(0)
    stage.run(list(range(18)), at)
    assert stage.received() == [(0, 1)]


def test_a_leg_whose_stream_has_ended_may_be_stopped(stage: Stage) -> None:
    """The order and the end cross each other."""

    def at(slot: int) -> None:
        if slot == 9:
            stage.command(StopLeg(0))

    stage.start(0, packets=1)
    stage.run(list(range(13)), at)
    assert stage.received() == [(0, 1)]
    assert stage.log.due()[0] == 1


def test_what_arrives_goes_into_the_ring(stage: Stage) -> None:
    """With the number of its socket; each socket is drained once in a cycle of 20 slots."""

    def at(slot: int) -> None:
        if slot in (1, 30):
            stage.peer.sendto(b"packet %d" % slot, stage._ours.getsockname())

    stage.run(list(range(51)), at)
    ring = stage.memory.ring
    assert stage.memory.gauges[Gauge.RING_HEAD] == 2
    assert [ring.data[row, : ring.length[row]].tobytes() for row in range(2)] == [b"packet 1", b"packet 30"]
    assert stage.memory.ring_socket[:2].tolist() == [0, 0]


def test_a_full_ring_is_not_written_over(stage: Stage) -> None:
    """While the measuring side is behind, packets wait in the socket; the loop counts that, and goes on later."""
    rows = stage.memory.layout.ring_rows

    def at(slot: int) -> None:
        if slot == 1:
            for number in range(rows + 5):
                stage.peer.sendto(bytes([number]), stage._ours.getsockname())
        elif slot == 25:
            assert stage.memory.gauges[Gauge.RING_HEAD] == rows
            assert stage.memory.ring.data[:, 0].tolist() == list(range(rows))
            assert stage.memory.gauges[Gauge.RING_FULL] > 0
            stage.memory.gauges[Gauge.RING_TAIL] = 10

    stage.run(list(range(45)), at)
    assert stage.memory.gauges[Gauge.RING_HEAD] == rows + 5
    assert stage.memory.ring.data[:5, 0].tolist() == list(range(rows, rows + 5))


def test_a_jump_of_the_system_clock_is_counted(stage: Stage) -> None:
    """Nothing here follows it: what the kernel stamps is put right by the step."""

    def at(slot: int) -> None:
        if slot == 500:
            stage.clock.step_ns = 3_600_000 * MS

    stage.start(0)
    stage.run(list(range(2010)), at)
    assert stage.memory.gauges[Gauge.CLOCK_STEPS] == 1
    assert stage.memory.gauges[Gauge.ORIGIN_NS] == EPOCH_NS + stage.origin_ns
    assert stage.log.due()[0] == stage.log.sent()[0] == 5


class SettingKernel:
    """Gives two packets in one slot, and has its clock set between them."""

    def __init__(self, stage: Stage, slot: int, step_ns: int) -> None:
        self._stage, self._slot, self._step_ns = stage, slot, step_ns

    def receive(self, receiving: socket.socket, first: int, count: int) -> int:
        """Stamp a packet by the old clock, and one by the new clock."""
        clock, control = self._stage.clock, self._stage.memory.ring.control
        if clock.now_ns < self._stage.origin_ns + self._slot * MS or clock.step_ns:
            return 0
        for row in (first, first + 1):
            control["seconds"][row], control["nanoseconds"][row] = divmod(clock.time_ns(), 1_000_000_000)
            clock.step_ns = self._step_ns
        return 2


@pytest.mark.parametrize("step_ns", [3_600_000 * MS, -3_600_000 * MS])
def test_a_clock_that_is_set_while_packets_are_received_keeps_none_from_being_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step_ns: int
) -> None:
    """One that seemed to come in an hour would be waited for until then, with all that came after it."""
    monkeypatch.setattr(media_loop, "make_receiver", lambda ring: SettingKernel(stage, 50, step_ns))
    stage.run(list(range(200)))
    came_ns = stage.memory.arrival_ns(slice(2)) - EPOCH_NS - stage.origin_ns
    assert came_ns.tolist() == [50 * MS, 50 * MS]
    assert stage.memory.gauges[Gauge.CLOCK_STEPS] == 1
    reader = RingReader(stage.memory, stage.log, SourceTable(sockets=1, legs=6), NONCE)
    reader.look(to_the_end=True)
    assert list(reader.batches(EPOCH_NS + stage.origin_ns + 100 * MS)) == []
    assert reader.foreign == 2


def test_a_jump_in_the_last_moment_is_told_as_well(stage: Stage) -> None:
    """The loop looks once more at its end: figures of the last packets may be untrue by it."""

    def at(slot: int) -> None:
        if slot == 9:
            stage.clock.step_ns = 3_600_000 * MS

    stage.run(list(range(10)), at)
    assert stage.memory.gauges[Gauge.CLOCK_STEPS] == 1


def test_a_stall_on_purpose_is_just_doing_nothing(stage: Stage) -> None:
    """That is how the tool's own honesty is tested."""
    stage.command(Stall(50 * MS))
    stage.run([0, 1, 2])
    assert stage.clock.slept_s == [0.05]


def test_its_own_processor_time_is_told_at_the_end(stage: Stage) -> None:
    """From the beginning of the run, whatever the process did before."""
    stage.run(list(range(5)))
    assert stage.memory.gauges[Gauge.CPU_NS] == stage.clock.now_ns - 50 * MS > 0


def test_a_new_group_opens_when_the_first_is_full(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of one slot and socket share a system call as far as there is room."""
    monkeypatch.setattr(media_loop, "GROUP_CAPACITY", 2)
    for leg in range(5):
        stage.start(leg, packets=1)
    stage.run(list(range(16)))
    assert sorted(leg for leg, _ in stage.received()) == [0, 1, 2, 3, 4]


def test_a_leg_says_something_else_from_the_beginning_of_that(stage: Stage) -> None:
    """Its numbers go on, its first frame is due in its next turn, and each packet's time is still known."""
    stage.start(0, frame_count=1, packets=12)
    stage.start(1, frame_count=1, packets=12)

    def during(slot: int) -> None:
        if slot == 3 * CYCLE + 1:
            stage.command(PlayLeg(leg=1, frame_offset=FRAME_BYTES, frame_count=2))

    stage.run(list(range(12 * CYCLE)), during)
    packets = stage.datagrams()
    said = {leg: [packet[-1] for packet in packets if packet[23] == leg] for leg in range(2)}
    assert said[0] == [1] * len(said[0])
    first = said[1].index(2)
    assert said[1] == [1] * first + ([2, 3] * 6)[: len(said[1]) - first]
    assert first > 2
    turns = np.arange(len(said[1]))
    numbers, sent_ns, due_ns = stage.log.times_of(np.full(len(turns), 1, np.int32), turns + stage.first_turn(1))
    assert numbers.tolist() == turns.tolist()
    assert (sent_ns >= due_ns).all()
    assert (due_ns > 0).all()


def test_legs_that_each_say_something_of_their_own_leave_together(stage: Stage) -> None:
    """One group for all of them in a slot: each says its own from its beginning, also when another one has ended."""
    began, voices = {0: 3, 1: 5, 2: 8}, {0: (0, 3), 1: (1, 2), 2: (0, 2)}
    for leg in began:
        stage.start(leg, nonce=None, frame_count=1, packets=14 if leg == 0 else 20)

    def during(slot: int) -> None:
        for leg, turn in began.items():
            if slot == turn * CYCLE + 1:
                first, count = voices[leg]
                stage.command(PlayLeg(leg=leg, frame_offset=first * FRAME_BYTES, frame_count=count))

    stage.run(list(range(20 * CYCLE)), during)
    packets = stage.datagrams()
    for leg, (first, count) in voices.items():
        ssrc = start_leg(leg, ("", 0)).ssrc
        said = [packet[-1] for packet in packets if int.from_bytes(packet[8:12]) == ssrc]
        silent = int(stage.memory.voice_turns[leg]) - stage.first_turn(leg)
        assert said[:silent] == [1] * silent
        assert said[silent:] == [first + 1 + turn % count for turn in range(len(said) - silent)]
    # The silent ones, and those who speak.
    assert np.count_nonzero(stage.memory.group_slot != NONE) == 2


def test_a_leg_that_has_ended_plays_nothing(stage: Stage) -> None:
    """The order comes too late, and harms nobody."""
    stage.start(0, packets=1)

    def during(slot: int) -> None:
        if slot == 3 * CYCLE:
            stage.command(PlayLeg(leg=0, frame_offset=0, frame_count=1))

    stage.run(list(range(6 * CYCLE)), during)
    assert len(stage.datagrams()) == 1


def test_legs_that_play_each_by_itself_take_no_more_groups_than_there_are(stage: Stage) -> None:
    """A group that nobody sends by any more is taken by the next one."""
    stage.start(0, packets=1 << 10)

    def during(slot: int) -> None:
        if slot % CYCLE == 1:
            stage.command(PlayLeg(leg=0, frame_offset=0, frame_count=2))

    stage.run(list(range(20 * CYCLE)), during)
    assert len(stage.datagrams()) > 15
    assert np.count_nonzero(stage.memory.group_slot != NONE) <= 2


def test_a_leg_presses_a_key_in_between_and_its_numbers_go_on(stage: Stage) -> None:
    """Events have the type, the marker and the time stamp that they are to have, and no more than four bytes."""
    events = np.zeros(2, EVENT_FRAME)
    events["marker_and_type"], events["frames_ago"] = [0x80 | 101, 0], [1, 0]
    events["payload"][0] = [5, 0x8A, 3, 32]
    stage.memory.frames[: events.nbytes] = events.view(np.uint8)
    stage.start(0, frame_offset=FRAME_BYTES, frame_count=1, packets=12, nonce=None)

    def during(slot: int) -> None:
        if slot == 3 * CYCLE + 1:
            stage.command(PlayLeg(leg=0, frame_offset=FRAME_BYTES, frame_count=2, event_offset=0))

    stage.run(list(range(12 * CYCLE)), during)
    packets = stage.datagrams()
    numbers = [int.from_bytes(packet[2:4]) for packet in packets]
    assert numbers == list(range(numbers[0], numbers[0] + len(packets)))
    first = next(place for place, packet in enumerate(packets) if packet[1] == 0x80 | 101)
    for place in range(first, len(packets), 2):
        assert int.from_bytes(packets[place][4:8]) == (numbers[place] - 1) * 160
        assert packets[place][12:] == bytes([5, 0x8A, 3, 32])
    for place in [*range(first), *range(first + 1, len(packets), 2)]:
        assert (packets[place][1], len(packets[place])) == (8, 12 + FRAME_BYTES)
        assert int.from_bytes(packets[place][4:8]) == numbers[place] * 160


def test_a_leg_goes_on_with_another_ssrc_and_other_time_stamps_and_its_numbers_go_on(stage: Stage) -> None:
    """A fault on purpose: of this leg alone, and from its next packet on."""
    stage.start(0, packets=8)
    stage.start(1, packets=8)

    def during(slot: int) -> None:
        if slot == 4 * CYCLE:
            stage.command(AlterLeg(leg=0, ssrc=0xABCD, timestamp_offset=480_000))

    stage.run(list(range(12 * CYCLE)), during)
    packets = stage.datagrams()
    assert len(packets) == 16
    altered = [packet for packet in packets if packet[8:12] == (0xABCD).to_bytes(4)]
    assert 0 < len(altered) < 8
    for packet in packets:
        ahead = int.from_bytes(packet[4:8]) - int.from_bytes(packet[2:4]) * 160
        assert ahead == (480_000 if packet in altered else 0)
    numbers = sorted(int.from_bytes(packet[2:4]) for packet in packets)
    assert numbers == sorted(2 * list(range(numbers[0], numbers[0] + 8)))
