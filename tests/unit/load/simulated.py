"""A load without sockets, processes or waiting: real code of ours on a clock that jumps, with an Asterisk in memory.

What is played here is what lies beyond this process: the media loop (it shares its memory with the real measurer), and
Asterisk (it answers the real ARI session and echoes packets). An event loop whose clock jumps to whatever is due next
makes hours pass in seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import selectors
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pytest_ari_sla.ari.messages import decode_event
from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.load.load_builder import LoadBuilder
from pytest_ari_sla.media.loop.reader import STAMP_TO_QUEUE_NS
from pytest_ari_sla.media.measuring.measurer import Measurer
from pytest_ari_sla.rtp import header, probe
from pytest_ari_sla.rtp.send_schedule import SLOT_NS
from pytest_ari_sla.rtp_media.commands import ForgetLeg, StartLeg, StopLeg
from pytest_ari_sla.rtp_media.memory import LEG, Gauge
from pytest_ari_sla.rtp_media.transport import RtpMedia
from pytest_ari_sla.testing.manual_clock import ManualClock
from pytest_ari_sla.udp.datagrams import host_number
from pytest_ari_sla.watch.target_watch import TargetWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest
    from numpy.typing import NDArray

    from pytest_ari_sla.ari_client.observer import AriObserver
    from pytest_ari_sla.ari_client.requests import AriClient
    from pytest_ari_sla.rtp_media.commands import Command
    from pytest_ari_sla.rtp_media.memory import MediaMemory

__all__ = ["ScriptedAsterisk", "SimulatedLoop"]

LONGEST_JUMP_NS = 1_000_000_000
MEASURE_NS = 4_000_000_000
SEND_LATE_NS = 30_000
ROUND_TRIP_NS = 1_200_000
ASTERISK_HOST = "127.0.0.1"
FIRST_ASTERISK_PORT = 10_000


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where nothing is ready, the time for which somebody would have waited is over at once."""

    def __init__(self, jump: Callable[[int], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None and timeout > 0:
            self._jump(int(timeout * 1e9) + 1)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own; what wants to live in that time is told of every jump.

    Attributes
    ----------
    clock
        The present.
    transport
        Carries media in this time.
    silent_from_ns
        What is due from then on does not come back; ns since the loop's beginning.
    """

    silent_from_ns = 1 << 62

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._start_ns = self.clock.now_ns
        self._listeners: list[Callable[[int], None]] = []
        super().__init__(_JumpingSelector(self._jump))
        self.transport = RtpMedia(self._start_media)

    def time(self) -> float:
        """Return the present for timers."""
        return (self.clock.now_ns - self._start_ns) / 1e9

    def call_on_jump(self, listener: Callable[[int], None]) -> None:
        """Call ``listener(now_ns)`` whenever time has passed."""
        self._listeners.append(listener)

    def _jump(self, duration_ns: int) -> None:
        self.clock.advance(min(duration_ns, LONGEST_JUMP_NS))
        for listener in self._listeners:
            listener(self.clock.now_ns)

    def _start_media(self, memory: MediaMemory, **_: Any) -> Any:
        return _SimulatedMedia(memory, self)

    def make_measurer(self, *parts: Any) -> Measurer:
        """Return a measurer that reads whenever time has passed."""
        measurer = _SimulatedMeasurer(*parts)
        self.call_on_jump(measurer.look)
        return measurer


class _SimulatedMeasurer(Measurer):
    """The measurer, driven by jumps of the clock instead of a thread."""

    _next_read_ns = 0

    def start(self) -> None:
        """Nothing runs by itself."""

    def stop(self) -> None:
        self._stopping = True
        self._finish()

    def look(self, now_ns: int) -> None:
        """Do what the thread does between two of its waits."""
        if not self._stopping and (self._retirements or now_ns >= self._next_read_ns):
            self._next_read_ns = now_ns + MEASURE_NS
            self._read()


class _SimulatedMedia:
    """Plays the media loop in its memory, together with an Asterisk that sends every packet back.

    Lets the turns of all slots pass, notes what was sent, and writes the echoes into the receive ring.
    """

    pid = 0

    def __init__(self, memory: MediaMemory, loop: SimulatedLoop) -> None:
        self._memory = memory
        self._loop = loop
        self._origin_ns = memory.gauges[Gauge.ORIGIN_NS] = loop.clock.now_ns
        self._streams: dict[int, StartLeg] = {}
        loop.call_on_jump(self._run_until)

    def command(self, command: Command, attached: object = None) -> None:
        """Carry an order out at once."""
        legs, turns = self._memory.legs, self._memory.turns
        match command:
            case StartLeg(leg=leg, slot=slot, packets=packets):
                legs[leg] = (slot, turns[slot], turns[slot] + packets, 0, slot, 0, 0, slot, 0)
                self._memory.group_slot[slot] = slot
                self._streams[leg] = command
            case StopLeg(leg=leg):
                legs[leg]["end_turn"] = min(legs[leg]["end_turn"], turns[legs[leg]["slot"]])
            case ForgetLeg(leg=leg):
                legs[leg] = np.zeros((), LEG)
                self._streams.pop(leg, None)

    async def obeyed(self) -> None:
        """Every order has been carried out."""

    def ensure_alive(self) -> None:
        """Nothing here can die."""

    async def stop(self) -> None:
        """Nothing runs by itself."""

    def _run_until(self, now_ns: int) -> None:
        memory, cycle = self._memory, self._memory.layout.cycle
        now_slot = (now_ns - self._origin_ns) // SLOT_NS
        past = (now_slot - np.arange(cycle)) // cycle + 1
        for stream in self._streams.values():
            turns = np.arange(memory.turns[stream.slot], past[stream.slot])
            self._send(stream, turns, self._origin_ns + (turns * cycle + stream.slot) * SLOT_NS)
        memory.turns[:] = past
        memory.drained_ns[:] = now_ns + STAMP_TO_QUEUE_NS

    def _send(self, stream: StartLeg, turns: NDArray[np.int64], due_ns: NDArray[np.int64]) -> None:
        begin, end = (int(self._memory.legs[stream.leg][name]) for name in ("first_turn", "end_turn"))
        sent = (turns >= begin) & (turns < end)
        turns, due_ns = turns[sent], due_ns[sent]
        self._log(stream.slot, turns, due_ns)
        is_heard = due_ns < self._origin_ns + self._loop.silent_from_ns
        turns, due_ns = turns[is_heard], due_ns[is_heard]
        self._echo(stream, turns, due_ns + SEND_LATE_NS + ROUND_TRIP_NS + turns % 97 * 10_000)

    def _log(self, slot: int, turns: NDArray[np.int64], due_ns: NDArray[np.int64]) -> None:
        """Note one more packet in these turns of a slot, whose streams are one group."""
        columns = turns % self._memory.layout.burst_window
        bursts = self._memory.bursts[slot]
        count = np.where(bursts["turn"][columns] == turns, bursts["count"][columns], 0) + 1
        for name, value in (("turn", turns), ("due_ns", due_ns), ("began_ns", due_ns + SEND_LATE_NS), ("count", count)):
            bursts[name][columns] = value

    def _echo(self, stream: StartLeg, turns: NDArray[np.int64], arrival_ns: NDArray[np.int64]) -> None:
        """Put packets into the ring, as they come back: with SSRC and numbers of Asterisk's own."""
        memory, ring = self._memory, self._memory.ring
        rows = (int(memory.gauges[Gauge.RING_HEAD]) + np.arange(len(turns))) % memory.layout.ring_rows
        frames = memory.frames[stream.frame_offset :][: stream.frame_count * stream.frame_bytes]
        packets = np.zeros((len(turns), header.HEADER_BYTES + stream.frame_bytes), np.uint8)
        packets[:, 0] = 0x80
        packets[:, 2:4] = (turns % 2**16).astype(">u2")[:, None].view(np.uint8)
        packets[:, 4:8] = (turns * stream.ticks % 2**32).astype(">u4")[:, None].view(np.uint8)
        packets[:, 8:12] = np.frombuffer((stream.ssrc ^ 0xA5).to_bytes(4), np.uint8)
        packets[:, header.HEADER_BYTES :] = frames.reshape(-1, stream.frame_bytes)[turns % stream.frame_count]
        probe.write(packets[:, header.HEADER_BYTES :], stream.nonce or 0, stream.leg, turns)
        ring.data[rows, : packets.shape[1]] = packets
        ring.length[rows] = packets.shape[1]
        ring.address["host"][rows], ring.address["port"][rows] = host_number(stream.host), stream.port
        ring.control["seconds"][rows], ring.control["nanoseconds"][rows] = np.divmod(arrival_ns, 1_000_000_000)
        memory.ring_socket[rows] = stream.socket
        memory.gauges[Gauge.RING_HEAD] += len(turns)


class ScriptedAsterisk:
    """Answers a real :class:`AriSession` in memory: channels come, go to Echo() and end, and some do not.

    Parameters
    ----------
    loop
        In whose time.
    refused_every, dropped_every
        Each n-th channel is refused; each n-th other one is hung up by Asterisk after a second; 0: none.
    posts_per_s
        So many POST requests are carried out a second, one after the other.

    Attributes
    ----------
    channels
        Those that exist.
    lists
        Whether it tells which those are.
    """

    lists = True

    def __init__(
        self, loop: SimulatedLoop, *, refused_every: int = 0, dropped_every: int = 0, posts_per_s: float = math.inf
    ) -> None:
        self._loop = loop
        self._post_s = 1 / posts_per_s
        self._free_at_s = 0.0
        self._refused_every, self._dropped_every = refused_every, dropped_every
        self._numbers = itertools.count(1)
        self.channels: set[str] = set()

    def serve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answer the sessions of all loads."""

        def answer(client: AriClient, session: AriSession) -> None:
            async def attempt(method: str, route: str, *parts: Any) -> tuple[int, bytes]:
                if method == "POST":
                    await self._take_turn()
                return self._attempt(session, method, route, *parts)

            monkeypatch.setattr(client, "_attempt", attempt)

        def make_session(builder: LoadBuilder) -> AriSession:
            session = AriSession(
                "http://u:p@asterisk:8088",
                app="sla-soak",
                id_prefix="sla-soak",
                clock=self._loop.clock,
                observer=builder._meter,
            )
            for step in ("open", "wait_open", "close"):
                monkeypatch.setattr(session._stream, step, _at_once)
            answer(session.client, session)
            return session

        def make_watch(builder: LoadBuilder, session: AriSession, forensics: object) -> TargetWatch:
            watch = TargetWatch(session.endpoint, True, session.some_channel)
            for client in watch._clients.values():
                answer(client, session)
            return watch

        monkeypatch.setattr(LoadBuilder, "_ari_session", make_session)
        monkeypatch.setattr(LoadBuilder, "watch", make_watch)

    async def _take_turn(self) -> None:
        self._free_at_s = max(self._free_at_s, self._loop.time()) + self._post_s
        if self._post_s:
            await asyncio.sleep(self._free_at_s - self._loop.time())

    def _attempt(
        self,
        session: AriSession,
        method: str,
        route: str,
        filled: str,
        parameters: Mapping[str, str],
        body: object,
        on_sent: Callable[[int, int], None] | None,
    ) -> tuple[int, bytes]:
        if on_sent is not None:
            on_sent(self._loop.clock.now_ns, 0)
        status, answer = self._answer(session, method, route, filled.split("/"), parameters)
        observer: AriObserver = session._observer
        observer.on_request(method, route, 3_000_000, status, queued_ns=0, uncertainty_ns=0)
        return status, msgspec.json.encode(answer)

    def _answer(
        self, session: AriSession, method: str, route: str, path: list[str], parameters: Mapping[str, str]
    ) -> tuple[int, object]:
        match method, route:
            case "GET", "/asterisk/info":
                return 200, {"system": {"version": "22.0.0", "entity_id": "soak"}}
            case "GET", ("/channels" | "/channels/{channelId}") if not self.lists:
                return 500, {"message": "Internal"}
            case "GET", "/channels/{channelId}" if path[2] in self.channels:
                return 200, _channel(path[2])
            case "GET", "/channels/{channelId}":
                return 404, {"message": "Channel not found"}
            case "GET", "/channels":
                return 200, [_channel(channel) for channel in sorted(self.channels)]
            case "GET", _:
                return 200, []
            case "POST", "/channels/externalMedia":
                return self._create(session, parameters["channelId"])
            case "POST", "/channels/{channelId}/continue":
                self._tell(session, "StasisEnd", path[2])
                return 204, None
            case "DELETE", _ if path[2] in self.channels:
                self._destroy(session, path[2], 16)
                return 204, None
        return 404, {"message": "Not found"}

    def _create(self, session: AriSession, channel: str) -> tuple[int, object]:
        number = next(self._numbers)
        if self._refused_every and number % self._refused_every == 0:
            return 500, {"message": "Allocation failed"}
        self.channels.add(channel)
        self._tell(session, "StasisStart", channel, args=[])
        if self._dropped_every and number % self._dropped_every == 0:
            self._loop.call_later(1, self._destroy, session, channel, 38)
        port = str(FIRST_ASTERISK_PORT + 2 * number % 20_000)
        local = {"UNICASTRTP_LOCAL_ADDRESS": ASTERISK_HOST, "UNICASTRTP_LOCAL_PORT": port}
        return 200, _channel(channel) | {"channelvars": local}

    def _destroy(self, session: AriSession, channel: str, cause: int) -> None:
        if channel in self.channels:
            self.channels.remove(channel)
            self._tell(session, "ChannelDestroyed", channel, cause=cause, cause_txt="told so")

    def _tell(self, session: AriSession, kind: str, channel: str, **more: Any) -> None:
        event = {"type": kind, "timestamp": "", "application": "sla-soak", "channel": _channel(channel), **more}
        self._loop.call_soon(session.on_event, decode_event(msgspec.json.encode(event)), self._loop.clock.now_ns, 0)


async def _at_once() -> None:
    """Stand for a step of an event stream that is always open."""


def _channel(identity: str) -> dict[str, Any]:
    return {
        "id": identity,
        "name": f"UnicastRTP/{identity}",
        "state": "Up",
        "caller": {"name": "", "number": ""},
        "connected": {"name": "", "number": ""},
        "dialplan": {"context": "default", "exten": "s", "priority": 1, "app_name": "Stasis", "app_data": ""},
        "creationtime": "2026-11-22T13:56:58.340+0000",
    }
