"""The media process: waits for packets, for commands and for the next 20 ms, and hands them to the engine.

Run as ``python -m pytest_ari_sla.targets.simulator.media.loop CAPACITY SEED --control-fd N``; it ends with the
simulator.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

from pytest_ari_sla.children.channel import Channel
from pytest_ari_sla.children.child import inherited_control
from pytest_ari_sla.targets.simulator.media.commands import (
    Bridge,
    CloseLeg,
    Command,
    Echo,
    Idle,
    LegNews,
    Mute,
    OpenAudioSocket,
    OpenLocal,
    OpenRtp,
    OpenWebSocket,
    Play,
    SendDigit,
    SetFaults,
    StopPlaying,
)
from pytest_ari_sla.targets.simulator.media.engine import FRAME_NS, MediaEngine
from pytest_ari_sla.targets.simulator.media.streams import AudioSocketStream, StreamLeg, WebSocketStream
from pytest_ari_sla.targets.simulator.media.websocket_driver import options_of

__all__ = ["MediaLoop", "main"]

# After a wake-up the next one is at least this much later: under load packets come in batches, for half a millisecond.
_SHORTEST_ROUND_NS = 500_000
_LONGEST_WAIT_NS = 1_000_000_000


class MediaLoop:
    """Runs an engine.

    Parameters
    ----------
    control
        Where commands come from.
    engine
        What does the work.
    """

    def __init__(self, control: socket.socket, engine: MediaEngine) -> None:
        self._channel: Channel[Command] = Channel(control, Command)
        control.setblocking(False)  # Python 3.11 takes no flags for receiving descriptors, in spite of its manual
        self._engine = engine
        self._poll = select.epoll()
        self._poll.register(control.fileno(), select.EPOLLIN)
        self._leg_of: dict[int, int] = {}
        self._channel_of: dict[int, str] = {}
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
            # A command of this very round may have closed the leg.
            self._engine.receive([self._leg_of[handle] for handle in handles if handle in self._leg_of], now_ns)
            self._keep_time(now_ns)
            self._tell_news()

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
        self._engine.expire(now_ns)
        if not self._engine.makes_packets:
            self._next_tick_ns = now_ns + FRAME_NS
            return
        if now_ns >= self._next_tick_ns:
            self._engine.tick(now_ns)
            self._next_tick_ns = max(self._next_tick_ns + FRAME_NS, now_ns - FRAME_NS)

    def _take_commands(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while (received := self._channel.receive()) is not None:
                self._carry_out(*received)
            self._runs = False  # no more to read would have raised; None is the end of the stream

    def _carry_out(self, command: Command, handle: int | None) -> None:
        match command:
            case OpenRtp(leg, payload_format, host, port) if handle is not None:
                self._engine.open(leg, handle, payload_format, host, port)
                self._leg_of[handle] = leg
                self._poll.register(handle, select.EPOLLIN)
            case OpenAudioSocket(leg, channel, payload_format, uuid):
                stream = AudioSocketStream(_socket(handle), payload_format, uuid)
                self._open_stream(leg, channel, stream)
            case OpenWebSocket(leg, channel, is_client, received, options):
                websocket = WebSocketStream(_socket(handle), is_client=is_client, options=options_of(options))
                websocket.feed(received, time.monotonic_ns())
                self._open_stream(leg, channel, websocket)
            case OpenLocal(near, far, payload_format):
                self._engine.open_local(near, far, payload_format)
            case CloseLeg(leg):
                self._tell_news()  # while the number is still this channel's: the next command may open it for another
                self._forget(leg)
                self._channel_of.pop(leg, None)
                self._engine.close(leg)
            case SetFaults(values):
                self._engine.set_faults(values)
            case _:
                self._change(command)

    def _change(self, command: Command) -> None:
        """Carry out what changes where an open leg's media comes from and goes to."""
        match command:
            case SendDigit(leg, digit):
                self._engine.digit(leg, digit)
            case Idle(leg):
                self._engine.idle(leg)
            case Echo(leg):
                self._engine.echo(leg)
            case Bridge(bridge, legs):
                self._engine.bridge(bridge, legs)
            case Mute(leg, incoming, outgoing):
                self._engine.mute(leg, incoming, outgoing)
            case Play(leg, prompt):
                self._engine.play(leg, prompt)
            case StopPlaying(leg):
                self._engine.stop_playing(leg)

    def _open_stream(self, leg: int, channel: str, stream: StreamLeg) -> None:
        self._channel_of[leg] = channel
        self._leg_of[stream.socket.fileno()] = leg
        self._poll.register(stream.socket.fileno(), select.EPOLLIN)
        self._engine.open_stream(leg, stream)

    def _forget(self, leg: int) -> None:
        """Wait for a leg's socket no more; one that has ended is forgotten before it is closed."""
        if leg not in self._engine.sockets:
            return
        handle = self._engine.sockets[leg].fileno()
        if self._leg_of.pop(handle, None) is not None:
            self._poll.unregister(handle)

    def _tell_news(self) -> None:
        """Tell the simulator what peers want of their channels, and which have gone."""
        for word, leg in self._engine.told:
            if word == "ended":
                self._forget(leg)
            with contextlib.suppress(OSError):  # the simulator is gone; the next command tells
                self._channel.send(LegNews(word, self._channel_of[leg]))
        self._engine.told.clear()


def _socket(handle: int | None) -> socket.socket:
    return socket.socket(fileno=handle)


def main(capacity: str, seed: str, *control: str) -> None:
    """Serve the simulator at the other end of the socket that was inherited."""
    with inherited_control(int(control[-1])) as inherited:
        MediaLoop(inherited, MediaEngine(int(capacity), int(seed))).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
