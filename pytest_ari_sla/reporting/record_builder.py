"""From what a load measured, and how it was judged, to its part of the run record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.reporting.run_record import (
    BlockHistograms,
    CallCounts,
    CallRow,
    Confidence,
    EncodedHistogram,
    MetricValues,
    Scenario,
    ShardHealth,
    Stage,
    Threshold,
)
from pytest_ari_sla.reporting.worst_calls import worst_calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_ari_sla.metrics.catalogue import Catalogue, Metric
    from pytest_ari_sla.metrics.time_series import TimeSeries
    from pytest_ari_sla.reporting.measured import MeasuredCall, MeasuredGenerator, MeasuredLoad
    from pytest_ari_sla.sla.confidence import Ends
    from pytest_ari_sla.sla.threshold import Threshold as ParsedThreshold
    from pytest_ari_sla.sla.verdict import Judgement, ThresholdOutcome

__all__ = [
    "build_scenario",
    "call_counts",
    "metric_values",
    "series_values",
    "threshold_records",
    "utc_text",
]

NS_PER_S: Final = 10**9
MAX_CALL_ROWS: Final = 2_000
MAX_BLOCKS: Final = 60
_STATS: Final = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p999": "p99.9"}
_SERIES_STATS: Final = ("p50", "p99")
_KEPT_WHOLE: Final = (
    "setup",
    "first_packet",
    "rtt",
    "rtt_intended",
    "relay_rtt",
    "one_way",
    "jitter",
    "pdv",
    "ari.request",
)
"""Distributions whose histograms are kept, besides those that a threshold is about."""


def build_scenario(
    *,
    nodeid: str,
    doc: str,
    load: MeasuredLoad,
    judgement: Judgement,
    thresholds: Sequence[ParsedThreshold],
    catalogue: Catalogue,
    sources: Mapping[str, str] | None = None,
    captures: Mapping[str, str] | None = None,
) -> Scenario:
    """Return a scenario's part of the record.

    Parameters
    ----------
    nodeid, doc
        The test's name, and its docstring.
    load
        What was measured.
    judgement
        What came of it; its outcomes are in the order of ``thresholds``.
    thresholds
        The conditions, as they were read.
    catalogue
        All metrics of the session.
    sources
        Where thresholds come from, by canonical expression: ``marker``, ``--sla`` …
    captures
        Paths of captured packets by call id, relative to the report's folder.
    """
    judged = [threshold.metric.name for threshold in thresholds]
    rows = [_call_row(call) for call in load.calls]
    return Scenario(
        nodeid=nodeid,
        doc=" ".join(doc.partition("\n\n")[0].split()),
        topology=load.topology,
        codec=load.codec,
        verdict=judgement.verdict.value,
        reason=judgement.reason,
        started=datetime.fromtimestamp(load.started_ns / NS_PER_S, UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z"),
        duration_s=load.duration_ns / NS_PER_S,
        calls=call_counts(load.total),
        metrics=metric_values(load.total, catalogue),
        thresholds=threshold_records(thresholds, judgement.outcomes, sources or {}),
        time_series=series_values(load.series, catalogue, thresholds, rows),
        stages=[
            Stage(name=stage.name, from_s=stage.start_ns / NS_PER_S, to_s=stage.end_ns / NS_PER_S)
            for stage in load.series.stages
        ],
        histograms=_histograms(load.total, catalogue, judged),
        blocks=_blocks(load.series, catalogue, judged),
        worst_calls=worst_calls(load.calls, captures or {}),
        call_table=_interesting(rows),
        harness=[_shard_health(generator, catalogue) for generator in load.generators],
        notes=list(load.notes),
    )


def utc_text(time_ns: int) -> str:
    """Return a moment (ns since the Unix epoch) as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def call_counts(total: Snapshot) -> CallCounts:
    """Return what became of the calls."""
    requested, established = total.count("calls.requested"), total.count("calls.established")
    return CallCounts(
        requested=requested,
        established=established,
        failed=total.count("calls.failed"),
        dropped=total.count("calls.dropped"),
        leaked=total.count("calls.leaked"),
        success_ratio=established / requested if requested else None,
    )


