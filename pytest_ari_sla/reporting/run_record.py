"""What one run was and what came of it: the content of ``report.json``, from which every other report is made.

The types here are the format. ``report.schema.json`` is made from them (:mod:`.schema`), and the names
of their fields are public: they are added to, never renamed. All values are plain built-ins, so that a record
crosses processes and files as it is. Times are seconds, as floats; those within a scenario count from the start of
its load. ``None`` stands where a value is not known.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

__all__ = [
    "SCHEMA_VERSION",
    "BaselineComparison",
    "BlockHistograms",
    "CallCounts",
    "CallEvent",
    "CallGrid",
    "CallRow",
    "Comparison",
    "Confidence",
    "EncodedHistogram",
    "Environment",
    "MetricValues",
    "Run",
    "RunRecord",
    "Scenario",
    "ShardHealth",
    "Stage",
    "Target",
    "Threshold",
    "Verdict",
    "WorstCall",
]

SCHEMA_VERSION = 1

Verdict = Literal["pass", "fail", "inconclusive"]
MetricValues = dict[str, float | int | str | None]


class Target(Struct, kw_only=True):
    """What was tested.

    Attributes
    ----------
    kind
        ``external``, ``private`` (an Asterisk that the run started) or ``simulator``.
    version
        What the target says of itself: ``22.10.1``.
    url
        Its ARI address, without user and password.
    """

    kind: str
    version: str
    url: str


class Run(Struct, kw_only=True):
    """One pytest session.

    Attributes
    ----------
    id
        Unique among runs; the ids of all channels begin with it.
    started
        Start in UTC, ISO 8601 with a ``Z``.
    duration_s
        How long the session took.
    target
        What was tested.
    host
        Name of the host that led the run.
    shards
        How many processes made the load.
    command_line
        The command that repeats this run; secrets are left out.
    tool_version
        Version of pytest-ari-sla.
    """

    id: str
    started: str
    duration_s: float
    target: Target
    host: str = ""
    shards: int = 1
    command_line: str = ""
    tool_version: str = ""


class Environment(Struct, kw_only=True):
    """The machine and software that made the load.

    Attributes
    ----------
    python
        Version of Python.
    kernel
        Name and version of the operating system's kernel.
    cpu
        Model of the processor.
    cores
        Cores that this process may use.
    memory_bytes
        Memory of the machine.
    packages
        Versions of the packages that matter for a result.
    """

    python: str = ""
    kernel: str = ""
    cpu: str = ""
    cores: int | None = None
    memory_bytes: int | None = None
    packages: dict[str, str] = field(default_factory=dict)


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
        Channels or bridges that were still there after the clean-up.
    success_ratio
        ``established`` of those that were requested; None without any.
    """

    requested: int = 0
    established: int = 0
    failed: int = 0
    dropped: int = 0
    not_started: int = 0
    leaked: int = 0
    success_ratio: float | None = None


class Confidence(Struct, kw_only=True):
    """Where the true value lies.

    Attributes
    ----------
    low, high
        The ends of the interval, in the threshold's unit.
    level
        How often such an interval holds the true value: 0.95.
    method
        How it was computed.
    """

    low: float | None
    high: float | None
    level: float = 0.95
    method: str = ""


class Threshold(Struct, kw_only=True):
    """One SLA condition and what came of it.

    Attributes
    ----------
    expression
        As the user wrote it.
    value
        The measured value, in ``unit``; None without a sample.
    limit
        The limit, in ``unit``.
    verdict
        ``pass``, ``fail`` or ``inconclusive``.
    sentence
        The outcome in one sentence.
    metric, stat
        What is judged: ``rtt`` and ``p99``; no ``stat`` for counts and ratios.
    op
        One of ``< <= > >= ==``.
    unit
        ``s``, ``ratio``, ``count``, ``mos``, ``ppm`` or ``B``.
    confidence
        Interval of the value.
    marginal
        Whether that interval spans the limit.
    samples
        How many samples the value is made of.
    source
        Where the threshold comes from: ``marker``, ``--sla``, ``sla.toml``, ``ini``.
    overrides
        Thresholds of weaker sources that this one replaces.
    stage
        The stage that it is restricted to.
    window_s
        Length of the sliding window, where it must hold in each.
    broken_since_s
        When the limit was first broken for good; None where it was kept, or the moment is not known.
    broken_ratio
        Share of the time in which it was broken.
    """

    expression: str
    value: float | None
    limit: float
    verdict: Verdict
    sentence: str = ""
    metric: str = ""
    stat: str = ""
    op: str = ""
    unit: str = ""
    confidence: Confidence | None = None
    marginal: bool = False
    samples: int | None = None
    source: str = ""
    overrides: list[str] = field(default_factory=list)
    stage: str = ""
    window_s: float | None = None
    broken_since_s: float | None = None
    broken_ratio: float | None = None


