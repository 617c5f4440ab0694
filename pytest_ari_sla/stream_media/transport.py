"""``audiosocket``, ``websocket``, ``websocket-server``: a connection for each leg, moved by a process of their own."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from pytest_ari_sla.ari.media_needs import AUDIOSOCKET, WEBSOCKET, WEBSOCKET_SERVER
from pytest_ari_sla.capture.kept_packets import frame_streams
from pytest_ari_sla.framing.audiosocket import AUDIO_RATES_HZ, Kind, audio_kind
from pytest_ari_sla.media.call_media import LOSS_LIMIT_NS
from pytest_ari_sla.media.loop.process import LoopProcess
from pytest_ari_sla.media.loop.transport import LoopTransport
from pytest_ari_sla.media.peer_faults import Refuse
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.stream_media.commands import (
    ConnectLeg,
    ExpectLeg,
    Listen,
    PlayLeg,
    StartLeg,
)
from pytest_ari_sla.stream_media.frame_reader import StreamReader, is_swapped
from pytest_ari_sla.stream_media.memory import StreamGauge, StreamLayout, StreamMemory
from pytest_ari_sla.stream_media.offers import AudioSocketOffers, WebSocketOffers, WebSocketServerOffers
from pytest_ari_sla.stream_media.send_log import StreamSendLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AsyncExitStack

    from numpy.typing import NDArray

    from pytest_ari_sla.ari.media_needs import MediaNeeds
    from pytest_ari_sla.ari.media_offer import MediaOffer
    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.capture.kept_packets import CapturedStream, KeptPackets
    from pytest_ari_sla.hookspecs.codec import Codec, Voice
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import LegEndpoint, MediaSite, TransportHealth
    from pytest_ari_sla.rtp.rtcp import ReceivedReport
    from pytest_ari_sla.stream_media.offers import Offers

__all__ = ["StreamEndpoint", "StreamMedia", "StreamTransport", "audiosocket", "websocket", "websocket_server"]

_start_process = partial(LoopProcess, "pytest_ari_sla.stream_media.loop.stream_loop")

RING_SECONDS = 1.5
LEAST_RING_ROWS = 1 << 14
AWAITED_NS = LOSS_LIMIT_NS + 5_000_000_000
"""For so long a probe is awaited."""

LOG_SECONDS = 3
NOBODYS_PORT = 1
"""tcpmux: nobody listens there."""

BACKLOG = 1000
"""Connections that wait to be accepted: a whole load may be set up while this process is stopped."""


@dataclass(frozen=True)
class StreamEndpoint:
    """A leg: number, slot, what its peer names itself by, what Asterisk is asked for, and how the peer misbehaves."""

    leg: int
    slot: int
    key: str
    offer: MediaOffer
    fault: PeerFault | None = None


class StreamMedia:
    """One of the transports, for any number of loads.

    Parameters
    ----------
    name
        Its name.
    needs
        What its channels take at Asterisk.
    usual_codec
        What is spoken where a load names none.
    make_offers
        Says what Asterisk is asked for.
    start_loop
        Starts what moves frames, on its memory: a process, unless a test plays it.
    """

    def __init__(
        self,
        name: str,
        needs: MediaNeeds,
        usual_codec: str,
        make_offers: Callable[[], Offers],
        start_loop: Callable[..., LoopProcess] = _start_process,
    ) -> None:
        self.name = name
        self.needs = needs
        self.usual_codec = usual_codec
        self._make_offers = make_offers
        self._start_loop = start_loop

    def refusal(self, codec: Codec) -> str:
        """Return why a codec cannot be carried; empty where it can."""
        if self.name == "audiosocket" and not is_swapped(codec.asterisk_format):
            return (
                f"AudioSocket carries uncompressed audio only, and {codec.name} would be taken for that: leave codec "
                "out, or ask for L16"
            )
        return ""

    def port_pairs(self, legs: int) -> int:
        """No RTP ports are needed."""
        del legs
        return 0

    def open(self, plan: MediaPlan, site: MediaSite) -> StreamTransport:
        """Return the media of a load, which opens when it is entered."""
        return StreamTransport(self.name, plan, site, self._make_offers(), self._start_loop)


def audiosocket() -> StreamMedia:
    """Return the transport ``audiosocket``: Asterisk connects to us (since 18)."""
    return StreamMedia("audiosocket", AUDIOSOCKET, "L16", AudioSocketOffers)


def websocket() -> StreamMedia:
    """Return the transport ``websocket``: Asterisk connects to us (since 20.16 and 22.6)."""
    return StreamMedia("websocket", WEBSOCKET, "PCMU", WebSocketOffers)


def websocket_server() -> StreamMedia:
    """Return the transport ``websocket-server``: we connect to Asterisk's ``/media/ID`` (since 20.16 and 22.6)."""
    return StreamMedia("websocket-server", WEBSOCKET_SERVER, "PCMU", WebSocketServerOffers)