def metric_values(total: Snapshot, catalogue: Catalogue) -> dict[str, MetricValues]:
    """Return all metrics that were measured, in the layout of the record (``calls.*`` has a place of its own)."""
    values: dict[str, MetricValues] = {}
    for metric in catalogue:
        if metric.name.startswith("calls.") or not _was_measured(metric, total):
            continue
        family, _, name = metric.name.partition(".")
        if metric.kind == "distribution":
            values[metric.name] = _distribution(metric, total)
        elif name:
            values.setdefault(family, {})[name] = total.value(metric)
        else:
            values[metric.name] = {"value": total.value(metric), "unit": metric.unit}
    return values


def series_values(
    series: TimeSeries, catalogue: Catalogue, thresholds: Iterable[ParsedThreshold], rows: Sequence[CallRow]
) -> dict[str, list[float | None]]:
    """Return one value an interval: p50 and p99 of distributions, every stat that a threshold is about, all others."""
    intervals = list(series.intervals())
    wanted = [
        (metric, stat) for metric in catalogue for stat in (_SERIES_STATS if metric.kind == "distribution" else (None,))
    ]
    wanted += [(item.metric, item.stat) for item in thresholds if item.metric.kind == "distribution"]
    values: dict[str, list[float | None]] = {"t": [interval.start_ns / NS_PER_S for interval in intervals]}
    if rows:
        values["calls.active"] = [_calls_at(rows, interval.start_ns / NS_PER_S) for interval in intervals]
    for metric, stat in wanted:
        column = [interval.values.value(metric, stat) for interval in intervals]
        if any(column):
            values[f"{metric.name}.{stat}" if stat else metric.name] = column
    return values


def threshold_records(
    thresholds: Sequence[ParsedThreshold], outcomes: Sequence[ThresholdOutcome], sources: Mapping[str, str]
) -> list[Threshold]:
    """Return thresholds with what became of them; ``sources`` by canonical expression."""
    return [
        Threshold(
            expression=outcome.expression,
            value=outcome.value,
            limit=outcome.limit,
            verdict=outcome.verdict.value,
            sentence=outcome.sentence,
            metric=threshold.metric.name,
            stat=threshold.stat or "",
            op=threshold.operator,
            unit=outcome.unit,
            confidence=_confidence(outcome.confidence_interval),
            marginal=outcome.marginal,
            samples=outcome.samples,
            source=sources.get(outcome.expression, ""),
            stage=threshold.stage or "",
            window_s=threshold.window_ns / NS_PER_S if threshold.window_ns else None,
            broken_since_s=outcome.since_s,
        )
        for threshold, outcome in zip(thresholds, outcomes, strict=True)
    ]


def _was_measured(metric: Metric, total: Snapshot) -> bool:
    return (
        bool(total.histogram(metric.name).count) if metric.kind == "distribution" else total.value(metric) is not None
    )


def _distribution(metric: Metric, total: Snapshot) -> MetricValues:
    stats = {name: total.value(metric, stat) for name, stat in _STATS.items()}
    ends = {name: total.value(metric, name) for name in ("min", "mean", "max")}
    return {
        "count": total.histogram(metric.name).count,
        "min": ends["min"],
        "mean": ends["mean"],
        **stats,
        "max": ends["max"],
        "unit": metric.unit,
    }


def _confidence(ends: Ends | None) -> Confidence | None:
    return None if ends is None else Confidence(low=ends[0], high=ends[1])


def _kept(values: Snapshot, catalogue: Catalogue, judged: Iterable[str]) -> list[Metric]:
    """Return the distributions with samples whose histograms are worth keeping."""
    names = dict.fromkeys([*_KEPT_WHOLE, *judged])
    known = [catalogue.lookup(name) for name in names if name in catalogue]
    return [metric for metric in known if metric.kind == "distribution" and values.histogram(metric.name).count]


