"""The caller: sends probes by schedule from a process of its own, and measures what comes back."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.capture.kept_packets import CapturedStream, PacketKeeper, rebuilt_packets
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.hookspecs import TrackerContext
from pytest_ari_sla.media.commands import ForgetLeg, OpenSocket, Stall, StartLeg, StopLeg
from pytest_ari_sla.media.loop_process import LoopProcess
from pytest_ari_sla.media.measurer import Measurer
from pytest_ari_sla.media.memory import BURST, Gauge, MediaLayout, MediaMemory
from pytest_ari_sla.media.report_exchange import ReportExchange, SentStream
from pytest_ari_sla.media.ring_reader import RingReader, SourceTable
from pytest_ari_sla.media.send_group import GROUP_CAPACITY
from pytest_ari_sla.media.send_log import MediaSendLog
from pytest_ari_sla.media.tracker_group import TrackerGroup
from pytest_ari_sla.rtp.header import HEADER_BYTES
from pytest_ari_sla.rtp.send_schedule import SlotAssigner
from pytest_ari_sla.udp.datagrams import prepare_socket, receive_drops

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_ari_sla.hookspecs import Codec, Tracker, Voice
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.measurer import KeptPackets, LegReport
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.udp.datagrams import Address
    from pytest_ari_sla.udp.port_leases import PortLease, PortManager

__all__ = ["CallerWorker", "LegSeat"]

LOSS_LIMIT_NS = 3_000_000_000
"""A probe that is not back after this time is lost."""

LEGS_PER_SOCKET = 128
"""A receive buffer of 4 MB holds many drain cycles of so many. Slots divide unevenly: twice that at most."""

RING_SECONDS = 1.5
LEAST_RING_ROWS = 1 << 15
"""10 MB. Twenty calls fill it in half a minute: as long as that, the measuring side may be stopped."""

AWAITED_NS = LOSS_LIMIT_NS + 5_000_000_000
"""For so long a probe is awaited: packets of one socket may be read that much later than those of another one."""

SEND_LOG_BYTES = 1 << 25
MOST_TURNS = 1 << 12
"""82 s at 20 ms."""

POLL_S = 0.2


@dataclass(frozen=True)
class LegSeat:
    """A leg's number, the socket and slot it sends by, and the address that Asterisk shall send to."""

    leg: int
    socket: int
    slot: int
    local: Address


