"""What a team can add: the hooks of this plugin, and the shapes of the objects that they return.

Hooks choose, objects work: each ``register_*`` hook is called once per process, when a session starts, and returns
plain objects. No hook is ever called per packet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Unpack, runtime_checkable

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.ari.media_offer import OfferChanges
    from pytest_ari_sla.ari_client.session import AriSession
    from pytest_ari_sla.load.results.outcome import CallOutcome
    from pytest_ari_sla.media.peer_faults import PeerFault
    from pytest_ari_sla.media.transport import MediaTransport
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.voice_quality import CodecImpairment
    from pytest_ari_sla.reporting.record.run_record import ReportSection, RunRecord, Scenario
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport

__all__ = [
    "Call",
    "Codec",
    "DatedTracker",
    "DecodingTopology",
    "Leg",
    "ReportTracker",
    "SendLog",
    "Topology",
    "Tracker",
    "TrackerContext",
    "Voice",
]


class Codec(Protocol):
    """An audio codec as RTP carries it."""

    @property
    def name(self) -> str:
        """Name used in ``load(codec=…)`` and in reports, as IANA registers it: ``PCMU``, ``G722``."""

    @property
    def asterisk_format(self) -> str:
        """Asterisk's name of the format: ``ulaw``, ``g722``, ``slin16``."""

    @property
    def payload_type(self) -> int:
        """RTP payload type that Asterisk uses for the format, 0 to 127."""

    @property
    def clock_rate_hz(self) -> int:
        """Rate of the RTP time stamp; for G.722 this is 8000 although it samples at 16000 (RFC 3551, 4.5.2)."""

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio samples that :meth:`encode` takes and :meth:`decode` gives."""

    @property
    def packet_times_ms(self) -> Sequence[int]:
        """Packet times the codec can be sent with, the usual one first."""

    @property
    def impairment(self) -> CodecImpairment | None:
        """What the E-model needs to know; None where no value is known: MOS is then refused."""

    def encode(self, samples: NDArray[np.int16], packet_time_ms: int) -> NDArray[np.uint8]:
        """Encode mono audio into packets.

        Parameters
        ----------
        samples
            (k,) int16 at ``sample_rate_hz``; k is a whole number of packets.
        packet_time_ms
            One of ``packet_times_ms``.

        Returns
        -------
        (packets, bytes) uint8: one row a packet, all of one length.
        """

    def decode(self, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode consecutive packets ((packets, bytes) uint8) into (k,) int16 samples at ``sample_rate_hz``."""


