"""The loop that moves packets: sends by schedule, drains by clock, and does nothing else.

It runs in a process of its own (``python -m pytest_ari_sla.load.media_loop``), so that neither ARI traffic, nor test
code, nor a garbage collection can delay a packet. What it sends and receives goes through a
:class:`~pytest_ari_sla.load.media_memory.MediaMemory`; what it shall do comes as commands over a local socket.
"""

from __future__ import annotations

import gc
import select
import socket
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.load.media_commands import ForgetLeg, OpenSocket, Stall, StartLeg, StopLeg, decode
from pytest_ari_sla.load.media_memory import Gauge, MediaLayout, MediaMemory
from pytest_ari_sla.load.send_group import SendGroup
from pytest_ari_sla.rtp.send_schedule import SLOT_NS, plan_catch_up
from pytest_ari_sla.transport.batched_udp import make_receiver, make_timer
from pytest_ari_sla.transport.pacing_timer import ask_for_realtime

if TYPE_CHECKING:
    from pytest_ari_sla.load.media_commands import Command

__all__ = ["COMMAND_BYTES", "GROUP_CAPACITY", "MediaLoop", "main"]

DRAIN_CYCLE_SLOTS = 20
"""Each socket is drained once in so many slots; the kernel stamps arrivals, so it does not matter when we look."""

