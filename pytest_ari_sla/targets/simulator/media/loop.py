"""The media process: waits for packets, for commands and for the next 20 ms, and hands them to the engine.

Run as ``python -m pytest_ari_sla.targets.simulator.media.loop HANDLE CAPACITY SEED``; it ends when the simulator does.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import sys
import time

from pytest_ari_sla.targets.simulator.media.commands import Command, receive_command
from pytest_ari_sla.targets.simulator.media.engine import FRAME_NS, MediaEngine

__all__ = ["MediaLoop", "main"]

# After a wake-up the next one is at least this much later: under load packets come in batches, for half a millisecond.
_SHORTEST_ROUND_NS = 500_000
_LONGEST_WAIT_NS = 1_000_000_000


class MediaLoop:
    """Runs an engine.

    Parameters
    ----------
    channel
        Where commands come from.
    engine
        What does the work.
    """

    def __init__(self, channel: socket.socket, engine: MediaEngine) -> None:
        self._channel = channel
        channel.setblocking(False)  # Python 3.11 takes no flags for receiving descriptors, in spite of its manual
        self._engine = engine
        self._poll = select.epoll()
        self._poll.register(channel.fileno(), select.EPOLLIN)
        self._leg_of: dict[int, int] = {}
        self._runs = True
        self._next_tick_ns = time.monotonic_ns()

    def run(self) -> None:
        """Work until the simulator is gone."""
        last_ns = 0
        while self._runs:
            events = self._poll.poll(self._wait_s())
            now_ns = time.monotonic_ns()
            if now_ns - last_ns < _SHORTEST_ROUND_NS:
                time.sleep((_SHORTEST_ROUND_NS - (now_ns - last_ns)) / 1e9)
                events = self._poll.poll(0)
                now_ns = time.monotonic_ns()
            last_ns = now_ns
            handles = [handle for handle, _ in events]
            if self._channel.fileno() in handles:
                self._take_commands()
            self._engine.receive([self._leg_of[handle] for handle in handles if handle in self._leg_of], now_ns)
            self._keep_time(now_ns)

    def _wait_s(self) -> float:
        """Return how long nothing needs to be done."""
        now_ns = time.monotonic_ns()
        due_ns = now_ns + _LONGEST_WAIT_NS
        if self._engine.makes_packets:
            due_ns = min(due_ns, self._next_tick_ns)
        if (late_ns := self._engine.next_due_ns()) is not None:
            due_ns = min(due_ns, late_ns)
        return max(due_ns - now_ns, 0) / 1e9

    def _keep_time(self, now_ns: int) -> None:
        """Do what is due; after a long stop the ticks that were missed are not made up for."""
        self._engine.send_late(now_ns)
        if not self._engine.makes_packets:
            self._next_tick_ns = now_ns + FRAME_NS
            return
        if now_ns >= self._next_tick_ns:
            self._engine.tick(now_ns)
            self._next_tick_ns = max(self._next_tick_ns + FRAME_NS, now_ns - FRAME_NS)

    def _take_commands(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while (command := receive_command(self._channel)) is not None:
                self._carry_out(command)
            self._runs = False

    def _carry_out(self, command: Command) -> None:
        match command:
            case Command("open", [leg, payload_format, host, port], handle):
                self._engine.open(leg, handle, payload_format, host, port)
                self._leg_of[handle] = leg
                self._poll.register(handle, select.EPOLLIN)
            case Command("close", [leg]):
                handle = self._engine.sockets[leg].fileno()
                self._poll.unregister(handle)
                del self._leg_of[handle]
                self._engine.close(leg)
            case Command(name, arguments):
                getattr(self._engine, name)(*arguments)


def main(handle: int, capacity: int, seed: int) -> None:
    """Serve the simulator at the other end of a socket."""
    # Ctrl-C is the simulator's to take; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=handle) as channel:
        MediaLoop(channel, MediaEngine(capacity, seed)).run()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