class SendLog(Protocol):
    """What the send side knows, for trackers: one writer (the media loop), any number of readers.

    Once :meth:`Tracker.release` has been called for a leg, all its counts are 0 until its number is given to a later
    call, whose probes are numbered from 0 again.
    """

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg really sent, so far."""

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg's schedule has called for, so far; the difference was not sent by us."""

    def settled(self, now_ns: int, age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of probes of each leg that were due at least ``age_ns`` before ``now_ns``."""

    def closed(self) -> NDArray[np.bool_]:
        """(legs,) Whether a leg is ending: all that it has sent is settled now, whatever its age."""

    def was_sent(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these probes (not older than the window) were really sent."""

    def due_ns(self, legs: NDArray[np.int32], probes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) When these probes were due, ns since the Unix epoch."""

    def audio_start_ns(self) -> NDArray[np.int64]:
        """(legs,) When frame 0 of each leg's :class:`Voice` was due, or would have been; 0 for legs not begun.

        A packet that is due k packet times later carries frame ``k % frames``. In ns since the Unix epoch.
        """


@dataclass(frozen=True, eq=False)
class Voice:
    """What some legs of a load say, and in which codec they say and hear it.

    Attributes
    ----------
    codec
        The codec of the leg's channel, both ways: Asterisk codes anew whatever another leg says in another codec.
    frames
        (frames, bytes) uint8. The encoded audio that the leg sends in turn, beginning where
        :meth:`SendLog.audio_start_ns` tells; a probe, where there is one, covers the first 16 bytes of a packet's
        frame.
    digits
        The DTMF digits that sound in the audio, in turn, once in all its frames; usually none.
    events
        Telephone events that are sent instead of some frames; None: none. See :mod:`pytest_ari_sla.rtp.event_frames`.
    """

    codec: Codec
    frames: NDArray[np.uint8]
    digits: str = ""
    events: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class TrackerContext:
    """What a tracker is told when a load begins.

    Attributes
    ----------
    legs
        Number of legs; a batch's ``leg`` and ``source_leg`` are below it.
    heard_leg
        (legs,) int32. Whose probes arrive at each leg: itself for an echo, the other end in a pair; -1 where what
        arrives carries nobody's probe (audio that Asterisk mixes or transcodes).
    voices
        What there is to hear: in most loads one voice, that of all legs.
    voice_of_leg
        (legs,) int32. Which of ``voices`` each leg has.
    packet_time_ns
        Time between two packets of a stream.
    send_log
        The send side's own record.
    probe_window
        How many probes per leg the send log remembers: a power of two, more than ``loss_limit_ns`` worth.
    loss_limit_ns
        A probe that is not back after this time is lost, and its entry is freed.
    audio_legs
        (legs, most) int32. Whose audio arrives at each leg, coded anew or not; several are mixed. Rows are filled up
        with -1. None where that is not known.
    ari
        The target's ARI, with credentials: for trackers that ask Asterisk about itself. None where there is no target.
    receive_drops
        Tells how many datagrams have found this generator's own receive buffers full so far. They came back: what is
        missing because of them is nobody else's loss.
    shard
        Which worker of the fleet this is, from 1. What is measured on the target rather than on legs should be
        measured by shard 1 only, or it counts several times.
    began_ns
        Tells when the load began, from where seconds are counted: ns since the Unix epoch.
    """

    legs: int
    heard_leg: NDArray[np.int32]
    voices: Sequence[Voice]
    voice_of_leg: NDArray[np.int32]
    packet_time_ns: int
    send_log: SendLog
    probe_window: int
    loss_limit_ns: int
    audio_legs: NDArray[np.int32] | None = None
    ari: AriEndpoint | None = None
    receive_drops: Callable[[], int] = int
    shard: int = 1
    began_ns: Callable[[], int] = int

    @property
    def codec(self) -> Codec:
        """The codec of ``load(codec=…)``: that of the first leg of every call, in most loads of all legs."""
        return self.voices[0].codec

    def codecs(self) -> list[tuple[Codec, NDArray[np.bool_]]]:
        """Return each codec of the load, with the legs ((legs,) bool) that say and hear it."""
        found: list[tuple[Codec, NDArray[np.bool_]]] = []
        for number, voice in enumerate(self.voices):
            legs = self.voice_of_leg == number
            for codec, known in found:
                if codec == voice.codec:
                    known |= legs
                    break
            else:
                found.append((voice.codec, legs))
        return found


class Tracker(Protocol):
    """Turns batches of received packets into metrics.

    The object that a hook returns is a prototype: every load works on a deep copy of it. All methods are called from
    one thread, apart from the one that moves packets: a slow tracker delays results, never packets.
    """

    @property
    def name(self) -> str:
        """Unique name, for messages."""

    @property
    def metrics(self) -> Sequence[Metric]:
        """The metrics that :meth:`snapshot` gives, as they enter the catalogue."""

    def begin(self, context: TrackerContext) -> None:
        """Prepare for a load; allocate state here, not per batch."""

    def observe(self, batch: PacketBatch) -> None:
        """Take in a batch; packets of one leg come in order of arrival."""

    def advance(self, now_ns: int) -> None:
        """Let time pass: called about once a second and at the end.

        All that arrived before ``now_ns`` (ns since the Unix epoch) has been observed, however late it was read.
        """

    def release(self, legs: NDArray[np.int32]) -> None:
        """End these legs: nothing more will arrive for them.

        What is still open is settled now (of an unseen probe that could still be back in time, nothing is known), what
        was measured stays in :meth:`snapshot`, and the state of the legs is reset, because their numbers will be given
        to later calls. :meth:`per_leg` is read after :meth:`advance` and before this.
        """

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return all values since :meth:`begin`, by metric name: histograms, or counts that add up."""

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return values for each leg ((legs,), NaN where unknown), in the metric's unit; may be empty."""


@runtime_checkable
class ReportTracker(Tracker, Protocol):
    """A tracker that is told of RTCP reports as well."""

    def observe_reports(self, reports: Sequence[ReceivedReport]) -> None:
        """Take in what far ends have reported on legs since the last time; never empty.

        Called about once a second, and before legs are released. Nothing is ever reported where the far end speaks no
        RTCP, as Asterisk's ExternalMedia channels do not.
        """


@runtime_checkable
class DatedTracker(Tracker, Protocol):
    """A tracker that knows of some counts to which time they belong: not to that in which they were decided."""

    def take_dated(self) -> Sequence[tuple[int, Mapping[str, int]]]:
        """Return what has come to counts of :meth:`snapshot` since the last time, each with its time.

        Times are ns since the Unix epoch. A count that is ever named here is always told here; the others belong to the
        second in which :meth:`snapshot` is called.
        """


class Leg(Protocol):
    """One media end of a call: an ExternalMedia channel at Asterisk, and a stream each way at this end."""

    @property
    def channel_id(self) -> str:
        """Id of the ExternalMedia channel."""


class Call(Protocol):
    """What a topology may do to build a call.

    Everything made through it is removed at the call's end, and so is what is made through :attr:`ari` under ids that
    begin with the call's: ``call.ari.new_id("snoop", call.id)``.
    """

    @property
    def id(self) -> str:
        """Id of the call; the ids of its channels and bridges begin with it."""

    @property
    def ari(self) -> AriSession:
        """The ARI session."""

    async def external_media(self, *, asterisk_format: str | None = None, **offer: Unpack[OfferChanges]) -> Leg:
        """Create the next leg: an ExternalMedia channel joined to the load generator, in Stasis when this returns.

        Its format is that of the leg's codec, and the other parameters (``direction``, ``data``, ``transport_data``,
        ``variables`` …) are those that the transport offers, unless others are given.
        """

    async def relay_media(self) -> Leg:
        """Create a leg whose media goes to the relay instead of the load generator."""

    async def bridge(self, *legs: Leg, bridge_type: str = "mixing") -> str:
        """Join legs in a new bridge and return its id."""

    async def dial_local(
        self, leg: Leg, extension: str, context: str, *, caller_id: str = "", variables: Mapping[str, str] | None = None
    ) -> Leg:
        """Ring at an extension by a Local channel, with a leg as the caller's voice; answered when this returns.

        The application behind the extension sees a call that comes in, in state Ring.
        """

    async def invite(
        self,
        to: str,
        *,
        caller_id: tuple[str, str] = ("", ""),
        account: tuple[str, str] = ("", ""),
        headers: Mapping[str, str] | None = None,
    ) -> Leg:
        """Create the next leg by SIP: send an INVITE to ``700``, ``700@pbx`` or ``sip:700@pbx:5060;transport=tcp``.

        The leg has been answered when this returns. ``caller_id`` is name and number, ``account`` user and password;
        empty ones are the target's.
        """

    async def continue_to_echo(self, leg: Leg) -> None:
        """Send a leg's channel to the dialplan's ``Echo()`` extension."""

    async def continue_in_dialplan(self, leg: Leg, context: str, extension: str, priority: int = 1) -> None:
        """Send a leg's channel to any extension; it has left Stasis, and media can flow, when this returns."""


class Topology(Protocol):
    """How the channels of one call are joined.

    Attributes are constants, so that the tool can check limits before the first call. The fields of a topology that is
    a dataclass can be set by a test: ``load(topology="conference", parties=5)``.
    """

    @property
    def name(self) -> str:
        """Name used in ``load(topology=…)``."""

    @property
    def heard_leg(self) -> Sequence[int]:
        """For each leg at the load generator: which leg of the same call it hears; -1 for a mix or a transcoder.

        A leg that none hears this way sends its audio whole, without probes.
        """

    @property
    def relay_legs(self) -> int:
        """Legs of one call whose media goes to the relay; 0 where there is no relay."""

    async def establish(self, call: Call) -> None:
        """Build one call; return when its media path is complete."""


@runtime_checkable
class SipTopology(Topology, Protocol):
    """A topology that may call by SIP."""

    @property
    def calls_by_sip(self) -> bool:
        """Whether it does."""


@runtime_checkable
class DecodingTopology(Topology, Protocol):
    """A topology in which Asterisk decodes audio: it transcodes, mixes or copies what legs say.

    What has been decoded is found again by its sound. Where several legs are heard at once, the legs of a call speak
    in turn, so that it can be told who is heard.
    """

    @property
    def audio_legs(self) -> Sequence[Sequence[int]]:
        """For each leg: the legs of the same call whose audio arrives at it, coded anew or not."""

    @property
    def leg_codecs(self) -> Sequence[int]:
        """For each leg: 0 for the codec of ``load(codec=…)``, 1 for that of ``load(other_codec=…)``."""


@pytest.hookspec
def pytest_ari_sla_register_codecs() -> Sequence[Codec]:
    """Return the codecs that this plug-in adds.

    Called once, before the first load, in every process that makes one: alone or each worker of a fleet. Return a list
    of objects; names that are taken already end the session with both owners. Plug-ins are asked one by one, and all
    answers count.

    Examples
    --------
    >>> def pytest_ari_sla_register_codecs():
    ...     return [Ilbc()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_trackers() -> Sequence[Tracker]:
    """Return the trackers that this plug-in adds.

    Called once, before thresholds are read, in every process that makes loads. Return a list of prototypes: every load
    works on copies of its own, in each worker of a fleet, and what they measure is merged by adding up. One that has
    ``observe_reports`` (``ReportTracker``) is told of RTCP reports too.

    Examples
    --------
    >>> def pytest_ari_sla_register_trackers():
    ...     return [PayloadBytes()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_topologies() -> Sequence[Topology]:
    """Return the topologies that this plug-in adds.

    Called once, before the first load, in every process that makes one. Return a list of objects, each of which builds
    all calls of a load.

    Examples
    --------
    >>> def pytest_ari_sla_register_topologies():
    ...     return [Queue()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_transports() -> Sequence[MediaTransport]:
    """Return the media transports that this plug-in adds.

    Called once, before the first load, in every process that makes one. Return a list of objects, each of which carries
    the media of all loads that name it: ``load(transport="memory")``. ``pytest_ari_sla.testing.MemoryMedia`` is
    one, and ``FrameTransport`` holds most of what one that moves frame by frame consists of.

    Examples
    --------
    >>> def pytest_ari_sla_register_transports():
    ...     return [MemoryMedia()]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_peer_faults() -> Sequence[PeerFault]:
    """Return the ways for peers to misbehave that this plug-in adds.

    Called once, before the first load, in every process that makes one. Return a list of ``PeerFault``: a name, and the
    steps that the media process carries out on a faulty call's connection: ``load(peer_faults={"drop_out": "5%"})``.

    Examples
    --------
    >>> def pytest_ari_sla_register_peer_faults():
    ...     return [PeerFault("drop_out", (Wait(2000), Mute(), Wait(500), Speak()), ("audiosocket", "websocket"))]

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_call_started(call: Call) -> None:
    """Take note of a call that is about to be built.

    Called on the event loop of the process that makes the call, before its first request: return at once. Nothing is
    returned. A plug-in that raises is not told again, which stands in the report.

    Examples
    --------
    >>> def pytest_ari_sla_call_started(call):
    ...     logger.info("call %s", call.id)

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_call_ended(call: CallOutcome) -> None:
    """Take note of what came of a call.

    Called on the event loop of the process that made the call, when the call has been removed from Asterisk: return at
    once. Nothing is returned. A plug-in that raises is not told again, which stands in the report.

    Parameters
    ----------
    call
        What came of it: its id, ``state``, ``reason``, times, figures of its own,
        and what happened to it.

    Examples
    --------
    >>> def pytest_ari_sla_call_ended(call):
    ...     if call.state == "failed":
    ...         logger.warning("call %s: %s", call.id, call.reason)

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_verdict_reached(scenario: Scenario, verdict: str) -> None:
    """Take note of a verdict, and amend what is reported with it.

    Called once for each load of the whole fleet, when its test is over: alone, or in the worker that judges (usually
    the one with shard 1). What is added to ``scenario.notes`` is in all reports; the verdict itself stands. Nothing is
    returned. A plug-in that raises is not told again, which stands in the report.

    Parameters
    ----------
    scenario
        The load's part of ``report.json``.
    verdict
        ``pass``, ``fail`` or ``inconclusive``.

    Examples
    --------
    >>> def pytest_ari_sla_verdict_reached(scenario, verdict):
    ...     if verdict == "fail":
    ...         scenario.notes.append(f"logs: https://logs.example/{scenario.started}")

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_update_run_record(record: RunRecord) -> None:
    """Amend the record of the session before any report is made from it.

    Called once, at the session's end, in the process that writes reports: alone, or the controller of a fleet. Change
    the record in place; it must still fit ``report.schema.json``. Nothing is returned. A plug-in that raises is named
    in the report's notes.

    Parameters
    ----------
    record
        All that ``report.json`` holds.

    Examples
    --------
    >>> def pytest_ari_sla_update_run_record(record):
    ...     record.notes.append(f"build {os.environ['BUILD_ID']}")

    Since 0.1.
    """


@pytest.hookspec
def pytest_ari_sla_register_report_sections(record: RunRecord) -> Sequence[ReportSection]:
    """Return parts of one's own for the HTML and Markdown reports and the terminal's summary.

    Called once, at the session's end, after ``pytest_ari_sla_update_run_record``, in the process that writes reports:
    alone, or the controller of a fleet. Return a list of sections: a title, paragraphs and a table, all of plain text,
    which is shown as it is (markup in it is no markup). They stand in ``report.json`` as ``sections``. A plug-in that
    raises is named in the report's notes.

    Parameters
    ----------
    record
        All that ``report.json`` holds.

    Examples
    --------
    >>> def pytest_ari_sla_register_report_sections(record):
    ...     rows = [[scenario.nodeid, scenario.topology] for scenario in record.scenarios]
    ...     return [ReportSection(title="Topologies", columns=["Test", "Topology"], rows=rows)]

    Since 0.1.
    """
