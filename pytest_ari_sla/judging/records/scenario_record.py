"""Turns what was measured and judged into the record that reports are made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_ari_sla.blame.sentences import at_fault, groups_of
from pytest_ari_sla.judging.records.blames import lay_blame
from pytest_ari_sla.judging.records.call_grid import call_grid
from pytest_ari_sla.judging.records.worst_calls import worst_calls
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.reporting.record import run_record as record
from pytest_ari_sla.sla.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_ari_sla.blame.rules import Blame
    from pytest_ari_sla.judging.judged_load import CapturedCall
    from pytest_ari_sla.judging.thresholds import SourcedThreshold
    from pytest_ari_sla.load.results.outcome import CallOutcome, GeneratorHealth, LoadOutcome
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.time_series import TimeSeries
    from pytest_ari_sla.sla.verdict import Judgement, ThresholdOutcome

__all__ = ["call_rows", "scenario_record", "shown_metrics"]

_STATS = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p999": "p99.9"}
_SERIES_STATS = ("p50", "p99")
_TABLE_CALLS = 1000
_BLOCKS = 120


def scenario_record(
    nodeid: str,
    doc: str,
    outcome: LoadOutcome,
    judgement: Judgement,
    thresholds: Sequence[SourcedThreshold],
    catalogue: Catalogue,
    captures: Mapping[str, CapturedCall] | None = None,
    *,
    comparable: bool = True,
) -> record.Scenario:
    """Return the record of one load of one test.

    Parameters
    ----------
    nodeid, doc
        The test's name and docstring.
    outcome
        What was measured.
    judgement
        What came of it.
    thresholds
        The conditions that were judged, in the order of the judgement's outcomes.
    catalogue
        All metrics of the session.
    captures
        What was kept of calls, by their id.
    comparable
        Whether later runs may be compared with this one: that takes the distributions of many spans of time, which are
        the largest part of a record, and take seconds to encode for a load of a thousand calls.
    """
    total = outcome.total
    blames = lay_blame(outcome, any_loss=_loses_too_much(judgement, thresholds))
    return record.Scenario(
        nodeid=nodeid,
        doc=doc,
        topology=outcome.topology,
        codec=outcome.codec,
        verdict=judgement.verdict.value,
        reason=judgement.reason,
        started=datetime.fromtimestamp(outcome.started_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        duration_s=outcome.duration_ns / 1e9,
        calls=_call_counts(total, catalogue),
        metrics=_metrics(total, catalogue),
        shown=shown_metrics(metric for metric in catalogue if _is_measured(total, metric)),
        thresholds=list(map(_threshold, judgement.outcomes, thresholds)),
        time_series=_time_series(outcome.series, catalogue, thresholds),
        stages=[
            record.Stage(name=stage.name, from_s=stage.start_ns / 1e9, to_s=stage.end_ns / 1e9)
            for stage in outcome.series.stages
        ],
        histograms={
            metric.name: record.EncodedHistogram(
                hdr=total.histogram(metric.name).encode(), step=metric.resolution, unit=metric.unit
            )
            for metric in _measured_distributions(total, catalogue)
        },
        blocks=_blocks(outcome.series, _compared(total, catalogue)) if comparable else None,
        worst_calls=worst_calls(outcome.calls, captures or {}, catalogue, blames=blames),
        call_table=_call_table(outcome.calls, blames),
        blame=[
            record.BlameGroup(side=blame.side.value, why=blame.why, calls=calls)
            for blame, calls in groups_of(blames.values())
        ],
        call_grid=call_grid(outcome.calls, outcome.duration_ns),
        harness=[_health(generator, catalogue) for generator in outcome.generators],
        notes=list(outcome.notes),
    )


def shown_metrics(metrics: Iterable[Metric]) -> list[record.ShownMetric]:
    """Return how reports are to show metrics, in that order; those that nothing is to be said of are left out."""
    return [
        record.ShownMetric(
            metric=metric.name,
            kind=metric.kind,
            unit=metric.unit,
            better=metric.better,
            title=metric.title or metric.name,
            label=metric.label or metric.title or metric.name,
            places=list(metric.places) if metric.prominent else [],
            rank=metric.rank,
            numerator=metric.numerator,
            denominator=metric.denominator,
        )
        for metric in sorted(metrics, key=lambda metric: metric.rank)
        if metric.title or metric.prominent
    ]


def _is_measured(total: Snapshot, metric: Metric) -> bool:
    if metric.kind == "distribution":
        return metric.name in total and total.histogram(metric.name).count > 0
    return total.value(metric) is not None and any(name in total for name in metric.names)


def _measured_distributions(total: Snapshot, catalogue: Catalogue) -> list[Metric]:
    return [metric for metric in catalogue if metric.kind == "distribution" and _is_measured(total, metric)]


def _compared(total: Snapshot, catalogue: Catalogue) -> list[str]:
    """Return the distributions that later runs may be compared by: not the generator's own health."""
    names = (metric.name for metric in _measured_distributions(total, catalogue))
    return [name for name in names if not name.startswith("harness.")]


