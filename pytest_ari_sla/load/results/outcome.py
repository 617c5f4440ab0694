"""What comes out of a load: mergeable over shards, and plain where it crosses to another process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ari_sla.blame.evidence import Incident
from pytest_ari_sla.capture.kept_packets import PackedStream
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.watch.forensics import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["CallOutcome", "GeneratorHealth", "LoadOutcome", "TimelineEvent"]


class TimelineEvent(msgspec.Struct, frozen=True):
    """One thing that happened to a call.

    Attributes
    ----------
    at_ns
        When, ns since the load's beginning.
    source
        ``ari`` (an event), ``request`` (ours, answered) or ``media``.
    what
        Its name: ``StasisStart``, ``POST /channels/externalMedia``.
    detail
        Anything more, in a few words.
    """

    at_ns: int
    source: str
    what: str
    detail: str = ""


class CallOutcome(msgspec.Struct, frozen=True):
    """What is known of one call; times are ns since the load's beginning, None where something did not happen.

    Attributes
    ----------
    id
        Id of the call; the ids of its channels begin with it.
    state
        ``ended`` as planned, ``failed`` (never established), ``dropped`` (ended too early) or ``cancelled``.
    started_ns, established_ns, closed_ns
        When it was asked for, when its media path was complete, when it was over.
    first_packet_ns
        From its start until its first packet came back, set-up included.
    reason
        Why it failed or was dropped.
    cause
        What of: an error's name, or what :mod:`pytest_ari_sla.blame.evidence` calls it; empty where it did neither.
    shard
        Who made it, from 1.
    values
        What was measured of this call alone, by metric or ``metric.stat``, in the metric's unit.
    timeline
        What happened to it, in order; kept for calls that are worth a look.
    delay_course
        Its delay over time, a round trip where legs hear themselves, else one way: (start and end of a span in ns
        since the load's beginning, mean in s).
    """

    id: str
    state: str
    started_ns: int
    established_ns: int | None
    closed_ns: int | None
    first_packet_ns: int | None
    reason: str
    shard: int
    values: dict[str, float]
    timeline: list[TimelineEvent] = []
    delay_course: list[tuple[int, int, float]] = []
    cause: str = ""


class GeneratorHealth(msgspec.Struct, frozen=True):
    """How the load generator of one shard did.

    Attributes
    ----------
    shard
        From 1.
    host
        Its machine.
    values
        Its own ``harness.*`` numbers, as a plain snapshot.
    realtime
        Whether packets were moved under SCHED_FIFO.
    backend
        ``mmsg`` or ``python``.
    receive_buffer_bytes
        What the kernel granted to each socket.
    strangers
        Who sent most of the packets that no call expects, and how many.
    """

    shard: int
    host: str
    values: dict[str, Any]
    realtime: bool
    backend: str
    receive_buffer_bytes: int
    strangers: list[tuple[str, int]] = []


@dataclass(frozen=True)
class LoadOutcome:
    """Everything measured by one load, of one shard or of many.

    Attributes
    ----------
    topology, codec
        Names.
    started_ns
        When the load began, ns since the Unix epoch.
    duration_ns
        Until its last call was gone.
    total, series
        All numbers, and the same over time.
    calls
        Calls one by one (bounded).
    generators
        One entry a shard.
    notes
        What else a reader must know.
    captures
        Packets of calls that may be worth a file, by the call's id.
    evidence
        Files of what was found where the target stalled or died.
    incidents
        What happened to the load as a whole, for whoever lays blame.
    cut_off
        Why the load was not made to its end, so that these are the figures of its beginning; empty: it was.
    """

    topology: str
    codec: str
    started_ns: int
    duration_ns: int
    total: Snapshot
    series: TimeSeries
    calls: tuple[CallOutcome, ...] = ()
    generators: tuple[GeneratorHealth, ...] = ()
    notes: tuple[str, ...] = field(default=())
    captures: Mapping[str, Sequence[PackedStream]] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    incidents: tuple[Incident, ...] = ()
    cut_off: str = ""

    @classmethod
    def merged(cls, parts: Sequence[LoadOutcome]) -> LoadOutcome:
        """Return one outcome for all shards of a load; at least one."""
        first = parts[0]
        return cls(
            topology=first.topology,
            codec=first.codec,
            started_ns=min(part.started_ns for part in parts),
            duration_ns=max(part.duration_ns for part in parts),
            total=Snapshot.sum_of(part.total for part in parts),
            series=TimeSeries.sum_of(part.series for part in parts),
            calls=tuple(sorted((call for part in parts for call in part.calls), key=lambda call: call.started_ns)),
            generators=tuple(generator for part in parts for generator in part.generators),
            notes=tuple(_unique(note for part in parts for note in part.notes)),
            captures={call: streams for part in parts for call, streams in part.captures.items()},
            evidence=tuple(file for part in parts for file in part.evidence),
            incidents=tuple(incident for part in parts for incident in part.incidents),
            cut_off=next((part.cut_off for part in parts if part.cut_off), ""),
        )

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain built-ins."""
        return {
            # execnet takes built-ins alone, no NumPy numbers, no structs.
            "topology": self.topology,
            "codec": self.codec,
            "started_ns": self.started_ns,
            "duration_ns": self.duration_ns,
            "total": self.total.to_plain(),
            "series": self.series.to_plain(),
            "calls": msgspec.to_builtins(self.calls),
            "generators": msgspec.to_builtins(self.generators),
            "notes": list(self.notes),
            "captures": msgspec.to_builtins(self.captures),
            "evidence": msgspec.to_builtins(self.evidence),
            "incidents": msgspec.to_builtins(self.incidents),
            "cut_off": self.cut_off,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> LoadOutcome:
        """Rebuild an outcome from :meth:`to_plain`."""
        return cls(
            topology=plain["topology"],
            codec=plain["codec"],
            started_ns=plain["started_ns"],
            duration_ns=plain["duration_ns"],
            total=Snapshot.from_plain(plain["total"]),
            series=TimeSeries.from_plain(plain["series"]),
            calls=msgspec.convert(plain["calls"], tuple[CallOutcome, ...]),
            generators=msgspec.convert(plain["generators"], tuple[GeneratorHealth, ...]),
            notes=tuple(plain["notes"]),
            captures=msgspec.convert(plain["captures"], dict[str, list[PackedStream]]),
            evidence=msgspec.convert(plain["evidence"], tuple[Evidence, ...]),
            incidents=msgspec.convert(plain["incidents"], tuple[Incident, ...]),
            cut_off=plain["cut_off"],
        )


def _unique(notes: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(notes)  # in their order: all shards tell of one target