class Stage(Struct, kw_only=True):
    """A part of the load profile.

    Attributes
    ----------
    name
        Name that thresholds use: ``ramp``, ``hold``.
    from_s, to_s
        When it began and ended.
    calls
        Calls in progress that the profile wants at its end.
    """

    name: str
    from_s: float
    to_s: float
    calls: int | None = None


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
    """

    id: str
    why: str
    values: dict[str, float | None] = field(default_factory=dict)
    events: list[CallEvent] = field(default_factory=list)
    capture: str = ""


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


class EncodedHistogram(Struct, kw_only=True):
    """A whole distribution.

    Attributes
    ----------
    hdr
        Counts of integers, in HdrHistogram's V2 compressed form (base64).
    step
        What one step of these integers means, in ``unit``.
    unit
        Unit of the metric.
    """

    hdr: str
    step: float
    unit: str


class BlockHistograms(Struct, kw_only=True):
    """Histograms of consecutive blocks of time: what a later run is compared with.

    Attributes
    ----------
    block_s
        Length of a block.
    histograms
        For each metric the blocks' histograms, encoded like the whole one's ``hdr``, in its steps.
    """

    block_s: float
    histograms: dict[str, list[str]] = field(default_factory=dict)


class ShardHealth(Struct, kw_only=True):
    """How well one process of the load generator kept its own promises.

    Attributes
    ----------
    shard
        Number of the shard, from 1.
    host
        Where it ran.
    pacing_p99_s, pacing_max_s
        How late packets left, against the schedule.
    receive_drops
        Packets that the kernel threw away because this process read too late.
    cpu_ratio
        Busy share of one core, of the process that moves packets.
    clock_floor_s
        The smallest time difference that this machine can tell.
    scheduler
        How the process was scheduled: ``SCHED_FIFO 10``.
    receive_buffer_bytes
        Receive buffer that the kernel granted to each socket.
    remarks
        What a reader should know.
    """

    shard: int = 1
    host: str = ""
    pacing_p99_s: float | None = None
    pacing_max_s: float | None = None
    receive_drops: int = 0
    cpu_ratio: float | None = None
    clock_floor_s: float | None = None
    scheduler: str = ""
    receive_buffer_bytes: int | None = None
    remarks: list[str] = field(default_factory=list)


class Comparison(Struct, kw_only=True):
    """One value against the baseline's.

    Attributes
    ----------
    metric
        What is compared: ``rtt.p99``.
    unit
        Unit of both values.
    verdict
        ``better``, ``same``, ``worse`` or ``cannot tell``.
    before, after
        The baseline's value and this run's.
    change, low, high
        Relative change (0.2 is +20 %), and its confidence interval.
    sentence
        The outcome in one sentence.
    """

    metric: str
    unit: str
    verdict: Literal["better", "same", "worse", "cannot tell"]
    before: float | None = None
    after: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    sentence: str = ""


class BaselineComparison(Struct, kw_only=True):
    """A scenario against the same scenario of an earlier run.

    Attributes
    ----------
    run_id
        The earlier run.
    source
        Where its record was read from.
    max_regression
        The relative change for the worse that is still accepted.
    comparisons
        One for each value.
    """

    run_id: str
    source: str = ""
    max_regression: float | None = None
    comparisons: list[Comparison] = field(default_factory=list)


class Scenario(Struct, kw_only=True):
    """One test that put a load on the target.

    Attributes
    ----------
    nodeid
        pytest's name of the test.
    doc
        First paragraph of the test's docstring.
    topology, codec
        How the calls were joined, and what they sent.
    verdict
        ``pass``, ``fail`` or ``inconclusive``.
    reason
        Why, in one sentence.
    started
        Start of the load in UTC, ISO 8601.
    duration_s
        From the load's start to its end.
    calls
        What became of the calls.
    metrics
        By metric: of a distribution ``count min mean p50 p90 p95 p99 p999 max unit``. Counts and ratios are grouped by
        the first part of their name (``loss``: ``sent received lost ratio …``); those without a dot stand under their
        own name as ``value`` and ``unit``.
    thresholds
        All SLA conditions.
    time_series
        ``t`` holds the start of each interval, every other list one value an interval, by ``metric`` or
        ``metric.stat``.
    stages
        The load profile as it happened.
    histograms
        Whole distributions by metric.
    blocks
        Histograms by block of time.
    worst_calls
        The calls most worth a look, the worst first.
    call_table
        All calls, or the most interesting where there are too many; ``calls.csv`` has all.
    call_grid
        One metric of every call over time.
    harness
        Health of the load generator, shard by shard.
    baseline
        Comparison with an earlier run.
    notes
        What else a reader must know: reconnects, formulas in use, unit conversions.
    """

    nodeid: str
    doc: str = ""
    topology: str = ""
    codec: str = ""
    verdict: Verdict
    reason: str = ""
    started: str = ""
    duration_s: float = 0.0
    calls: CallCounts = field(default_factory=CallCounts)
    metrics: dict[str, MetricValues] = field(default_factory=dict)
    thresholds: list[Threshold] = field(default_factory=list)
    time_series: dict[str, list[float | None]] = field(default_factory=lambda: {"t": []})
    stages: list[Stage] = field(default_factory=list)
    histograms: dict[str, EncodedHistogram] = field(default_factory=dict)
    blocks: BlockHistograms | None = None
    worst_calls: list[WorstCall] = field(default_factory=list)
    call_table: list[CallRow] = field(default_factory=list)
    call_grid: CallGrid | None = None
    harness: list[ShardHealth] = field(default_factory=list)
    baseline: BaselineComparison | None = None
    notes: list[str] = field(default_factory=list)


class RunRecord(Struct, kw_only=True):
    """The whole record: ``report.json``.

    Attributes
    ----------
    schema
        Version of this format: 1.
    run
        What was run, where and when.
    verdict
        The worst verdict of all scenarios: ``fail``, else ``inconclusive``, else ``pass``.
    scenarios
        The tests that put a load on the target, in the order in which they ran.
    environment
        The machine and software that made the load.
    simulated
        True where the target was the simulator: the figures say nothing about an Asterisk.
    notes
        What concerns the run as a whole.
    extra
        Whatever plug-ins add, under their own name.
    """

    schema: int = SCHEMA_VERSION
    run: Run
    verdict: Verdict
    scenarios: list[Scenario] = field(default_factory=list)
    environment: Environment = field(default_factory=Environment)
    simulated: bool = False
    notes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
