"""How the frames of a load's legs travel: what the rest of the tool asks of a media transport.

A transport moves frames and knows when each left and when each came; who calls, what is measured and what is judged
does not depend on it. There is one object of :class:`MediaTransport` a session, and one of :class:`OpenTransport` a
load.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pytest_ari_sla.media.frame_send_log import Departures, FrameSendLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from pytest_ari_sla.ari.media_needs import MediaNeeds
    from pytest_ari_sla.ari.media_offer import MediaOffer
    from pytest_ari_sla.ari.resources import ExternalMedia
    from pytest_ari_sla.capture.kept_packets import CapturedStream, KeptPackets
    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.media.call_media import MediaPlan
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport
    from pytest_ari_sla.rtp.rtcp_record import RtcpRecord
    from pytest_ari_sla.udp.port_leases import PortManager

__all__ = [
    "ChoosyTransport",
    "Departures",
    "FaultyTransport",
    "FrameReader",
    "FrameSendLog",
    "LegEndpoint",
    "MeasuredTransport",
    "MediaSite",
    "MediaTransport",
    "OpenTransport",
    "RtcpTransport",
    "TransportHealth",
]


@dataclass(frozen=True)
class MediaSite:
    """Where media ends on this machine.

    Attributes
    ----------
    host
        The address that Asterisk sends to.
    ports
        Where ports are leased.
    """

    host: str
    ports: PortManager


@dataclass(frozen=True)
class TransportHealth:
    """What a transport tells of itself; all counts since it was opened.

    Attributes
    ----------
    cpu_ns
        Processor time that moving frames took.
    clock_steps
        Times that the clock which stamps arrivals was set.
    stalls, stalled_ns
        Times that the process which moves frames stood still, and for how long in all.
    receive_drops
        Frames that found our receive buffers full.
    foreign, malformed
        What came from addresses that no leg expects, and what came for a leg and was not a frame.
    strangers
        How many of the foreign ones came from which address.
    more
        Figures of its own, by metric name.
    """

    cpu_ns: int = 0
    clock_steps: int = 0
    stalls: int = 0
    stalled_ns: int = 0
    receive_drops: int = 0
    foreign: int = 0
    malformed: int = 0
    strangers: Mapping[str, int] = field(default_factory=dict)
    more: Mapping[str, int | Histogram] = field(default_factory=dict)


class LegEndpoint(Protocol):
    """A leg's end at the load generator."""

    @property
    def leg(self) -> int:
        """Number of the leg."""

    @property
    def offer(self) -> MediaOffer:
        """What Asterisk is asked for, so that its media comes here."""


class FrameReader(Protocol):
    """Reads what has come, in the time of the frames: nothing depends on when it is read."""

    def look(self, *, to_the_end: bool = False) -> None:
        """Fix how far :meth:`batches` may read; ``to_the_end``: nothing more will come."""

    def knows(self, moment_ns: int) -> bool:
        """Whether all that arrived before a time is there, read or not."""

    def batches(self, before_ns: int) -> Iterator[PacketBatch]:
        """Yield what lies in front of the first frame that arrived at ``before_ns`` or later."""

    def read_until(self, before_ns: int) -> int:
        """Return a time, at most ``before_ns``: what arrived before it has been read (ns since the Unix epoch)."""


class MeasuredTransport(Protocol):
    """What the measuring thread uses of a transport."""

    @property
    def send_log(self) -> FrameSendLog:
        """What is known of every frame that was sent."""

    @property
    def reader(self) -> FrameReader:
        """What has come."""

    @property
    def probe_window(self) -> int:
        """How many probes of a leg are awaited: a power of two."""

    def now_ns(self) -> int:
        """Return the time by which frames are dated: ns since the Unix epoch, on a clock that nobody sets."""

    def exchange_reports(self) -> Sequence[ReceivedReport]:
        """Return what peers have reported since the last time."""

    def health(self) -> TransportHealth:
        """Return what is known of its own work; called by any thread."""


