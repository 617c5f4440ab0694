"""Calls in the run record: how many there were, each one, and those that are worth a look."""

from __future__ import annotations

from msgspec import Struct, field

__all__ = [
    "BlameGroup",
    "CallCounts",
    "CallEvent",
    "CallGrid",
    "CallRow",
    "WorstCall",
]


class CallCounts(Struct, kw_only=True):
    """What became of the calls.

    Attributes
    ----------
    requested
        Calls that the load asked for.
    established
        Calls whose media path was completed.
    failed
        Calls that were tried and not established.
    dropped
        Established calls that ended before they were told to.
    not_started
        Calls that the generator could not start in time: its own fault, not the target's.
    leaked
        Calls of which channels or bridges were still there after the clean-up.
    left_unknown
        Calls of which it could not be asked whether anything is left.
    success_ratio
        ``established`` of those that were requested; None without any.
    """

    requested: int = 0
    established: int = 0
    failed: int = 0
    dropped: int = 0
    not_started: int = 0
    leaked: int = 0
    left_unknown: int = 0
    success_ratio: float | None = None


class BlameGroup(Struct, kw_only=True):
    """Bad calls with the same one to blame, for the same reason.

    Attributes
    ----------
    side
        Who is to blame: ``Asterisk``, ``the network``, ``this tool`` …
    why
        The rest of "2 calls …".
    calls
        How many.
    """

    side: str
    why: str
    calls: int


class CallEvent(Struct, kw_only=True):
    """One thing that happened to a call.

    Attributes
    ----------
    t_s
        When, from the start of the load.
    source
        Who says so: ``ari`` (an event), ``request`` (one of ours and its answer), ``media`` or ``load``.
    what
        Name of the event: ``StasisStart``, ``POST /channels/externalMedia``.
    detail
        Anything more, in a few words.
    """

    t_s: float
    source: str
    what: str
    detail: str = ""


class CallRow(Struct, kw_only=True, omit_defaults=True):
    """One call.

    Attributes
    ----------
    id
        Id of the call; the ids of its channels begin with it.
    outcome
        ``ended`` as planned, ``failed`` (never established), ``dropped`` (ended too early) or ``cancelled``.
    started_s
        When the load asked for it.
    setup_s
        From the first request until its media path was complete.
    first_packet_s
        From the first request until the first packet came in.
    ended_s
        When it ended.
    shard
        Which shard made it, from 1.
    reason
        Why it failed, in one sentence.
    blame
        Who is to blame for it, and why; empty for a call that is not a bad one.
    values
        What was measured of this call, by metric or ``metric.stat``, in the metric's unit.
    """

    id: str
    outcome: str
    started_s: float
    setup_s: float | None = None
    first_packet_s: float | None = None
    ended_s: float | None = None
    shard: int = 1
    reason: str = ""
    blame: str = ""
    values: dict[str, float | None] = field(default_factory=dict)


class WorstCall(Struct, kw_only=True):
    """A call that is worth a look.

    Attributes
    ----------
    id
        Id of the call.
    why
        What is wrong with it, in one sentence.
    values
        What was measured of it.
    events
        Its story, in order of time.
    capture
        Path of its packets (pcapng), relative to the report's folder; empty where none were kept.
    audio
        Path of what was said (left) and heard (right) in it (WAV); empty where that was not kept.
    """

    id: str
    why: str
    values: dict[str, float | None] = field(default_factory=dict)
    events: list[CallEvent] = field(default_factory=list)
    capture: str = ""
    audio: str = ""


class CallGrid(Struct, kw_only=True):
    """One metric of every call over time: the heat map; larger values are the worse ones.

    Attributes
    ----------
    metric, stat, unit
        What the cells hold.
    t
        Start of each column.
    calls
        Ids of the calls, one a row.
    values
        ``values[row][column]``; None where the call was not up.
    """

    metric: str
    stat: str
    unit: str
    t: list[float]
    calls: list[str]
    values: list[list[float | None]]