def _call_counts(total: Snapshot, catalogue: Catalogue) -> record.CallCounts:
    return record.CallCounts(
        requested=total.count("calls.requested"),
        established=total.count("calls.established"),
        failed=total.count("calls.failed"),
        dropped=total.count("calls.dropped"),
        not_started=total.count("calls.not_started"),
        leaked=total.count("calls.leaked"),
        left_unknown=total.count("calls.left_unknown"),
        success_ratio=total.value(catalogue.lookup("calls.success_ratio")),
    )


def _metrics(total: Snapshot, catalogue: Catalogue) -> dict[str, record.MetricValues]:
    result: dict[str, record.MetricValues] = {}
    for metric in _measured_distributions(total, catalogue):
        values: record.MetricValues = {"count": total.histogram(metric.name).count}
        values |= {stat: total.value(metric, stat) for stat in ("min", "mean")}
        values |= {name: total.value(metric, stat) for name, stat in _STATS.items()}
        result[metric.name] = values | {"max": total.value(metric, "max"), "unit": metric.unit}
    for metric in catalogue:
        if metric.kind == "distribution" or (metric.name not in total and not metric.numerator):
            continue
        value = total.value(metric)
        family, dot, name = metric.name.partition(".")
        if dot:
            result.setdefault(family, {})[name] = value
        elif value is not None:
            result[family] = {"value": value, "unit": metric.unit}
    return result


def _threshold(result: ThresholdOutcome, sourced: SourcedThreshold) -> record.Threshold:
    threshold = sourced.threshold
    interval = result.confidence_interval
    return record.Threshold(
        expression=result.expression,
        value=result.value,
        limit=result.limit,
        verdict=result.verdict.value,
        sentence=result.sentence,
        metric=threshold.metric.name,
        stat=threshold.stat or "",
        op=threshold.operator,
        unit=result.unit,
        confidence=None if interval is None else record.Confidence(low=interval[0], high=interval[1]),
        marginal=result.marginal,
        samples=result.samples,
        source=sourced.source,
        overrides=list(sourced.overrides),
        stage=result.stage or "",
        window_s=None if threshold.window_ns is None else threshold.window_ns / 1e9,
        broken_since_s=result.since_s,
    )


def _time_series(
    series: TimeSeries, catalogue: Catalogue, thresholds: Iterable[SourcedThreshold]
) -> dict[str, list[float | None]]:
    """Return one value an interval of all counts and ratios, the usual percentiles, and every stat that is judged."""
    intervals = list(series.intervals())
    columns: dict[str, list[float | None]] = {"t": [interval.start_ns / 1e9 for interval in intervals]}
    # From counts that add up over shards: a level of each would have to be taken at one moment.
    up = 0
    active: list[float | None] = []
    for interval in intervals:
        counts = interval.values
        up += counts.count("calls.established") - counts.count("calls.ended") - counts.count("calls.dropped")
        active.append(float(up))
    columns["calls.active"] = active
    wanted = [(metric, stat) for metric in catalogue for stat in _series_stats(metric)]
    wanted += [(sourced.threshold.metric, sourced.threshold.stat) for sourced in thresholds]
    for metric, stat in wanted:
        values = [interval.values.value(metric, stat) for interval in intervals]
        # Most counts of faults are zero throughout: their columns would only make the report larger.
        if any(values):
            columns[f"{metric.name}.{stat}" if stat else metric.name] = values
    return columns


def _series_stats(metric: Metric) -> tuple[str | None, ...]:
    return _SERIES_STATS if metric.kind == "distribution" else (None,)