class OpenTransport(MeasuredTransport, Protocol):
    """The media of one load.

    All methods belong to one event loop, except those of :class:`MeasuredTransport` and those that say otherwise.
    """

    def take_leg(self, leg: int) -> LegEndpoint:
        """Reserve an endpoint for a leg."""

    def remote_of(self, endpoint: LegEndpoint, media: ExternalMedia) -> object:
        """Return where the leg's frames go, by what Asterisk answered to the offer."""

    def start(self, endpoint: LegEndpoint, remote: object, frames: int) -> None:
        """Send so many frames from now on, and take what comes from there as this leg's."""

    def play(self, endpoint: LegEndpoint, voice: int) -> None:
        """Let a leg that has been started say another of the load's voices from its next frame on, from its beginning.

        Raises
        ------
        UsageError
            That voice has another codec than the leg.
        """

    def voice_began_ns(self, endpoint: LegEndpoint) -> int:
        """Return when the first frame of what a leg was last told to play was due, in ns since the Unix epoch.

        0 where it was told nothing yet. An order that has not been carried out yet leaves it as it was.
        """

    async def stop(self, endpoint: LegEndpoint) -> None:
        """Send nothing more for a leg; return when that is certain."""

    def ignore(self, endpoint: LegEndpoint) -> None:
        """Take nothing more as this leg's. Called by the measuring thread, between two batches."""

    async def give_back(self, endpoints: Sequence[LegEndpoint]) -> None:
        """Let endpoints be reserved again: nothing is known of their legs any more."""

    def captured(self, endpoint: LegEndpoint, kept: KeptPackets) -> Sequence[CapturedStream]:
        """Return what a leg has sent and received, as streams that can be written; before :meth:`give_back`."""

    def frames_received(self) -> int:
        """Return how many frames came, from anywhere, and were measured."""

    @property
    def has_realtime_priority(self) -> bool:
        """Whether frames are moved under SCHED_FIFO."""

    @property
    def receive_buffer_bytes(self) -> int:
        """What the kernel granted to each socket; 0 where there is none."""

    @property
    def pid(self) -> int:
        """Process id of what moves frames; 0 where that is this process."""

    def ensure_alive(self) -> None:
        """Find out whether what moves frames ended by itself.

        Raises
        ------
        MediaLoopFailed
            It did.
        """

    def stall(self, duration_ns: int) -> None:
        """Stand still for a while: a fault on purpose, to see that the run notices."""


class MediaTransport(Protocol):
    """A way for frames to travel, such as ``rtp``."""

    @property
    def name(self) -> str:
        """Name used in ``load(transport=…)`` and in reports."""

    @property
    def needs(self) -> MediaNeeds:
        """What its channels take at Asterisk."""

    def port_pairs(self, legs: int) -> int:
        """Return how many port pairs of this machine so many legs need."""

    def open(self, plan: MediaPlan, site: MediaSite) -> AbstractAsyncContextManager[OpenTransport]:
        """Return the media of a load, which opens when it is entered."""


@runtime_checkable
class ChoosyTransport(MediaTransport, Protocol):
    """A transport that does not carry every codec."""

    @property
    def usual_codec(self) -> str:
        """Name of the codec where a load names none."""

    def refusal(self, codec: Codec) -> str:
        """Return why a codec cannot be carried, in one sentence; empty where it can."""


@runtime_checkable
class FaultyTransport(OpenTransport, Protocol):
    """The media of a load whose peers can misbehave on purpose."""

    def take_faulty_leg(self, leg: int, fault: PeerFault | None) -> LegEndpoint:
        """Reserve an endpoint for a leg whose peer misbehaves; None: it does not."""


@runtime_checkable
class RtcpTransport(OpenTransport, Protocol):
    """The media of a load whose peers can be told in RTCP how what they send arrives."""

    def rtcp_record(self, endpoint: LegEndpoint) -> RtcpRecord | None:
        """Return what a leg and its peer have told each other; None: nothing. Called by the measuring thread."""
