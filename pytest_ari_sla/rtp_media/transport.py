"""``rtp``: frames as RTP packets over UDP, many legs a socket, moved in batches by a process of their own."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from pytest_ari_sla.ari.media_needs import RTP
from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.capture.kept_packets import CapturedStream, rebuilt_packets
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.media.call_media import LOSS_LIMIT_NS
from pytest_ari_sla.media.loop.memory import Gauge
from pytest_ari_sla.media.loop.process import LoopProcess
from pytest_ari_sla.media.loop.transport import LoopTransport
from pytest_ari_sla.rtp.header import HEADER_BYTES
from pytest_ari_sla.rtp_media.commands import AlterLeg, OpenSocket, PlayLeg, StartLeg
from pytest_ari_sla.rtp_media.faults import alterations
from pytest_ari_sla.rtp_media.memory import BURST, MediaLayout, MediaMemory
from pytest_ari_sla.rtp_media.reception import Reception
from pytest_ari_sla.rtp_media.report_exchange import ReportExchange, SentStream
from pytest_ari_sla.rtp_media.ring_reader import RingReader, SourceTable
from pytest_ari_sla.rtp_media.send_group import GROUP_CAPACITY
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from pytest_ari_sla.udp.datagrams import prepare_socket, receive_drops
from pytest_ari_sla.udp.stamp_clock import StampClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from contextlib import AsyncExitStack

    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.capture.kept_packets import KeptPackets
    from pytest_ari_sla.hookspecs.codec import Codec, Voice
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite, TransportHealth
    from pytest_ari_sla.rtp.rtcp import ReceivedReport
    from pytest_ari_sla.rtp.rtcp_record import RtcpRecord
    from pytest_ari_sla.rtp_media.faults import Alteration
    from pytest_ari_sla.udp.port_leases import PortLease

__all__ = ["RtpEndpoint", "RtpMedia", "RtpTransport"]

_start_process = partial(LoopProcess, "pytest_ari_sla.rtp_media.loop")

LAST_STATIC_TYPE = 34
"""RFC 3551, table 5: the last payload type that needs no agreement."""

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


@dataclass(frozen=True)
class RtpEndpoint:
    """A leg's number, its socket and slot, the address that Asterisk sends to, and how its peer misbehaves."""

    leg: int
    socket: int
    slot: int
    local: Address
    fault: PeerFault | None = None

    @property
    def offer(self) -> MediaOffer:
        """RTP to our socket: what Asterisk does unless told otherwise."""
        return MediaOffer(f"{self.local[0]}:{self.local[1]}")


class RtpMedia:
    """The transport ``rtp``, for any number of loads.

    Parameters
    ----------
    start_loop
        Starts what moves packets, on its memory: a process, unless a test plays it.
    """

    name = "rtp"
    needs = RTP
    usual_codec = "PCMU"

    def __init__(self, start_loop: Callable[..., LoopProcess] = _start_process) -> None:
        self._start_loop = start_loop

    def refusal(self, codec: Codec) -> str:
        """Return why a codec cannot be carried; empty where it can."""
        if codec.payload_type <= LAST_STATIC_TYPE:
            return ""
        return (
            f"codec {codec.name} has the dynamic RTP payload type {codec.payload_type}: Asterisk sends it on "
            f"ExternalMedia channels, but drops without a word what arrives with a type above {LAST_STATIC_TYPE}, "
            "since there is no SDP that would say what it means"
        )

    def port_pairs(self, legs: int) -> int:
        """Return how many sockets so many legs share, each with one for RTCP beside it."""
        return _sockets_for(legs)

    def open(self, plan: MediaPlan, site: MediaSite) -> RtpTransport:
        """Return the media of a load, which opens when it is entered."""
        return RtpTransport(plan, site, self._start_loop)