class CallerWorker:
    """One load's media: the loop's process, the sockets, and the measuring thread.

    Use as an asynchronous context manager. All methods belong to one event loop.

    Parameters
    ----------
    plan
        What to send.
    ports
        Where sockets are leased.
    media_host
        The address that Asterisk sends to.
    trackers, owners
        Prototypes, which are copied, and the plug-in that each came from, by its name.

    Attributes
    ----------
    receive_buffer_bytes
        What the kernel granted to each socket.
    """

    def __init__(
        self,
        plan: MediaPlan,
        ports: PortManager,
        media_host: str,
        trackers: Iterable[Tracker],
        owners: Mapping[str, str] | None = None,
    ) -> None:
        self._plan = plan
        self._ports = ports
        self._media_host = media_host
        self._nonce = secrets.randbits(32)
        self._memory = MediaMemory(_layout(plan))
        self._send_log = MediaSendLog(self._memory)
        self._slots = SlotAssigner(plan.packet_time_ms)
        self._on_socket = [0] * _sockets_for(plan.legs)
        self._sources = SourceTable(len(self._on_socket), plan.legs)
        self._free_calls = list(range(plan.calls - 1, -1, -1))
        self._legs_taken = [0] * plan.calls
        self._expected: dict[int, Address] = {}
        self._ssrc: dict[int, int] = {}
        self._trackers = TrackerGroup(trackers, owners or {})
        self._leases: list[PortLease] = []
        self.receive_buffer_bytes = 0

    async def __aenter__(self) -> CallerWorker:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        stack.callback(self._memory.close)
        self._memory.touch()
        np.concatenate([voice.frames.reshape(-1) for voice in self._plan.media.voices], out=self._memory.frames)
        self._leases = [stack.enter_context(self._ports.lease()) for _ in self._on_socket]
        sockets = [lease.rtp_socket for lease in self._leases]
        rtcp_sockets = [lease.rtcp_socket for lease in self._leases]
        self._reports = ReportExchange(rtcp_sockets, self._sources, self._send_log, self._plan.legs)
        self._measurer = self._make_measurer(sockets)
        self._measurer.start()
        stack.push_async_callback(asyncio.to_thread, self._measurer.stop)
        self._loop = LoopProcess(self._memory, realtime=self._plan.realtime)
        stack.push_async_callback(self._loop.stop)
        for number, udp in enumerate(sockets):
            self.receive_buffer_bytes = prepare_socket(udp, self._plan.receive_buffer_bytes).buffer_bytes
            self._loop.command(OpenSocket(number), udp)
        await self._loop.obeyed()

    def _make_measurer(self, sockets: Sequence[socket.socket]) -> Measurer:
        plan = self._plan

        def drops() -> int:
            return sum(map(receive_drops, sockets))

        context = TrackerContext(
            legs=plan.legs,
            heard_leg=plan.media.heard_legs(plan.calls),
            voices=plan.media.voices,
            voice_of_leg=plan.media.voices_of_legs(plan.calls),
            packet_time_ns=plan.packet_time_ns,
            send_log=self._send_log,
            probe_window=self._memory.layout.probe_window,
            loss_limit_ns=LOSS_LIMIT_NS,
            audio_legs=plan.media.audible_legs(plan.calls),
            ari=plan.ari,
            receive_drops=drops,
            shard=plan.shard,
            began_ns=lambda: self._measurer.begin_ns,
        )
        self._trackers.begin(context)
        reader = RingReader(self._memory, self._send_log, self._sources, self._nonce)
        keeper = PacketKeeper(plan.legs) if plan.keep_packets else None
        return Measurer(self._memory, self._send_log, reader, self._trackers, drops, keeper, self._reports)

    def now_ns(self) -> int:
        """Return the time by which media is dated: ns since the Unix epoch, on a clock that nobody sets."""
        return self._memory.now_ns()

    def begin_at(self, moment_ns: int) -> None:
        """Count seconds from this time on: see :meth:`take_dated`."""
        self._measurer.begin_at(moment_ns)

    def take_dated(self) -> list[tuple[int, Snapshot]]:
        """Return what has been measured since the last time, with the times that it belongs to (as :meth:`now_ns`)."""
        return self._measurer.take_dated()

    def media_cpu_ns(self) -> int:
        """Return the processor time that the media loop has used: to the second while it runs, then exactly."""
        return int(self._memory.gauges[Gauge.CPU_NS])

    @property
    def packets_sent(self) -> int:
        """Packets sent so far."""
        return self._measurer.packets_sent

    @property
    def free_calls(self) -> int:
        """Calls that can still be taken."""
        return len(self._free_calls)

    def take_call(self) -> list[LegSeat]:
        """Reserve the legs of a call, in their order; the call is free again when all of them have retired.

        Raises
        ------
        MediaLoopFailed
            When all calls of the plan are in use.
        """
        if not self._free_calls:
            raise MediaLoopFailed(f"all {self._plan.calls} calls are in use")
        call, legs = self._free_calls.pop(), len(self._plan.media)
        self._legs_taken[call] = legs
        return [self._take_leg(leg) for leg in range(call * legs, (call + 1) * legs)]

    def _take_leg(self, leg: int) -> LegSeat:
        slot = self._slots.assign(leg)
        number = self._socket_for(slot)
        self._on_socket[number] += 1
        return LegSeat(leg, number, slot, (self._media_host, self._leases[number].port))

    def _socket_for(self, slot: int) -> int:
        """Choose a socket so that the legs of one slot share as few as possible: one system call for them all."""
        count = len(self._on_socket)
        turns = range(slot % count, slot % count + count)
        return next(turn % count for turn in turns if self._on_socket[turn % count] < 2 * LEGS_PER_SOCKET)

    def start_leg(self, seat: LegSeat, remote: Address, packets: int) -> None:
        """Send so many packets to ``remote`` from now on, and take what comes from there as this leg's."""
        self._sources.expect(seat.leg, seat.socket, remote)
        self._expected[seat.leg] = remote
        self._ssrc[seat.leg] = secrets.randbits(32)
        plan, voice = self._plan, self._plan.voice(seat.leg)
        frame_bytes = voice.frames.shape[1]
        self._reports.follow(
            seat.leg, SentStream(seat.socket, remote, self._ssrc[seat.leg], voice.codec.clock_rate_hz, frame_bytes)
        )
        self._loop.command(
            StartLeg(
                leg=seat.leg,
                socket=seat.socket,
                slot=seat.slot,
                host=remote[0],
                port=remote[1],
                ssrc=self._ssrc[seat.leg],
                payload_type=voice.codec.payload_type,
                ticks=plan.ticks(seat.leg),
                frame_offset=self._frame_offset(voice),
                frame_count=voice.frames.shape[0],
                frame_bytes=frame_bytes,
                packets=packets,
                nonce=self._nonce if plan.has_probes(seat.leg) else None,
            )
        )

    def _frame_offset(self, voice: Voice) -> int:
        """Return where a voice's frames begin in memory."""
        before = itertools.takewhile(lambda other: other is not voice, self._plan.media.voices)
        return sum(other.frames.size for other in before)

    async def stop_leg(self, seat: LegSeat) -> None:
        """Send nothing more for a leg; return when the loop has confirmed it."""
        self._loop.command(StopLeg(seat.leg))
        await self._loop.obeyed()

    def have_ended(self, seats: Sequence[LegSeat], packets: int) -> bool:
        """Whether all of these legs' packets have had their turn."""
        return bool((self._send_log.due_by([seat.leg for seat in seats]) >= packets).all())

    def outstanding(self, seats: Sequence[LegSeat]) -> int:
        """Return how many packets these legs have sent and not got back yet, all together."""
        legs = [seat.leg for seat in seats]
        probed = [leg for leg in legs if self._plan.has_probes(leg)]
        others = [leg for leg in legs if not self._plan.has_probes(leg)]
        missing = int(self._send_log.sent_by(others).sum()) - self._measurer.received(others)
        return sum(map(self._measurer.outstanding, probed)) + max(missing, 0)

    def silent_legs(self, packets: int) -> set[int]:
        """Return the legs that have sent so many packets, or more, since the last one that came back; probed legs."""
        return {leg for leg in self._measurer.silent_legs(packets).tolist() if self._plan.has_probes(leg)}

    async def retire_legs(self, seats: Sequence[LegSeat], *, ended_by_other: bool = False) -> list[LegReport]:
        """Give the stopped legs of a call back, and return what was measured of each.

        Parameters
        ----------
        seats
            All legs of the call.
        ended_by_other
            Whether the other side ended the call: what was sent after the last packet that came back is judged by
            nobody then, except what the loss limit has decided on already.

        Raises
        ------
        MediaLoopFailed
            When nothing is measured any more.
        """
        loop = asyncio.get_running_loop()
        reported: asyncio.Future[list[LegReport]] = loop.create_future()

        def done(reports: list[LegReport]) -> None:
            # In the measuring thread, so that no packet of this call can be taken for one of the seats' next call.
            for seat in seats:
                self._reports.forget(seat.leg)
                if seat.leg in self._expected:
                    self._sources.forget(seat.socket, self._expected[seat.leg])
            loop.call_soon_threadsafe(reported.set_result, reports)

        self._measurer.retire([seat.leg for seat in seats], done, withdraw=ended_by_other)
        while not (await asyncio.wait([reported], timeout=POLL_S))[0]:
            self._loop.ensure_alive()
            self._check_measurer()
        for seat in seats:
            self._loop.command(ForgetLeg(seat.leg))
        await self._loop.obeyed()
        return [self._give_back(seat, report) for seat, report in zip(seats, reported.result(), strict=True)]

    def _give_back(self, seat: LegSeat, report: LegReport) -> LegReport:
        """Let a seat be taken again; return its report, with streams where packets were kept."""
        self._send_log.show(seat.leg)
        self._slots.release(seat.leg)
        self._on_socket[seat.socket] -= 1
        self._free_call_of(seat.leg)
        remote = self._expected.pop(seat.leg, None)
        return report if remote is None else replace(report, streams=self._streams(seat, remote, report.kept))

    def _free_call_of(self, leg: int) -> None:
        """Let a call be taken again when the last of its legs has retired."""
        call = leg // len(self._plan.media)
        self._legs_taken[call] -= 1
        if not self._legs_taken[call]:
            self._free_calls.append(call)

    def _streams(self, seat: LegSeat, remote: Address, kept: KeptPackets | None) -> list[CapturedStream]:
        """Return what a leg has sent and received, as far as it was kept."""
        if kept is None:
            return []
        voice, ticks = self._plan.voice(seat.leg), self._plan.ticks(seat.leg)
        sent = rebuilt_packets(
            kept.sent_ns,
            first_sequence=kept.first_turn,
            first_timestamp=kept.first_turn * ticks,
            ticks_per_packet=ticks,
            ssrc=self._ssrc[seat.leg],
            payload_type=voice.codec.payload_type,
            payload_length=voice.frames.shape[1],
        )
        return [
            CapturedStream(seat.local, remote, sent, _encoding(voice.codec)),
            CapturedStream(remote, seat.local, kept.received, _encoding(voice.codec)),
        ]

    def snapshot(self) -> Snapshot:
        """Return the cumulative numbers; at most a second old while the worker runs, final afterwards.

        Raises
        ------
        MediaLoopFailed
            When nothing is measured any more.
        """
        self._loop.ensure_alive()
        self._check_measurer()
        return self._measurer.latest()

    def last_snapshot(self) -> Snapshot:
        """Return the last cumulative numbers that there are, also where nothing is measured any more."""
        return self._measurer.latest()

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know of the trackers: failures, and undue cost."""
        return self._trackers.remarks()

    def _check_measurer(self) -> None:
        error = self._measurer.error
        if error is not None:
            raise MediaLoopFailed(f"nothing is measured any more: {error}") from error

    @property
    def packets_received(self) -> int:
        """Datagrams that came, from anywhere, and were measured."""
        return int(self._memory.gauges[Gauge.RING_TAIL])

    @property
    def media_pid(self) -> int:
        """Process id of the media loop."""
        return self._loop.pid

    def stall(self, duration_ns: int) -> None:
        """Make the loop do nothing for a while: a fault on purpose, to see that the run notices."""
        self._loop.command(Stall(duration_ns))

    @property
    def has_realtime_priority(self) -> bool:
        """Whether the loop runs under SCHED_FIFO."""
        return bool(self._memory.gauges[Gauge.REALTIME_PRIORITY])


def _encoding(codec: Codec) -> str:
    return f"{codec.name}/{codec.clock_rate_hz}"


def _sockets_for(legs: int) -> int:
    return -(-legs // LEGS_PER_SOCKET)


def _most_groups(plan: MediaPlan) -> int:
    """Return how many groups there can be: by slot, socket, voice and probes or not, and as many again as are full."""
    media = plan.media
    kinds = {(id(media.voice(place)), media.has_probes(place)) for place in range(len(media))}
    return plan.packet_time_ms * _sockets_for(plan.legs) * len(kinds) + plan.legs // GROUP_CAPACITY


def _burst_window(groups: int, probe_window: int) -> int:
    """Return for how many turns sends are remembered: as long as memory allows, as packets may be read late."""
    affordable = SEND_LOG_BYTES // (groups * BURST.itemsize)
    return max(2 * probe_window, min(1 << affordable.bit_length() - 1, MOST_TURNS))


def _layout(plan: MediaPlan) -> MediaLayout:
    groups = _most_groups(plan)
    probe_window = 1 << (AWAITED_NS // plan.packet_time_ns).bit_length()
    frame_bytes = max(voice.frames.shape[1] for voice in plan.media.voices)
    packets_per_second = plan.legs * 1000 / plan.packet_time_ms
    return MediaLayout(
        legs=plan.legs,
        groups=groups,
        cycle=plan.packet_time_ms,
        probe_window=probe_window,
        burst_window=_burst_window(groups, probe_window),
        sockets=_sockets_for(plan.legs),
        ring_rows=max(LEAST_RING_ROWS, int(packets_per_second * RING_SECONDS)),
        # Mixed or transcoded audio may come in larger packets than ours.
        packet_width=-(-(HEADER_BYTES + max(frame_bytes, 320) + 1) // 64) * 64,
        frame_bytes=sum(voice.frames.size for voice in plan.media.voices),
    )