def _histograms(total: Snapshot, catalogue: Catalogue, judged: Iterable[str]) -> dict[str, EncodedHistogram]:
    return {
        metric.name: EncodedHistogram(
            hdr=total.histogram(metric.name).encode(), step=1 / metric.steps_per_unit, unit=metric.unit
        )
        for metric in _kept(total, catalogue, judged)
    }


def _blocks(series: TimeSeries, catalogue: Catalogue, judged: Iterable[str]) -> BlockHistograms | None:
    """Return the histograms of up to ``MAX_BLOCKS`` blocks of whole intervals; None for an empty series."""
    intervals = list(series.intervals())
    if not intervals:
        return None
    width = -(-len(intervals) // MAX_BLOCKS)
    blocks = [
        Snapshot.sum_of(interval.values for interval in intervals[start : start + width])
        for start in range(0, len(intervals), width)
    ]
    kept = _kept(Snapshot.sum_of(blocks), catalogue, judged)
    return BlockHistograms(
        block_s=width * series.interval_ns / NS_PER_S,
        histograms={metric.name: [block.histogram(metric.name).encode() for block in blocks] for metric in kept},
    )


def _calls_at(rows: Iterable[CallRow], t_s: float) -> float:
    """Return how many calls were up at a moment."""
    return float(
        sum(
            row.setup_s is not None
            and row.started_s + row.setup_s <= t_s
            and (row.ended_s is None or t_s < row.ended_s)
            for row in rows
        )
    )


def _call_row(call: MeasuredCall) -> CallRow:
    since_start = None if call.established_ns is None else (call.established_ns - call.started_ns) / NS_PER_S
    return CallRow(
        id=call.id,
        outcome=call.state,
        started_s=call.started_ns / NS_PER_S,
        setup_s=since_start,
        first_packet_s=None if call.first_packet_ns is None else call.first_packet_ns / NS_PER_S,
        ended_s=None if call.closed_ns is None else call.closed_ns / NS_PER_S,
        shard=call.shard,
        reason=call.reason,
        values=dict(call.values),
    )


def _interesting(rows: list[CallRow]) -> list[CallRow]:
    """Return all rows, or where they are too many those that failed and the slowest, in starting order."""
    if len(rows) <= MAX_CALL_ROWS:
        return rows
    ranked = sorted(rows, key=lambda row: (row.outcome == "ended", -(row.setup_s or 0.0)))
    return sorted(ranked[:MAX_CALL_ROWS], key=lambda row: row.started_s)


def _shard_health(generator: MeasuredGenerator, catalogue: Catalogue) -> ShardHealth:
    values = Snapshot.from_plain(generator.values)

    def figure(name: str, stat: str) -> float | None:
        return values.value(catalogue.lookup(name), stat)

    return ShardHealth(
        shard=generator.shard,
        host=generator.host,
        pacing_p99_s=figure("harness.pacing_error", "p99"),
        pacing_max_s=figure("harness.pacing_error", "max"),
        receive_drops=values.count("harness.receive_drops"),
        cpu_ratio=figure("harness.cpu", "mean"),
        clock_floor_s=figure("harness.clock_floor", "p50"),
        scheduler="SCHED_FIFO" if generator.realtime else "SCHED_OTHER",
        receive_buffer_bytes=generator.receive_buffer_bytes,
        remarks=_remarks(generator, values),
    )


def _remarks(generator: MeasuredGenerator, values: Snapshot) -> list[str]:
    """Return what a reader should know of a generator besides its figures."""
    remarks = []
    if generator.backend != "mmsg":
        remarks.append("moved packets one by one, for want of sendmmsg and recvmmsg: expect a later pace")
    if steps := values.count("harness.clock_steps"):
        remarks.append(f"the system clock was set {steps:,} times during the load")
    if unsent := values.count("harness.not_sent"):
        remarks.append(f"{unsent:,} packets that the schedule called for were not sent")
    return remarks