class RtpTransport(LoopTransport):
    """The sockets of one load, the process that moves its packets, and what is known of each of them.

    Attributes
    ----------
    receive_buffer_bytes
        What the kernel granted to each socket.
    """

    def __init__(self, plan: MediaPlan, site: MediaSite, start_loop: Callable[..., LoopProcess]) -> None:
        self._memory = MediaMemory(_layout(plan), epoch_ns=plan.epoch_ns, clock=plan.clock)
        self.send_log = MediaSendLog(self._memory)
        super().__init__(plan, site, start_loop, self._memory, self.send_log)
        self._nonce = plan.nonce
        self._on_socket = [0] * _sockets_for(plan.legs)
        self._sources = SourceTable(len(self._on_socket), plan.legs)
        self._reception = _reception(plan)
        self.reader = RingReader(
            self._memory, plan.log_of_all or self.send_log, self._sources, self._nonce, self._reception
        )
        self._remotes: dict[int, Address] = {}
        self._ssrc: dict[int, int] = {}
        self._altering: dict[int, list[asyncio.TimerHandle]] = {}
        self._leases: list[PortLease] = []
        self._sockets: list[socket.socket] = []
        self.receive_buffer_bytes = 0

    async def _open(self, stack: AsyncExitStack) -> None:
        await super()._open(stack)
        stack.callback(
            self._end_faults
        )  # last in, first out: a load that is torn down has legs that nobody has stopped

    @property
    def probe_window(self) -> int:
        """How many probes of a leg are awaited."""
        return self._memory.layout.probe_window

    def _take_sockets(self, stack: AsyncExitStack) -> None:
        self._leases = [stack.enter_context(self._site.ports.lease()) for _ in self._on_socket]
        self._sockets = [lease.rtp_socket for lease in self._leases]
        rtcp_sockets = [lease.rtcp_socket for lease in self._leases]
        self._reports = ReportExchange(
            rtcp_sockets, self._sources, self.send_log, self._plan.legs, self._stamp_clock(), self._reception
        )

    def _stamp_clock(self) -> StampClock:
        return StampClock(int(self._memory.gauges[Gauge.EPOCH_NS]), self._plan.clock)

    def _hand_sockets_over(self) -> None:
        for number, udp in enumerate(self._sockets):
            self.receive_buffer_bytes = prepare_socket(udp, self._plan.receive_buffer_bytes).buffer_bytes
            self._loop.command(OpenSocket(number), udp)

    def _in_memory(self, voice: Voice) -> NDArray[np.uint8]:
        """Return a voice's frames, and behind them its events."""
        return _bytes_of(voice)

    # --- legs ---

    def take_leg(self, leg: int) -> RtpEndpoint:
        """Reserve a slot and a socket for a leg."""
        slot = self._slots.assign(leg)
        number = self._socket_for(slot)
        self._on_socket[number] += 1
        return RtpEndpoint(leg, number, slot, (self._site.host, self._leases[number].port))

    def take_faulty_leg(self, leg: int, fault: PeerFault | None) -> RtpEndpoint:
        """Do so for a leg whose peer misbehaves; see :class:`~pytest_ari_sla.media.transport.FaultyTransport`."""
        endpoint = self.take_leg(leg)
        is_ours = fault is not None and RtpMedia.name in fault.transports
        return replace(endpoint, fault=fault) if is_ours else endpoint

    def _socket_for(self, slot: int) -> int:
        """Choose a socket so that the legs of one slot share as few as possible: one system call for them all."""
        count = len(self._on_socket)
        turns = range(slot % count, slot % count + count)
        # There always is one: the legs of a load are 128 a socket at most, on the average.
        return next(turn % count for turn in turns if self._on_socket[turn % count] < 2 * LEGS_PER_SOCKET)

    def remote_of(self, endpoint: LegEndpoint, media: ExternalMedia) -> Address:
        """Return where Asterisk takes the channel's RTP."""
        del endpoint
        return media.local_address

    def start(self, endpoint: LegEndpoint, remote: object, frames: int) -> None:
        """Send so many packets to an address from now on, and take what comes from there as this leg's."""
        own, far = cast("RtpEndpoint", endpoint), cast("Address", remote)
        plan, voice = self._plan, self._plan.voice(own.leg)
        # At random (RFC 3550, 8.1): calls that follow each other on a port must not look like one stream.
        ssrc = self._ssrc[own.leg] = secrets.randbits(32)
        # Before the order to send: the answer to the first packet must find its leg.
        self._sources.expect(own.leg, own.socket, far)
        self._remotes[own.leg] = far
        frame_bytes = voice.frames.shape[1]
        self._reports.follow(own.leg, SentStream(own.socket, far, ssrc, voice.codec.clock_rate_hz, frame_bytes))
        self._loop.command(
            StartLeg(
                leg=own.leg,
                socket=own.socket,
                slot=own.slot,
                host=far[0],
                port=far[1],
                ssrc=ssrc,
                payload_type=voice.codec.payload_type,
                ticks=plan.ticks(own.leg),
                frame_offset=self._frame_offset(voice),
                frame_count=voice.frames.shape[0],
                frame_bytes=frame_bytes,
                packets=frames,
                nonce=self._nonce if plan.has_probes(own.leg) else None,
            )
        )

        if own.fault is not None:
            self._begin_fault(own, own.fault)

    def _begin_fault(self, own: RtpEndpoint, fault: PeerFault) -> None:
        """Let a peer misbehave, step by step, from now on."""
        clock_rate_hz, later = self._plan.voice(own.leg).codec.clock_rate_hz, asyncio.get_running_loop().call_later
        self._altering[own.leg] = [
            later(after_s, self._alter, own, alteration)
            for after_s, alteration in alterations(fault, self._ssrc[own.leg], clock_rate_hz)
        ]

    def _alter(self, own: RtpEndpoint, alteration: Alteration) -> None:
        voice = self._plan.voice(own.leg)
        stream = SentStream(
            own.socket,
            self._remotes[own.leg],
            alteration.ssrc,
            voice.codec.clock_rate_hz,
            voice.frames.shape[1],
            alteration.timestamp_offset,
        )
        self._reports.follow(own.leg, stream)
        # A loop that has ended is told by ensure_alive() to those who wait; nobody waits for this.
        with suppress(MediaLoopFailed):
            self._loop.command(AlterLeg(own.leg, alteration.ssrc, alteration.timestamp_offset))

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Let a leg say another voice of the load, from its beginning.

        Raises
        ------
        UsageError
            That voice has another codec than the leg, or frames of another size.
        """
        then = self._playable(endpoint, voice)
        offset = self._frame_offset(then)
        events = -1 if then.events is None else offset + then.frames.size
        self._loop.command(PlayLeg(endpoint.leg, offset, then.frames.shape[0], events))

    async def stop(self, endpoint: LegEndpoint) -> None:
        """Send nothing more for a leg; return when the loop has confirmed it."""
        self._end_fault(endpoint.leg)
        await super().stop(endpoint)

    def _end_fault(self, leg: int) -> None:
        """Let a leg's stream stay as it is."""
        for altering in self._altering.pop(leg, ()):
            altering.cancel()

    def _end_faults(self) -> None:
        for leg in list(self._altering):
            self._end_fault(leg)

    def ignore(self, endpoint: LegEndpoint) -> None:
        """Take what comes from the leg's peer as a stranger's from now on."""
        self._reports.forget(endpoint.leg)
        if endpoint.leg in self._remotes:  # else its call failed before there was media
            self._sources.forget(cast("RtpEndpoint", endpoint).socket, self._remotes[endpoint.leg])

    async def give_back(self, endpoints: Sequence[LegEndpoint]) -> None:
        """Let slots and sockets be taken again, when the loop has forgotten the legs."""
        await super().give_back(endpoints)
        for endpoint in endpoints:
            self._on_socket[cast("RtpEndpoint", endpoint).socket] -= 1
            self._remotes.pop(endpoint.leg, None)

    def captured(self, endpoint: LegEndpoint, kept: KeptPackets) -> list[CapturedStream]:
        """Return what a leg has sent and received, as far as it was kept."""
        if endpoint.leg not in self._remotes:
            return []
        own, remote = cast("RtpEndpoint", endpoint), self._remotes[endpoint.leg]
        if own.fault is not None:  # what it sent was not one stream: it cannot be rebuilt
            return [CapturedStream(remote, own.local, kept.received, _encoding(self._plan.voice(own.leg).codec))]
        voice, ticks = self._plan.voice(own.leg), self._plan.ticks(own.leg)
        sent = rebuilt_packets(
            kept.sent_ns,
            first_sequence=kept.first_turn,
            first_timestamp=kept.first_turn * ticks,
            ticks_per_packet=ticks,
            ssrc=self._ssrc[own.leg],
            payload_type=voice.codec.payload_type,
            payload_length=voice.frames.shape[1],
            said=kept.said,
        )
        return [
            CapturedStream(own.local, remote, sent, _encoding(voice.codec), is_sent=True),
            CapturedStream(remote, own.local, kept.received, _encoding(voice.codec)),
        ]

    def exchange_reports(self) -> list[ReceivedReport]:
        """Send the RTCP reports that are due, and return those that have come."""
        return self._reports.exchange(self.now_ns())

    def rtcp_record(self, endpoint: LegEndpoint) -> RtcpRecord | None:
        """Return what a leg and its peer have told each other; None where peers are told nothing."""
        return self._reports.record(endpoint.leg)

    # --- itself ---

    def health(self) -> TransportHealth:
        """Return what the loop has told of itself, and what the kernel knows of our sockets."""
        return replace(
            self._loop_health(),
            # The loop's descriptors are of the same sockets: the kernel counts for both.
            receive_drops=sum(map(receive_drops, self._sockets)),
            foreign=self.reader.foreign,
            malformed=self.reader.malformed,
            strangers=self.reader.strangers,
            more={"harness.reports_sent": self._reports.sent, "harness.reports_ignored": self._reports.ignored},
        )