class StreamTransport(LoopTransport):
    """The connections of one load, the process that moves its frames, and what is known of each of them."""

    receive_buffer_bytes = 0

    def __init__(
        self, name: str, plan: MediaPlan, site: MediaSite, offers: Offers, start_loop: Callable[..., LoopProcess]
    ) -> None:
        self._memory = StreamMemory(_layout(name, plan), epoch_ns=plan.epoch_ns, clock=plan.clock)
        self.send_log = StreamSendLog(self._memory)
        super().__init__(plan, site, start_loop, self._memory, self.send_log)
        self._offers = offers
        self.reader = StreamReader(self._memory, plan, self.send_log)
        self._backlog = Histogram()
        self._statuses_read = 0

    async def _open(self, stack: AsyncExitStack) -> None:
        await super()._open(stack)
        # Once, and before the first call: a name may take seconds, and have addresses at which nobody listens.
        self._server = await self._offers.find_server(self._plan.ari)

    @property
    def probe_window(self) -> int:
        """How many probes of a leg are awaited."""
        return self._memory.layout.window

    def _take_sockets(self, stack: AsyncExitStack) -> None:
        # Where we connect, nobody does to us: the loop runs all the same.
        self._listener = stack.enter_context(socket.create_server((self._site.ports.host, 0), backlog=BACKLOG))
        self._port = self._listener.getsockname()[1]

    def _hand_sockets_over(self) -> None:
        self._loop.command(Listen(), self._listener)
        # The loop has it: while we held it too, a loop that died would leave Asterisk's connections waiting.
        self._listener.close()

    def _in_memory(self, voice: Voice) -> NDArray[np.uint8]:
        """Return a voice's frames with the bytes of each sample in the wire's order."""
        frames = np.ascontiguousarray(voice.frames).reshape(-1)
        return frames.view(np.uint16).byteswap().view(np.uint8) if is_swapped(voice.codec.asterisk_format) else frames

    # --- legs ---

    def take_leg(self, leg: int) -> StreamEndpoint:
        """Reserve a slot for a leg, and let its connection be awaited."""
        return self.take_faulty_leg(leg, None)

    def take_faulty_leg(self, leg: int, fault: PeerFault | None) -> StreamEndpoint:
        """Do so for a leg whose peer misbehaves; see :class:`~pytest_ari_sla.media.transport.FaultyTransport`."""
        slot = self._slots.assign(leg)
        is_refused = fault is not None and Refuse() in fault.steps
        key, offer = self._offers.offer(self._site.host, NOBODYS_PORT if is_refused else self._port)
        if key and not is_refused:
            self._loop.command(ExpectLeg(leg, slot, key, self._offers.silence(self._plan.voice(leg)), fault))
        return StreamEndpoint(leg, slot, key, offer, fault)

    def remote_of(self, endpoint: LegEndpoint, media: ExternalMedia) -> str:
        """Return the peer's name of the connection; where Asterisk awaits one, connect to it."""
        own = cast("StreamEndpoint", endpoint)
        if own.key:
            return own.key
        authority, target = self._offers.destination(self._plan.ari, media)
        self._loop.command(ConnectLeg(own.leg, own.slot, *self._server, authority, target, own.fault))
        return target

    def start(self, endpoint: LegEndpoint, remote: object, frames: int) -> None:
        """Send so many frames from now on, and take what comes as this leg's."""
        del remote
        own, plan = cast("StreamEndpoint", endpoint), self._plan
        voice = plan.voice(own.leg)
        # Before the order: a frame that the loop takes for the leg must be one to the reader as well.
        self.reader.hear(own.leg)
        self._loop.command(
            StartLeg(
                leg=own.leg,
                slot=own.slot,
                frame_offset=self._frame_offset(voice),
                frame_count=voice.frames.shape[0],
                frame_bytes=voice.frames.shape[1],
                packets=frames,
                nonce=plan.nonce if plan.has_probes(own.leg) else None,
                swapped=is_swapped(voice.codec.asterisk_format),
                kind=_kind_of(voice.codec),
            )
        )

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Let a leg say another voice of the load, from its beginning.

        Raises
        ------
        UsageError
            That voice has another codec than the leg, or frames of another size.
        """
        then = self._playable(endpoint, voice)
        self._loop.command(PlayLeg(endpoint.leg, self._frame_offset(then), then.frames.shape[0]))

    def ignore(self, endpoint: LegEndpoint) -> None:
        """Take nothing more as this leg's."""
        self.reader.ignore(endpoint.leg)

    def captured(self, endpoint: LegEndpoint, kept: KeptPackets) -> Sequence[CapturedStream]:
        """Return the audio that a leg has sent and received; there is nothing that Wireshark could open."""
        return frame_streams(kept, self._plan.voice(endpoint.leg).codec, self._plan.ticks(endpoint.leg))

    def exchange_reports(self) -> Sequence[ReceivedReport]:
        """Nobody reports by RTCP; what Asterisk has said of its queues is taken."""
        memory = self._memory
        head, rows = int(memory.streams[StreamGauge.STATUSES]), memory.layout.log_rows
        # what was written over before we looked is lost
        log = memory.statuses[np.arange(max(self._statuses_read, head - rows), head) % rows]
        self._backlog.record(log["queued"].astype(np.int64) * self._plan.packet_time_ns)
        self._statuses_read = head
        return []

    # --- itself ---

    def health(self) -> TransportHealth:
        """Return what the loop has told of itself."""
        streams = self._memory.streams
        foreign, malformed = self.reader.health()
        return replace(
            self._loop_health(),
            receive_drops=int(streams[StreamGauge.NO_ROOM]),
            foreign=foreign,
            malformed=malformed,
            more={
                "harness.unwritten_frames": int(streams[StreamGauge.UNWRITTEN_FRAMES]),
                "harness.merged_reads": int(streams[StreamGauge.MERGED_READS]),
                "harness.out_of_files": int(streams[StreamGauge.NO_FILES]),
                "target.held_frames": int(streams[StreamGauge.HELD_FRAMES]),
                "target.queue_backlog": self._backlog,
            },
        )


def _kind_of(codec: Codec) -> int:
    """Return what AudioSocket calls a codec's audio; of no meaning where it does not carry it."""
    return int(audio_kind(codec.sample_rate_hz) if codec.sample_rate_hz in AUDIO_RATES_HZ.values() else Kind.SLIN)


def _layout(name: str, plan: MediaPlan) -> StreamLayout:
    longest = max(voice.frames.shape[1] for voice in plan.media.voices)
    frames_per_second = plan.legs * 1000 / plan.packet_time_ms
    return StreamLayout(
        transport=name,
        legs=plan.legs,
        cycle=plan.packet_time_ms,
        window=1 << (AWAITED_NS // plan.packet_time_ns).bit_length(),
        ring_rows=max(LEAST_RING_ROWS, int(frames_per_second * RING_SECONDS)),
        # Mixed or transcoded audio may come in larger frames than ours.
        frame_width=-(-max(2 * longest, 640) // 64) * 64,
        log_rows=max(LEAST_RING_ROWS, int(frames_per_second * LOG_SECONDS)),
        frame_bytes=sum(voice.frames.size for voice in plan.media.voices),
    )
