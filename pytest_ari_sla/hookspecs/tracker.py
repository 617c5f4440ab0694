"""What a tracker is, and what it is told: packets that came, and the send side's own record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.hookspecs.codec import Codec, Voice
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport

__all__ = ["DatedTracker", "ReportTracker", "SendLog", "Tracker", "TrackerContext"]


class SendLog(Protocol):
    """What the send side knows, for trackers: one writer (the media loop), any number of readers.

    Once :meth:`Tracker.release` has been called for a leg, all its counts are 0 until its number is given to a later
    call, whose probes are numbered from 0 again.
    """

    def sent(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg really sent, so far."""

    def due(self) -> NDArray[np.int64]:
        """(legs,) Packets that each leg's schedule has called for, so far; the difference was not sent by us."""

    def settled(self, now_ns: int | NDArray[np.int64], age_ns: int) -> NDArray[np.int64]:
        """(legs,) Number of probes of each leg that were due at least ``age_ns`` before ``now_ns``.

        That is one time for all legs, or each leg's own ((legs,)).
        """

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
    alive_ns
        Tells until when each leg's call is known to have been alive ((legs,) ns since the Unix epoch): a probe that was
        sent later is not lost yet. None where all calls live as long as they send.
    events_clock_hz
        Rate of the time stamps of telephone events (RFC 4733): that of the audio where calls by SIP have agreed on it,
        else 8 kHz, as Asterisk sends them whatever the codec is.
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
    alive_ns: Callable[[], NDArray[np.int64]] | None = None
    events_clock_hz: int = 8000

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
        """Let time pass: called about once a second whatever comes, before legs are released, and at the end.

        All that arrived before ``now_ns`` (ns since the Unix epoch) has been observed, however late it was read. That
        time never goes back. How often this is called says nothing: where calls end it is many times a second, perhaps
        with the same time again; after a standstill, the seconds that were missed come in a row. So what is to be
        sampled or counted by time goes by ``now_ns``.
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
        """Take in what peers have reported on legs since the last time; never empty.

        Called about once a second, and before legs are released. Nothing is ever reported where the peer speaks no
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