def _bytes_of(voice: Voice) -> NDArray[np.uint8]:
    """Return what a voice takes of the loop's memory: its frames, and behind them its events."""
    frames = voice.frames.reshape(-1)
    return frames if voice.events is None else np.append(frames, voice.events)


def _encoding(codec: Codec) -> str:
    return f"{codec.name}/{codec.clock_rate_hz}"


def _reception(plan: MediaPlan) -> Reception | None:
    """Return what follows what legs receive, where their peers are told."""
    if not plan.tells_reception:
        return None
    rates = np.array([plan.voice(leg).codec.clock_rate_hz for leg in range(plan.legs)], np.int64)
    return Reception(plan.legs, rates, plan.packet_time_ns)


def _sockets_for(legs: int) -> int:
    return -(-legs // LEGS_PER_SOCKET)


def _most_groups(plan: MediaPlan) -> int:
    """Return how many groups there can be: by slot, socket, voice and probes or not, and as many again as are full."""
    media = plan.media
    kinds = {(id(media.voice(place)), media.has_probes(place)) for place in range(len(media))}
    # Legs that are told what to say begin at any time: each that speaks is a group of its own.
    speaking = plan.legs if len(media.voices) > len(kinds) else 0
    misbehaving = plan.legs if plan.faults is not None else 0  # their time stamps may be their own
    of_slots = plan.packet_time_ms * _sockets_for(plan.legs) * len(kinds)
    return of_slots + plan.legs // GROUP_CAPACITY + speaking + misbehaving


def _burst_window(groups: int, probe_window: int) -> int:
    """Return for how many turns sends are remembered: as long as memory allows, as packets may be read late."""
    # Rounded down to a power of two (turns are found by a mask), but all probes that are awaited must be in it.
    affordable = SEND_LOG_BYTES // (groups * BURST.itemsize)
    return max(2 * probe_window, min(1 << affordable.bit_length() - 1, MOST_TURNS))


def _layout(plan: MediaPlan) -> MediaLayout:
    groups = _most_groups(plan)
    # The power of two above it: probes are found by a mask.
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
        frame_bytes=sum(_bytes_of(voice).size for voice in plan.media.voices),
    )
