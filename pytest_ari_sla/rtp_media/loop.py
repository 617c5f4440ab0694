"""The loop that moves packets: sends by schedule, drains by clock (``python -m pytest_ari_sla.rtp_media.loop``)."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.media.loop.slot_loop import SlotLoop, run_loop
from pytest_ari_sla.rtp.send_schedule import first_slot
from pytest_ari_sla.rtp_media.commands import (
    AlterLeg,
    Command,
    ForgetLeg,
    OpenSocket,
    PlayLeg,
    Stall,
    StartLeg,
    StopLeg,
)
from pytest_ari_sla.rtp_media.memory import LEG, MediaLayout, MediaMemory
from pytest_ari_sla.rtp_media.send_group import GROUP_CAPACITY, SendGroup
from pytest_ari_sla.udp.batched import make_receiver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.clock import ProcessClock

__all__ = ["MediaLoop", "main"]

DRAIN_CYCLE_SLOTS = 20
"""Each socket is drained once in so many slots, or once per cycle where that is shorter; the kernel stamps arrivals, so
it does not matter when we look."""

# Looking a member of an enumeration up costs as much as a NumPy call: those of the hot path are plain numbers.
_RING_HEAD, _RING_TAIL = int(Gauge.RING_HEAD), int(Gauge.RING_TAIL)
_NO_LEG = np.zeros((), LEG)
# As many as a socket has legs at most: a cycle's packets are one system call, as a rule.
_DRAIN_BATCH = 256


class MediaLoop(SlotLoop[SendGroup]):
    """Sends and receives until its command socket closes.

    Parameters
    ----------
    memory
        Shared with the measuring side.
    commands
        A datagram socket; its closing ends the loop.
    clock
        The time, and what this process used of it.
    """

    def __init__(self, memory: MediaMemory, commands: socket.socket, clock: ProcessClock = time) -> None:
        super().__init__(memory, commands, Command, clock)
        self._memory = memory
        self._receiver = make_receiver(memory.ring)
        self._sockets: dict[int, socket.socket] = {}
        self._sent_by: dict[int, tuple[SendGroup, StartLeg]] = {}
        self._drain_slots = min(DRAIN_CYCLE_SLOTS, self._cycle)
        self._drains: list[list[int]] = [[] for _ in range(self._cycle)]
        self._drained = memory.drained_ns.data

    def _has_work(self) -> bool:
        return bool(self._sockets)

    def _close(self) -> None:
        for udp in self._sockets.values():
            udp.close()

    def _after_sending(self, slot: int, phase: int) -> None:
        for number in self._drains[phase]:
            self._drain(number)

    def _forget(self, ended: list[int]) -> None:
        for leg in ended:
            del self._sent_by[leg]

    def _drain(self, number: int) -> None:
        """Take everything out of a socket, as far as the ring has room."""
        rows = self._memory.layout.ring_rows
        # Before the first look: what had come by then is in the ring when a look finds less than it could take.
        began_ns = self._clock.now_ns()
        while True:
            head = self._gauges[_RING_HEAD]
            room = rows - (head - self._gauges[_RING_TAIL])
            first = head % rows
            wanted = min(_DRAIN_BATCH, room, rows - first)
            if wanted == 0:
                self._gauges[Gauge.RING_FULL] += 1  # they wait in the socket; those it cannot hold are receive drops
                return
            received = self._receiver.receive(self._sockets[number], first, wanted)
            taken = slice(first, first + received)
            self._memory.ring_socket[taken] = number
            self._memory.ring_step_ns[taken] = self._step_of(taken, number)
            # The head behind what it announces, and behind the head how far the socket is known (LoopReader.look).
            self._gauges[_RING_HEAD] = head + received
            if received < wanted:
                self._drained[number] = began_ns
                return

    def _step_of(self, rows: slice, number: int) -> int | NDArray[np.int64]:
        """Return by how much the clock had been set that stamped these rows, which a socket has just given."""
        clock = self._clock
        clock.now_ns()  # after they were taken: it may have been set while they were
        if not clock.was_set_since(self._drained[number]):  # nearly always: one number for all rows
            return clock.step_ns
        self._tell_steps()
        return clock.steps_at(self._memory.ring.arrival_ns(rows), self._drained[number])

    def _carry_out(self, command: Command, handle: int | None) -> None:
        match command:
            case OpenSocket(number):
                self._sockets[number] = socket.socket(fileno=handle)
                # 7 and 20 have no common divisor: twenty sockets are drained in twenty different slots.
                for phase in range((number * 7 + 10) % self._drain_slots, self._cycle, self._drain_slots):
                    self._drains[phase].append(number)
            case StartLeg():
                group = self._group_for(command)
                group.add(command, first_slot(self._next_slot, command.slot, self._cycle) // self._cycle)
                self._sent_by[command.leg] = group, command
            # A stream may have ended by itself while the order was on its way: here and below.
            case PlayLeg():
                if command.leg in self._sent_by:
                    self._play(command)
            case AlterLeg(leg, ssrc, timestamp_offset):
                if leg in self._sent_by:
                    start = self._sent_by[leg][1]
                    self._go_on(replace(start, ssrc=ssrc, timestamp_offset=timestamp_offset))
            case StopLeg(leg):
                if leg in self._sent_by:
                    record = self._memory.legs[leg]
                    next_turn = self._turns[record["slot"]]
                    self._sent_by.pop(leg)[0].remove(leg, next_turn)
                    # One that is stopped before its first turn has had no turns, not less than none.
                    record["end_turn"] = max(next_turn, record["first_turn"])
            case ForgetLeg(leg):
                self._memory.legs[leg] = _NO_LEG
                self._memory.voice_turns[leg] = 0
            case Stall(duration_ns):
                self._time.sleep(duration_ns / 1e9)

    def _play(self, play: PlayLeg) -> None:
        """Let a leg say something else, from its next turn on."""
        start = self._sent_by[play.leg][1]
        next_turn = self._turns[start.slot]
        # Where all frames are alike it does not matter which comes first: all who say this can be one group.
        audio_turn = next_turn if play.frame_count > 1 else 0
        self._go_on(
            replace(
                start,
                frame_offset=play.frame_offset,
                frame_count=play.frame_count,
                event_offset=play.event_offset,
                audio_turn=audio_turn,
            )
        )
        self._memory.voice_turns[play.leg] = next_turn

    def _go_on(self, start: StartLeg) -> None:
        """Move a leg to the group that sends this, from its next turn on."""
        group, _ = self._sent_by[start.leg]
        next_turn = self._turns[start.slot]
        group.remove(start.leg, next_turn)
        other = self._group_for(start)
        other.take_over(start, next_turn)
        self._sent_by[start.leg] = other, start

    def _group_for(self, start: StartLeg) -> SendGroup:
        sending, groups = self._sockets[start.socket], self._groups[start.slot]
        for group in groups:
            if group.sends_like(sending, start):
                return group
        number = sum(map(len, self._groups))
        # An empty group of the slot has sent its last turn: its log goes on with the new one's.
        for place, group in enumerate(groups):
            if not group.count and (start.audio_turn or number == self._memory.layout.groups):
                groups[place] = SendGroup(group.number, sending, self._memory, start, GROUP_CAPACITY, self._clock)
                return groups[place]
        groups.append(SendGroup(number, sending, self._memory, start, GROUP_CAPACITY, self._clock))
        return groups[-1]


def main(arguments: list[str]) -> None:
    """Run the loop on the memory and the command socket whose descriptors were inherited."""
    run_loop(arguments, MediaLayout, MediaMemory, MediaLoop)


if __name__ == "__main__":
    main(sys.argv[1:])