def _blocks(series: TimeSeries, names: list[str]) -> record.BlockHistograms | None:
    """Return the distributions of consecutive spans of time, few enough to keep the report small."""
    intervals = list(series.intervals(names))
    if not intervals:
        return None
    # Rounded up: never more blocks than that.
    width = -(-len(intervals) // _BLOCKS)
    groups = [
        Snapshot.sum_of(interval.values for interval in intervals[first : first + width])
        for first in range(0, len(intervals), width)
    ]
    return record.BlockHistograms(
        block_s=width * series.interval_ns / 1e9,
        histograms={name: [group.histogram(name).encode() for group in groups] for name in names},
    )


def _loses_too_much(judgement: Judgement, thresholds: Sequence[SourcedThreshold]) -> bool:
    """Whether a limit of loss was broken: then each lost packet is somebody's fault."""
    judged = zip(judgement.outcomes, thresholds, strict=False)
    broken = {limit.threshold.metric.name for found, limit in judged if found.verdict is Verdict.FAIL}
    return any(name.startswith("loss.") for name in broken)


def _call_table(calls: Sequence[CallOutcome], blames: Mapping[str, Blame]) -> list[record.CallRow]:
    """Return calls in starting order; where they are too many, those that failed and the slowest to be set up."""

    def dullness(call: CallOutcome) -> tuple[bool, int]:
        # The time of set-up, negative: the longest comes first.
        return call.state == "ended", call.started_ns - (call.established_ns or call.started_ns)

    # 100,000 rows would make a report that no browser opens; calls.csv has them all.
    kept = sorted(calls, key=dullness)[:_TABLE_CALLS]
    return _call_rows(sorted(kept, key=lambda call: call.started_ns), blames)


def call_rows(
    outcome: LoadOutcome, judgement: Judgement, thresholds: Sequence[SourcedThreshold]
) -> list[record.CallRow]:
    """Return all calls as reports hold them; parameters as in :func:`scenario_record`."""
    return _call_rows(outcome.calls, lay_blame(outcome, any_loss=_loses_too_much(judgement, thresholds)))


def _call_rows(calls: Sequence[CallOutcome], blames: Mapping[str, Blame]) -> list[record.CallRow]:
    return [_call_row(call, blames.get(call.id)) for call in calls]


def _call_row(call: CallOutcome, blame: Blame | None) -> record.CallRow:
    return record.CallRow(
        id=call.id,
        outcome=call.state,
        started_s=call.started_ns / 1e9,
        # By the load's own loop; the metric `setup` is timed at the sockets, for each channel.
        setup_s=None if call.established_ns is None else (call.established_ns - call.started_ns) / 1e9,
        first_packet_s=None if call.first_packet_ns is None else call.first_packet_ns / 1e9,
        ended_s=None if call.closed_ns is None else call.closed_ns / 1e9,
        shard=call.shard,
        reason=call.reason,
        blame="" if blame is None else at_fault(blame.why, blame.side.value),
        values=dict(call.values),
    )


def _health(generator: GeneratorHealth, catalogue: Catalogue) -> record.ShardHealth:
    values = Snapshot.from_plain(generator.values)

    def figure(name: str, stat: str) -> float | None:
        return values.value(catalogue.lookup(name), stat)

    return record.ShardHealth(
        shard=generator.shard,
        host=generator.host,
        pacing_p99_s=figure("harness.pacing_error", "p99"),
        pacing_max_s=figure("harness.pacing_error", "max"),
        receive_drops=values.count("harness.receive_drops"),
        foreign_packets=values.count("harness.foreign_packets"),
        foreign_senders=[f"{address} ({count:,})" for address, count in generator.strangers],
        cpu_ratio=figure("harness.cpu", "max"),
        memory_min_bytes=_whole(figure("harness.memory", "min")),
        memory_max_bytes=_whole(figure("harness.memory", "max")),
        # Not the largest: one busy second of a backup says nothing of the load.
        host_ours_ratio=figure("harness.host_ours", "p90"),
        host_others_ratio=figure("harness.host_others", "p90"),
        clock_floor_s=figure("harness.clock_floor", "p50"),
        scheduler="SCHED_FIFO" if generator.realtime else "normal",
        receive_buffer_bytes=generator.receive_buffer_bytes,
        remarks=list(_remarks(generator, values)),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _remarks(generator: GeneratorHealth, values: Snapshot) -> Iterator[str]:
    if generator.backend != "mmsg":
        yield "packets were moved one by one: this system has no sendmmsg"
    if foreign := values.count("harness.foreign_packets"):
        senders = ", ".join(f"{count:,} from {address}" for address, count in generator.strangers)
        yield f"{counted(foreign, 'packet was', 'packets were')} ignored, from unknown addresses" + (
            f": {senders}" if senders else ""
        )
    if not_sent := values.count("harness.not_sent"):
        yield f"{counted(not_sent, 'packet was', 'packets were')} not sent, being more than a packet time late"
    if steps := values.count("harness.clock_steps"):
        yield f"the system clock was set {counted(steps, 'time')} during the load"
