"""What is known of a load while it runs: one immutable picture a second, of plain values, for all live views."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LiveEvent", "LiveFigure", "LiveShard", "LiveStage", "LiveState", "LiveThreshold"]


@dataclass(frozen=True)
class LiveStage:
    """A stage of the load: its name, and from when to when it lasts (from the load's start)."""

    name: str
    from_s: float
    to_s: float


@dataclass(frozen=True)
class LiveFigure:
    """A metric now and so far; None without samples.

    Attributes
    ----------
    metric, unit
        What it is: ``rtt`` in ``s``.
    recent_p50, recent_p99
        Of the last seconds.
    whole_p50, whole_p99
        Since the load's start.
    recent, whole
        The same of a count or ratio, which has one value; None for a distribution.
    is_count
        Whether it is a count, which only grows.
    """

    metric: str
    unit: str
    recent_p50: float | None = None
    recent_p99: float | None = None
    whole_p50: float | None = None
    whole_p99: float | None = None
    recent: float | None = None
    whole: float | None = None
    is_count: bool = False


@dataclass(frozen=True)
class LiveShard:
    """Health of one shard's load generator.

    Attributes
    ----------
    shard
        From 1.
    calls
        Calls that it has up.
    pacing_p99_s
        How late packets left in the last seconds.
    receive_drops
        Packets lost in its own receive buffers, so far.
    cpu_ratio
        Busy share of a core.
    """

    shard: int
    calls: int
    pacing_p99_s: float | None = None
    receive_drops: int = 0
    cpu_ratio: float | None = None


@dataclass(frozen=True)
class LiveThreshold:
    """A threshold so far.

    Attributes
    ----------
    expression
        As it was written.
    value, unit
        What it judges, so far; None without samples.
    holds
        Whether it holds so far; None where that cannot be said yet.
    """

    expression: str
    value: float | None
    unit: str
    holds: bool | None


@dataclass(frozen=True)
class LiveEvent:
    """Something worth knowing: when (from the load's start), and what."""

    t_s: float
    text: str


@dataclass(frozen=True)
class LiveState:
    """A load at one moment.

    Attributes
    ----------
    scenario
        Name of the test.
    elapsed_s, total_s
        Time since the load's start, and how long it will take.
    stages
        The parts of the load.
    calls_now, calls_wanted
        Calls that are up, and how many the profile wants to be.
    established, failed, dropped
        Counts so far.
    figures
        Set-up, RTT and what else is worth a line.
    loss_recent, loss_whole
        Share of packets lost in the last seconds, and so far.
    mos
        Median MOS so far.
    shards, thresholds
        One entry each.
    events
        The latest ones, the newest last.
    recent_s
        How long "the last seconds" are.
    step
        Which part of something larger the load is: a step of a search, a turn on another target.
    behind
        How long it will take to set up the calls that wait, or to end those that are up, where that is late.
    is_scripted
        Whether calls last for as long as their scripts take, whatever ``total_s`` says.
    """

    scenario: str
    elapsed_s: float
    total_s: float
    stages: tuple[LiveStage, ...] = ()
    calls_now: int = 0
    calls_wanted: int = 0
    established: int = 0
    failed: int = 0
    dropped: int = 0
    figures: tuple[LiveFigure, ...] = ()
    loss_recent: float | None = None
    loss_whole: float | None = None
    mos: float | None = None
    shards: tuple[LiveShard, ...] = ()
    thresholds: tuple[LiveThreshold, ...] = ()
    events: tuple[LiveEvent, ...] = ()
    recent_s: float = 5.0
    step: str = ""
    behind: str = ""
    is_scripted: bool = False

    @property
    def stage(self) -> LiveStage | None:
        """The stage that is running."""
        return next((stage for stage in self.stages if stage.from_s <= self.elapsed_s < stage.to_s), None)
