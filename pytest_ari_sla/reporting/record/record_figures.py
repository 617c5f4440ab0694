"""What the run record holds besides calls: thresholds, stages, distributions, health, comparisons."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

__all__ = [
    "BaselineComparison",
    "BlockHistograms",
    "Comparison",
    "Confidence",
    "EncodedHistogram",
    "RunComparison",
    "ScenarioVerdict",
    "ShardHealth",
    "ShownMetric",
    "Stage",
    "Threshold",
    "Verdict",
]

Verdict = Literal["pass", "fail", "inconclusive"]
ScenarioVerdict = Literal["pass", "fail", "inconclusive", "xfail"]
Change = Literal["better", "same", "worse", "cannot tell"]


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


class ShownMetric(Struct, kw_only=True):
    """How reports show a metric, as it was declared by whoever measures it.

    Attributes
    ----------
    metric
        Its name: ``rtt``, ``loss.ratio``.
    kind
        ``distribution``, ``count`` or ``ratio``.
    unit
        Unit of its values.
    better
        Whether ``lower`` or ``higher`` values are better.
    title, label
        Its name for people, and a shorter one.
    places
        Where it is one of the figures that are shown first; empty for one that is not.
    rank
        Those with a smaller one come first.
    numerator, denominator
        For a ratio: the counts that it is made of.
    """

    metric: str
    kind: Literal["distribution", "count", "ratio"]
    unit: str
    better: Literal["lower", "higher"] = "lower"
    title: str = ""
    label: str = ""
    places: list[str] = field(default_factory=list)
    rank: int = 500
    numerator: str = ""
    denominator: str = ""


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
        Packets that the kernel threw away because this process read too late, or others sent too many.
    foreign_packets, foreign_senders
        Packets that no call expected, and the addresses that most of them came from.
    cpu_ratio
        Busy share of one core, of the process that moves packets.
    memory_min_bytes, memory_max_bytes
        Least and most memory in RAM of the process that makes calls and measures: flat, however long the load.
    host_ours_ratio, host_others_ratio
        Where the target runs on the same machine: the shares of the cores that we may run on which this tool and which
        all others took, the target among them, in the seconds in which we took most, and in those in which they did.
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
    foreign_packets: int = 0
    foreign_senders: list[str] = field(default_factory=list)
    cpu_ratio: float | None = None
    memory_min_bytes: int | None = None
    memory_max_bytes: int | None = None
    host_ours_ratio: float | None = None
    host_others_ratio: float | None = None
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
    excuse
        Why the load generator may have made it worse, and not the target; empty: it did not.
    """

    metric: str
    unit: str
    verdict: Change
    before: float | None = None
    after: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    sentence: str = ""
    excuse: str = ""


class BaselineComparison(Struct, kw_only=True):
    """A scenario against the same scenario of an earlier run, or on another target in turns.

    Attributes
    ----------
    run_id
        The earlier run; this one, where both targets were loaded in turns.
    source
        Where its record was read from; the other target's ARI, where it was loaded in turns.
    target
        What was tested before: ``private 16.28.0 at http://127.0.0.1:8088/ari``.
    verdict_before
        What came of the scenario's thresholds then.
    in_turns
        Whether this run has made the loads of both, in turns.
    max_regression
        The relative change for the worse that is still accepted.
    comparisons
        One for each value.
    """

    run_id: str
    source: str = ""
    target: str = ""
    verdict_before: str = ""
    in_turns: bool = False
    max_regression: float | None = None
    comparisons: list[Comparison] = field(default_factory=list)


class RunComparison(Struct, kw_only=True):
    """What a run as a whole came to against an earlier one, or against another target: whether one may upgrade.

    Attributes
    ----------
    verdict
        ``worse`` where any figure is, or a scenario fails that passed before; ``cannot tell`` where too little could be
        compared; else ``better`` where any figure is, or ``same``.
    sentence
        The same in words, with how many figures came out how.
    before, after
        Both targets.
    counts
        How many figures came out how, by verdict.
    """

    verdict: Change
    sentence: str
    before: str = ""
    after: str = ""
    counts: dict[str, int] = field(default_factory=dict)
