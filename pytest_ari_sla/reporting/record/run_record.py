"""What one run was and what came of it: the content of ``report.json``, from which every other report is made.

The types here are the format. ``report.schema.json`` is made from them (:mod:`.schema`), and the names
of their fields are public: they are added to, never renamed. All values are plain built-ins, so that a record
crosses processes and files as it is. Times are seconds, as floats; those within a scenario count from the start of
its load. ``None`` stands where a value is not known.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert, field, to_builtins

from pytest_ari_sla.reporting.record.record_calls import BlameGroup, CallCounts, CallEvent, CallGrid, CallRow, WorstCall
from pytest_ari_sla.reporting.record.record_capacity import Capacity, CapacityStep
from pytest_ari_sla.reporting.record.record_figures import (
    BaselineComparison,
    BlockHistograms,
    Comparison,
    Confidence,
    EncodedHistogram,
    RunComparison,
    ScenarioVerdict,
    ShardHealth,
    ShownMetric,
    Stage,
    Threshold,
    Verdict,
)

__all__ = [
    "SCHEMA_VERSION",
    "BaselineComparison",
    "BlameGroup",
    "BlockHistograms",
    "CallCounts",
    "CallEvent",
    "CallGrid",
    "CallRow",
    "Capacity",
    "CapacityStep",
    "Comparison",
    "Confidence",
    "EncodedHistogram",
    "Environment",
    "MetricValues",
    "ReportSection",
    "Run",
    "RunComparison",
    "RunRecord",
    "Scenario",
    "ScenarioVerdict",
    "ShardHealth",
    "ShownMetric",
    "Stage",
    "Target",
    "Threshold",
    "Verdict",
    "WorstCall",
]

SCHEMA_VERSION = 1

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
        Cores that this process may use; a CPU quota may end in the middle of one.
    memory_bytes
        Memory of the machine.
    packages
        Versions of the packages that matter for a result.
    """

    python: str = ""
    kernel: str = ""
    cpu: str = ""
    cores: int | float | None = None
    memory_bytes: int | None = None
    packages: dict[str, str] = field(default_factory=dict)


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
        ``pass``, ``fail``, ``inconclusive``, or ``xfail``: it did not pass, as its test was marked to expect.
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
    shown
        How the measured metrics that have a title are shown, in the order in which they are.
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
    blame
        Who is to blame for bad calls, most calls first; ``docs/explanation/blame.md`` shows by which evidence.
    call_grid
        One metric of every call over time.
    harness
        Health of the load generator, shard by shard.
    baseline
        Comparison with an earlier run.
    capacity
        How much the target carries, where the test has searched for that; all else is of the load that stands for it.
    evidence
        Files beside the report that tell of a target that stalled or died.
    notes
        What else a reader must know: reconnects, formulas in use, unit conversions.
    """

    nodeid: str
    doc: str = ""
    topology: str = ""
    codec: str = ""
    verdict: ScenarioVerdict
    reason: str = ""
    started: str = ""
    duration_s: float = 0.0
    calls: CallCounts = field(default_factory=CallCounts)
    metrics: dict[str, MetricValues] = field(default_factory=dict)
    shown: list[ShownMetric] = field(default_factory=list)
    thresholds: list[Threshold] = field(default_factory=list)
    time_series: dict[str, list[float | None]] = field(default_factory=lambda: {"t": []})
    stages: list[Stage] = field(default_factory=list)
    histograms: dict[str, EncodedHistogram] = field(default_factory=dict)
    blocks: BlockHistograms | None = None
    worst_calls: list[WorstCall] = field(default_factory=list)
    call_table: list[CallRow] = field(default_factory=list)
    blame: list[BlameGroup] = field(default_factory=list)
    call_grid: CallGrid | None = None
    harness: list[ShardHealth] = field(default_factory=list)
    baseline: BaselineComparison | None = None
    capacity: Capacity | None = None
    evidence: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ReportSection(Struct, kw_only=True):
    """A part of the reports that a plug-in adds; shown as plain text, whatever it holds.

    Attributes
    ----------
    title
        Its heading.
    paragraphs
        What stands under it.
    columns
        Headings of a table; empty for none.
    rows
        Its rows, each of as many cells as there are columns.
    """

    title: str
    paragraphs: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def checked(self) -> ReportSection:
        """Return the same section as it will be read from a record.

        Raises
        ------
        ValueError
            A field is of another type, or a row has more or fewer cells than there are columns.
        """
        # msgspec checks types when it converts, not when a Struct is made.
        section = convert(to_builtins(self), ReportSection)
        if wrong := [row for row in section.rows if len(row) != len(section.columns)]:
            message = f"a row of section {section.title!r} has {len(wrong[0])} cells for {len(section.columns)} columns"
            raise ValueError(message)
        return section


class RunRecord(Struct, kw_only=True):
    """The whole record: ``report.json``.

    Attributes
    ----------
    schema
        Version of this format: 1.
    run
        What was run, where and when.
    verdict
        The worst verdict of all scenarios: ``fail``, else ``inconclusive``, else ``pass``; ``xfail`` does not count.
    scenarios
        The tests that put a load on the target, in the order in which they ran.
    environment
        The machine and software that made the load.
    simulated
        True where the target was the simulator: the figures say nothing about an Asterisk.
    comparison
        What all scenarios together came to against an earlier run, or another target; None where none was compared.
    notes
        What concerns the run as a whole.
    sections
        Parts of the reports that plug-ins add.
    extra
        Whatever else plug-ins add, under their own name; reports show it as JSON.
    """

    schema: int = SCHEMA_VERSION
    run: Run
    verdict: Verdict
    scenarios: list[Scenario] = field(default_factory=list)
    environment: Environment = field(default_factory=Environment)
    simulated: bool = False
    comparison: RunComparison | None = None
    notes: list[str] = field(default_factory=list)
    sections: list[ReportSection] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
