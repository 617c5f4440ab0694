"""The loop that moves packets: sends by schedule, drains by clock, and does nothing else.

It runs in a process of its own (``python -m pytest_ari_sla.rtp_media.loop``), so that neither ARI traffic, nor test
code, nor a garbage collection can delay a packet. What it sends and receives goes through a
:class:`~pytest_ari_sla.rtp_media.memory.MediaMemory`; what it shall do comes as commands over a local socket.
"""

from __future__ import annotations

import gc
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec.structs import replace

from pytest_ari_sla.rtp.send_schedule import SLOT_NS, first_slot, plan_catch_up
from pytest_ari_sla.rtp_media.commands import ForgetLeg, OpenSocket, PlayLeg, Stall, StartLeg, StopLeg, decode
from pytest_ari_sla.rtp_media.memory import LEG, Gauge, MediaLayout, MediaMemory
from pytest_ari_sla.rtp_media.send_group import GROUP_CAPACITY, SendGroup
from pytest_ari_sla.rtp_media.stamp_clock import StampClock
from pytest_ari_sla.udp.batched import make_receiver, make_timer
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.rtp_media.commands import Command

__all__ = ["COMMAND_BYTES", "MediaLoop", "main"]

DRAIN_CYCLE_SLOTS = 20
"""Each socket is drained once in so many slots, or once per cycle where that is shorter; the kernel stamps arrivals, so
it does not matter when we look."""

COMMAND_BYTES = 512
# Looking a member of an enumeration up costs as much as a NumPy call: those of the hot path are plain numbers.
_RING_HEAD, _RING_TAIL = int(Gauge.RING_HEAD), int(Gauge.RING_TAIL)
_COMMANDS_SENT, _COMMANDS_DONE = int(Gauge.COMMANDS_SENT), int(Gauge.COMMANDS_DONE)
STALL_NS = 250_000_000
"""Standing still for so long is told by name."""

_STALL_SLOTS = STALL_NS // SLOT_NS
_HOUSEKEEPING_SLOTS = 1000
_COMMANDS_PER_SLOT = 4
"""More would delay the next slot; fewer would let many calls that begin at once wait for their first packet."""
_NO_LEG = np.zeros((), LEG)
_DRAIN_BATCH = 256