COMMAND_BYTES = 512
_HOUSEKEEPING_SLOTS = 1000
_CLOCK_STEP_NS = 1_000_000
_DRAIN_BATCH = 256
GROUP_CAPACITY = 128
"""Most streams in one ``sendmmsg``."""


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
        self._gauges = memory.gauges
        self._commands = commands
        self._receiver = make_receiver(memory.ring)
        self._sockets: dict[int, socket.socket] = {}
        self._turns: dict[int, list[list[SendGroup]]] = {}
        self._homes: dict[int, SendGroup] = {}
        self._drains: list[list[int]] = [[] for _ in range(DRAIN_CYCLE_SLOTS)]
        self._running = True
        self._origin_ns = 0
        self._realtime_offset_ns = time.time_ns() - time.monotonic_ns()

    def run(self) -> None:
        """Run until told to stop: idle without sockets, slot by slot with them."""
        gc.freeze()
        gc.disable()
        try:
            while self._running:
                select.select([self._commands], [], [])
                self._obey()
                if self._sockets and self._running:
                    self._run_slots()
        finally:
            for udp in self._sockets.values():
                udp.close()

    def _run_slots(self) -> None:
        self._origin_ns = (time.monotonic_ns() // SLOT_NS + 2) * SLOT_NS
        timer = make_timer(self._origin_ns, SLOT_NS)
        slot = 0
        housekeeping = 0
        try:
            while self._running:
                timer.wait()
                self._gauges[Gauge.WAKES] += 1
                now_slot = (time.monotonic_ns() - self._origin_ns) // SLOT_NS
                slot = self._catch_up(slot, now_slot)
                if select.select([self._commands], [], [], 0)[0]:
                    self._obey()
                if slot >= housekeeping:
                    housekeeping = slot + _HOUSEKEEPING_SLOTS
                    self._keep_house()
        finally:
            timer.close()

    def _catch_up(self, slot: int, now_slot: int) -> int:
        """Run all slots up to now; return the next one."""
        for cycle in list(self._turns):
            first, _ = plan_catch_up(slot, now_slot, cycle)
            for late_slot in range(slot, first):
                self._skip(cycle, late_slot)
            for due_slot in range(first, now_slot + 1):
                self._send(cycle, due_slot)
        for due_slot in range(max(slot, now_slot + 1 - DRAIN_CYCLE_SLOTS), now_slot + 1):
            for number in self._drains[due_slot % DRAIN_CYCLE_SLOTS]:
                self._drain(number)
        return max(slot, now_slot + 1)

    def _due_ns(self, slot: int) -> int:
        return self._origin_ns + slot * SLOT_NS + self._realtime_offset_ns

    def _send(self, cycle: int, slot: int) -> None:
        for group in self._turns[cycle][slot % cycle]:
            if group.count:
                wanted = group.count
                packets, first_late_ns, last_late_ns = group.send(self._due_ns(slot))
                self._log_slot(first_late_ns, last_late_ns, packets, wanted - packets)
                self._forget(group.take_ended())

    def _skip(self, cycle: int, slot: int) -> None:
        for group in self._turns[cycle][slot % cycle]:
            if group.count:
                self._log_slot(0, 0, 0, group.skip(self._due_ns(slot)))
                self._forget(group.take_ended())

    def _forget(self, ended: list[int]) -> None:
        for leg in ended:
            del self._homes[leg]

    def _log_slot(self, first_late_ns: int, last_late_ns: int, packets: int, skipped: int) -> None:
        head = int(self._gauges[Gauge.SLOT_HEAD])
        self._memory.slots[head % len(self._memory.slots)] = (first_late_ns, last_late_ns, packets, skipped)
        self._gauges[Gauge.SLOT_HEAD] = head + 1

    def _drain(self, number: int) -> None:
        """Take everything out of a socket, as far as the ring has room."""
        rows = self._memory.layout.ring_rows
        while True:
            head = int(self._gauges[Gauge.RING_HEAD])
            room = rows - (head - int(self._gauges[Gauge.RING_TAIL]))
            first = head % rows
            wanted = min(_DRAIN_BATCH, room, rows - first)
            if wanted == 0:
                self._gauges[Gauge.RING_FULL] += 1
                return
            received = self._receiver.receive(self._sockets[number], first, wanted)
            self._memory.ring_socket[first : first + received] = number
            self._gauges[Gauge.RING_HEAD] = head + received
            if received < wanted:
                return

    def _keep_house(self) -> None:
        """Once a second: tell the processor time, and look whether somebody set the clock."""
        self._gauges[Gauge.CPU_NS] = time.process_time_ns()
        offset_ns = time.time_ns() - time.monotonic_ns()
        if abs(offset_ns - self._realtime_offset_ns) > _CLOCK_STEP_NS:
            self._gauges[Gauge.CLOCK_STEPS] += 1
        self._realtime_offset_ns = offset_ns

    def _obey(self) -> None:
        """Carry out the next command; the end of the command socket is the order to stop."""
        message, descriptors, _, _ = socket.recv_fds(self._commands, COMMAND_BYTES, 1)
        if not message:
            self._running = False
            return
        self._carry_out(decode(message), descriptors)
        self._gauges[Gauge.COMMANDS_DONE] += 1

    def _carry_out(self, command: Command, descriptors: list[int]) -> None:
        match command:
            case OpenSocket(number):
                self._sockets[number] = socket.socket(fileno=descriptors[0])
                self._drains[(number * 7 + 10) % DRAIN_CYCLE_SLOTS].append(number)
            case StartLeg():
                self._start(command)
            case StopLeg(leg):
                if leg in self._homes:
                    self._homes.pop(leg).remove(leg)
            case ForgetLeg(leg):
                for array in (self._memory.due, self._memory.sent, self._memory.started_ns, self._memory.sent_ns):
                    array[leg] = 0
            case Stall(duration_ns):
                time.sleep(duration_ns / 1e9)

    def _start(self, start: StartLeg) -> None:
        turns = self._turns.setdefault(start.cycle, [[] for _ in range(start.cycle)])
        group = self._group(turns[start.slot], self._sockets[start.socket])
        group.add(start)
        self._homes[start.leg] = group

    def _group(self, turn: list[SendGroup], sending: socket.socket) -> SendGroup:
        for group in turn:
            if group.sends_by(sending) and group.count < GROUP_CAPACITY:
                return group
        turn.append(SendGroup(sending, GROUP_CAPACITY, self._memory))
        return turn[-1]


def main(arguments: list[str]) -> None:
    """Run the loop on the memory and the command socket whose descriptors were inherited."""
    layout = msgspec.json.decode(arguments[0], type=MediaLayout)
    memory = MediaMemory(layout, int(arguments[1]))
    memory.gauges[Gauge.REALTIME_PRIORITY] = arguments[3] == "realtime" and ask_for_realtime()
    MediaLoop(memory, socket.socket(fileno=int(arguments[2]))).run()


if __name__ == "__main__":
    main(sys.argv[1:])
