"""A loop that moves media: sends by schedule, slot by slot, and does nothing else.

It runs in a process of its own, so that neither ARI traffic, nor test code, nor a garbage collection can delay a
packet. What it sends and receives goes through a :class:`~pytest_ari_sla.media.loop.memory.LoopMemory`; what it shall
do comes as commands over a local socket.
"""

from __future__ import annotations

import gc
import select
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import inherited_control
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.rtp.send_schedule import SLOT_NS, plan_catch_up
from pytest_ari_sla.udp.batched import make_timer
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime
from pytest_ari_sla.udp.stamp_clock import StampClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.clock import ProcessClock
    from pytest_ari_sla.media.loop.memory import LoopMemory

__all__ = ["STALL_NS", "SendGroup", "SlotLoop", "run_loop"]

# Looking a member of an enumeration up costs as much as a NumPy call: those of the hot path are plain numbers.
_COMMANDS_SENT, _COMMANDS_DONE = int(Gauge.COMMANDS_SENT), int(Gauge.COMMANDS_DONE)
STALL_NS = 250_000_000
"""Standing still for so long is told by name."""

_STALL_SLOTS = STALL_NS // SLOT_NS
_HOUSEKEEPING_SLOTS = 1000  # 1 s, as often as the measuring side looks at what this tells
_COMMANDS_PER_SLOT = 4
"""More would delay the next slot; fewer would let many calls that begin at once wait for their first packet."""


class SendGroup(Protocol):
    """Streams that are sent together, in one slot of the cycle.

    Attributes
    ----------
    count
        Streams in it.
    ending_turn
        The turn in which the next one of them ends.
    """

    count: int
    ending_turn: int

    def prepare(self, turn: int) -> None:
        """Do what can be done of a turn before it is due."""

    def send(self, turn: int, due_ns: int) -> object:
        """Send what each stream says in a turn."""

    def skip(self, turn: int, due_ns: int) -> None:
        """Let a turn pass unsent, because it is too late for it."""

    def take_ended(self, turn: int) -> list[int]:
        """Take out the streams that have no turn after this one, and return their legs."""


Group = TypeVar("Group", bound=SendGroup)