class MediaLoop:
    """Sends and receives until its command socket closes.

    Parameters
    ----------
    memory
        Shared with the measuring side.
    commands
        A datagram socket; its closing ends the loop.
    """

    def __init__(self, memory: MediaMemory, commands: socket.socket) -> None:
        self._memory = memory
        # A memoryview reads and writes single numbers several times faster than an array.
        self._gauges = memory.gauges.data
        self._turns = memory.turns.data
        self._cycle = memory.layout.cycle
        self._commands = commands
        self._receiver = make_receiver(memory.ring)
        self._sockets: dict[int, socket.socket] = {}
        self._groups: list[list[SendGroup]] = [[] for _ in range(self._cycle)]
        self._sent_by: dict[int, tuple[SendGroup, StartLeg]] = {}
        self._drain_slots = min(DRAIN_CYCLE_SLOTS, self._cycle)
        self._drains: list[list[int]] = [[] for _ in range(self._cycle)]
        self._running = True
        self._next_slot = 0
        self._origin_ns = 0
        self._drained = memory.drained_ns.data
        self._clock = StampClock(int(memory.gauges[Gauge.EPOCH_NS]))

    def run(self) -> None:
        """Run until told to stop: idle without sockets, slot by slot with them."""
        self._used_before_ns = time.process_time_ns()
        try:
            while self._running and not self._sockets:
                select.select([self._commands], [], [])
                self._obey()
            self._run_slots()
        finally:
            self._tell_cpu()
            for udp in self._sockets.values():
                udp.close()

    def _tell_cpu(self) -> None:
        self._gauges[Gauge.CPU_NS] = time.process_time_ns() - self._used_before_ns

    def _run_slots(self) -> None:
        origin_ns = (time.monotonic_ns() // SLOT_NS + 2) * SLOT_NS
        self._origin_ns = self._gauges[Gauge.ORIGIN_NS] = origin_ns + self._clock.epoch_ns
        timer = make_timer(origin_ns, SLOT_NS)
        next_housekeeping = _HOUSEKEEPING_SLOTS
        wait, clock, gauges = timer.wait, time.monotonic_ns, self._gauges
        try:
            while self._running:
                wait()
                now_slot = (clock() - origin_ns) // SLOT_NS
                if now_slot - self._next_slot >= self._cycle:
                    self._skip_until(now_slot)
                slot = self._next_slot
                while slot <= now_slot:
                    self._run_slot(slot)
                    slot = self._next_slot = slot + 1
                if gauges[_COMMANDS_SENT] != gauges[_COMMANDS_DONE]:
                    self._obey_some()
                if slot >= next_housekeeping:
                    next_housekeeping = slot + _HOUSEKEEPING_SLOTS
                    self._gauges[Gauge.CLOCK_STEPS] = self._clock.steps
                    self._tell_cpu()
                    self._look_for_end()
        finally:
            timer.close()

    def _skip_until(self, now_slot: int) -> None:
        """Let those slots pass that are too late for their packets."""
        if now_slot - self._next_slot >= _STALL_SLOTS:
            self._gauges[Gauge.LOOP_STALLS] += 1
            self._gauges[Gauge.LOOP_STALLED_NS] += (now_slot - self._next_slot) * SLOT_NS
        first, _ = plan_catch_up(self._next_slot, now_slot, self._cycle)
        for slot in range(self._next_slot, first):
            self._skip(slot)
        self._next_slot = first

    def _run_slot(self, slot: int) -> None:
        turn, phase = divmod(slot, self._cycle)
        if not phase:
            self._prepare(turn)
        for group in self._groups[phase]:
            if group.count:
                group.send(turn, self._origin_ns + slot * SLOT_NS)
                if turn >= group.ending_turn:
                    self._forget(group.take_ended(turn))
        self._turns[phase] = turn + 1
        for number in self._drains[phase]:
            self._drain(number)

    def _prepare(self, turn: int) -> None:
        """Prepare a turn of all groups in a row: see :meth:`~pytest_ari_sla.rtp_media.send_group.SendGroup.prepare`."""
        for groups in self._groups:
            for group in groups:
                if group.count:
                    group.prepare(turn)

    def _skip(self, slot: int) -> None:
        turn, phase = divmod(slot, self._cycle)
        for group in self._groups[phase]:
            if group.count:
                group.skip(turn, self._origin_ns + slot * SLOT_NS)
                if turn >= group.ending_turn:
                    self._forget(group.take_ended(turn))
        self._turns[phase] = turn + 1

    def _forget(self, ended: list[int]) -> None:
        for leg in ended:
            del self._sent_by[leg]

    def _drain(self, number: int) -> None:
        """Take everything out of a socket, as far as the ring has room."""
        rows = self._memory.layout.ring_rows
        began_ns = self._clock.now_ns()
        while True:
            head = self._gauges[_RING_HEAD]
            room = rows - (head - self._gauges[_RING_TAIL])
            first = head % rows
            wanted = min(_DRAIN_BATCH, room, rows - first)
            if wanted == 0:
                self._gauges[Gauge.RING_FULL] += 1
                return
            received = self._receiver.receive(self._sockets[number], first, wanted)
            taken = slice(first, first + received)
            self._memory.ring_socket[taken] = number
            self._memory.ring_step_ns[taken] = self._step_of(taken, number)
            self._gauges[_RING_HEAD] = head + received
            if received < wanted:
                self._drained[number] = began_ns
                return

    def _step_of(self, rows: slice, number: int) -> int | NDArray[np.int64]:
        """Return by how much the clock had been set that stamped these rows, which a socket has just given."""
        if not self._clock.was_set_lately:
            return self._clock.step_ns
        return self._clock.steps_at(self._memory.ring.arrival_ns(rows), self._drained[number])

    def _look_for_end(self) -> None:
        """End when nobody commands any more, also if they died without a word."""
        if select.select([self._commands], [], [], 0)[0] and not self._commands.recv(1, socket.MSG_PEEK):
            self._running = False

    def _obey_some(self) -> None:
        """Carry out the next commands, but not so many that the next slot waits for them."""
        for _ in range(min(self._gauges[_COMMANDS_SENT] - self._gauges[_COMMANDS_DONE], _COMMANDS_PER_SLOT)):
            self._obey()

    def _obey(self) -> None:
        """Carry out the next command; the end of the command socket is the order to stop."""
        message, descriptors, _, _ = socket.recv_fds(self._commands, COMMAND_BYTES, 1)
        if not message:
            self._running = False
            return
        self._carry_out(decode(message), descriptors)
        self._gauges[_COMMANDS_DONE] += 1

    def _carry_out(self, command: Command, descriptors: list[int]) -> None:
        match command:
            case OpenSocket(number):
                self._sockets[number] = socket.socket(fileno=descriptors[0])
                for phase in range((number * 7 + 10) % self._drain_slots, self._cycle, self._drain_slots):
                    self._drains[phase].append(number)
            case StartLeg():
                group = self._group_for(command)
                group.add(command, first_slot(self._next_slot, command.slot, self._cycle) // self._cycle)
                self._sent_by[command.leg] = group, command
            case PlayLeg():
                if command.leg in self._sent_by:
                    self._play(command)
            case StopLeg(leg):
                if leg in self._sent_by:
                    record = self._memory.legs[leg]
                    next_turn = self._turns[record["slot"]]
                    self._sent_by.pop(leg)[0].remove(leg, next_turn)
                    record["end_turn"] = max(next_turn, record["first_turn"])
            case ForgetLeg(leg):
                self._memory.legs[leg] = _NO_LEG
            case Stall(duration_ns):
                time.sleep(duration_ns / 1e9)

    def _play(self, play: PlayLeg) -> None:
        """Move a leg to the group that says something else, from its next turn on."""
        group, start = self._sent_by[play.leg]
        next_turn = self._turns[start.slot]
        start = replace(start, frame_offset=play.frame_offset, frame_count=play.frame_count, audio_turn=next_turn)
        group.remove(play.leg, next_turn)
        other = self._group_for(start)
        other.take_over(start, next_turn)
        self._sent_by[play.leg] = other, start

    def _group_for(self, start: StartLeg) -> SendGroup:
        sending, groups = self._sockets[start.socket], self._groups[start.slot]
        for group in groups:
            if group.sends_like(sending, start):
                return group
        number = sum(map(len, self._groups))
        # An empty group of the slot has sent its last turn: its log goes on with the new one's.
        for place, group in enumerate(groups):
            if not group.count and (start.audio_turn or number == self._memory.layout.groups):
                groups[place] = SendGroup(group.number, sending, self._memory, start, GROUP_CAPACITY)
                return groups[place]
        groups.append(SendGroup(number, sending, self._memory, start, GROUP_CAPACITY))
        return groups[-1]


def main(arguments: list[str]) -> None:
    """Run the loop on the memory and the command socket whose descriptors were inherited."""
    layout = msgspec.json.decode(arguments[0], type=MediaLayout)
    memory = MediaMemory(layout, int(arguments[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent, which still needs us to end its calls
    gc.freeze()
    gc.disable()
    memory.gauges[Gauge.REALTIME_PRIORITY] = arguments[3] == "realtime" and ask_for_realtime()
    MediaLoop(memory, socket.socket(fileno=int(arguments[2]))).run()


if __name__ == "__main__":
    main(sys.argv[1:])