class SlotLoop(ABC, Generic[Group]):
    """Runs slots until its command socket closes.

    Parameters
    ----------
    memory
        Shared with the measuring side.
    commands
        A channel's socket; its closing ends the loop.
    expected
        The commands that there are.
    clock
        The time, and what this process used of it.
    """

    def __init__(self, memory: LoopMemory, commands: socket.socket, expected: Any, clock: ProcessClock = time) -> None:
        self._time = clock
        # A memoryview reads and writes single numbers several times faster than an array.
        self._gauges = memory.gauges.data
        self._turns = memory.turns.data
        self._cycle = memory.layout.cycle
        self._groups: list[list[Group]] = [[] for _ in range(self._cycle)]
        self._commands: Channel[Any] = Channel(commands, expected)
        self._running = True
        self._next_slot = 0
        self._origin_ns = 0
        self._clock = StampClock(int(memory.gauges[Gauge.EPOCH_NS]), clock)

    @abstractmethod
    def _has_work(self) -> bool:
        """Whether there is any reason to wake up every slot."""

    @abstractmethod
    def _after_sending(self, slot: int, phase: int) -> None:
        """Do what else is due in a slot: receive what has come."""

    @abstractmethod
    def _forget(self, ended: list[int]) -> None:
        """Take note that the streams of these legs have ended."""

    @abstractmethod
    def _carry_out(self, command: Any, handle: int | None) -> None:
        """Carry out a command; a socket that came with it is ours from now on."""

    @abstractmethod
    def _close(self) -> None:
        """Close all sockets of the media."""

    def run(self) -> None:
        """Run until told to stop: idle without work, slot by slot with it."""
        self._used_before_ns = self._time.process_time_ns()
        try:
            while self._running and not self._has_work():
                select.select([self._commands], [], [])
                self._obey()
            self._run_slots()
        finally:
            self._tell_cpu()
            self._clock.now_ns()
            self._tell_steps()
            self._close()

    def _tell_cpu(self) -> None:
        self._gauges[Gauge.CPU_NS] = self._time.process_time_ns() - self._used_before_ns

    def _tell_steps(self) -> None:
        self._gauges[Gauge.CLOCK_STEPS] = self._clock.steps

    def _run_slots(self) -> None:
        # At least one whole slot ahead: slot 0 shall not be late because the timer was made first.
        origin_ns = (self._time.monotonic_ns() // SLOT_NS + 2) * SLOT_NS
        self._origin_ns = self._gauges[Gauge.ORIGIN_NS] = origin_ns + self._clock.epoch_ns
        timer = make_timer(origin_ns, SLOT_NS)
        next_housekeeping = _HOUSEKEEPING_SLOTS
        wait, clock, gauges = timer.wait, self._time.monotonic_ns, self._gauges
        try:
            while self._running:
                wait()
                # By the clock: after a late wake-up several slots are due.
                now_slot = (clock() - origin_ns) // SLOT_NS
                # A cycle behind, the same streams' next packets are due as well: sent together they would be a burst.
                if now_slot - self._next_slot >= self._cycle:
                    self._skip_until(now_slot)
                slot = self._next_slot
                while slot <= now_slot:
                    self._run_slot(slot)
                    slot = self._next_slot = slot + 1
                # Behind the packets, which cannot wait; two numbers in memory cost less than a look into the socket.
                if gauges[_COMMANDS_SENT] != gauges[_COMMANDS_DONE]:
                    self._obey_some()
                if slot >= next_housekeeping:
                    next_housekeeping = slot + _HOUSEKEEPING_SLOTS
                    self._tell_steps()
                    self._tell_cpu()
                    self._look_for_end()
        finally:
            timer.close()

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
        self._after_sending(slot, phase)

    def _prepare(self, turn: int) -> None:
        """Prepare a turn of all groups in a row: after a wait all caches are cold, and Python several times slower."""
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

    def _skip_until(self, now_slot: int) -> None:
        """Let those slots pass that are too late for their packets."""
        if now_slot - self._next_slot >= _STALL_SLOTS:
            self._gauges[Gauge.LOOP_STALLS] += 1
            self._gauges[Gauge.LOOP_STALLED_NS] += (now_slot - self._next_slot) * SLOT_NS
        first, _ = plan_catch_up(self._next_slot, now_slot, self._cycle)
        for slot in range(self._next_slot, first):
            self._skip(slot)
        self._next_slot = first

    def _look_for_end(self) -> None:
        """End when nobody commands any more, also if they died without a word."""
        if self._commands.is_over():
            self._running = False

    def _obey_some(self) -> None:
        """Carry out the next commands, but not so many that the next slot waits for them."""
        for _ in range(min(self._gauges[_COMMANDS_SENT] - self._gauges[_COMMANDS_DONE], _COMMANDS_PER_SLOT)):
            self._obey()

    def _obey(self) -> None:
        """Carry out the next command; the end of the command socket is the order to stop."""
        received = self._commands.receive()
        if received is None:
            self._running = False
            return
        # Counted when it has been carried out: who waits for it (LoopProcess.obeyed) relies on that.
        self._carry_out(*received)
        self._gauges[_COMMANDS_DONE] += 1


def run_loop(
    arguments: Sequence[str],
    layout: type[msgspec.Struct],
    make_memory: Callable[[Any, int], Any],
    make_loop: Callable[[Any, socket.socket], SlotLoop[Any]],
) -> None:
    """Run a loop on the memory and the command socket whose descriptors were inherited; the main program of a loop.

    Parameters
    ----------
    arguments
        The command line that :class:`~pytest_ari_sla.media.loop.process.LoopProcess` gives.
    layout, make_memory, make_loop
        The transport's own.
    """
    memory = make_memory(msgspec.json.decode(arguments[0], type=layout), int(arguments[1]))
    commands = inherited_control(int(arguments[-1]))
    # A collection takes milliseconds, in which packets that are due would wait.
    gc.freeze()
    gc.disable()
    memory.gauges[Gauge.REALTIME_PRIORITY] = arguments[2] == "realtime" and ask_for_realtime()
    make_loop(memory, commands).run()
