"""Comparing stored reports: the same scenarios of two runs, figure by figure, from their records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.reporting.record.run_record import BaselineComparison, Comparison
from pytest_ari_sla.reporting.run_comparison import compare_all, target_name
from pytest_ari_sla.sla import baseline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.reporting.record.record_figures import Change
    from pytest_ari_sla.reporting.record.run_record import Capacity, RunRecord, Scenario

__all__ = ["compare_capacities", "compare_runs", "compare_scenarios", "with_baseline"]

_NS_PER_S: Final = 10**9


def with_baseline(
    scenario: Scenario,
    earlier: RunRecord,
    catalogue: Catalogue,
    max_regression: float,
    source: str = "",
    *,
    floor_s: float = baseline.FLOOR_S,
) -> BaselineComparison | None:
    """Compare a scenario with the one of the same name in an earlier run; None where that run has none.

    Parameters
    ----------
    scenario
        The scenario of this run.
    earlier
        The baseline.
    catalogue
        All metrics; what is not in it cannot be compared.
    max_regression
        Relative change for the worse that is accepted: 0.1 for 10 %.
    source
        Where the baseline was read from, for the report.
    floor_s
        Time by which a figure in seconds may get worse in any case.
    """
    before = next((other for other in earlier.scenarios if other.nodeid == scenario.nodeid), None)
    if before is None:
        return None
    return BaselineComparison(
        run_id=earlier.run.id,
        source=source,
        target=target_name(earlier.run.target),
        verdict_before=before.verdict,
        max_regression=max_regression,
        comparisons=compare_scenarios([before], [scenario], catalogue, max_regression, floor_s),
    )


def compare_runs(
    before: RunRecord,
    after: RunRecord,
    catalogue: Catalogue,
    max_regression: float = 0.1,
    floor_s: float = baseline.FLOOR_S,
) -> RunRecord:
    """Return ``after`` with the comparison to ``before`` in each scenario that both have; neither is changed."""
    scenarios = [
        replace(scenario, baseline=with_baseline(scenario, before, catalogue, max_regression, floor_s=floor_s))
        for scenario in after.scenarios
    ]
    return replace(after, scenarios=scenarios, comparison=compare_all(scenarios, target_name(after.run.target)))


def compare_scenarios(
    before: Sequence[Scenario],
    after: Sequence[Scenario],
    catalogue: Catalogue,
    max_regression: float,
    floor_s: float = baseline.FLOOR_S,
) -> list[Comparison]:
    """Compare two loads: what thresholds judge, and the prominent figures, as far as both runs have them.

    Parameters
    ----------
    before, after
        The turns of each load, at least one.
    catalogue, max_regression, floor_s
        As in :func:`with_baseline`.

    Two searches for the capacity are compared by their answers alone: they were loaded with different numbers of calls.
    """
    if (old := before[-1].capacity) is not None and (new := after[-1].capacity) is not None:
        return [compare_capacities(old, new, max_regression)]
    judged = [(item.metric, item.stat) for item in after[-1].thresholds]
    prominent = [(metric.name, stat or "") for metric in catalogue.prominent() for stat in metric.compared_stats]
    figures = dict.fromkeys([*judged, *prominent])
    compared = []
    for name, stat in figures:
        if name in catalogue and stat != "count":
            metric = catalogue.lookup(name)
            earlier, later = (_turns_of(scenarios, metric) for scenarios in (before, after))
            if earlier and later:
                lags_s = [_lag_s(scenario, metric) for scenario in (*before, *after)]
                # The user's floor may lie below what this tool itself can tell from no change.
                least_s = max(floor_s, baseline.own_floor_s(metric, stat, lags_s))
                (result,) = baseline.compare(earlier, later, [(metric, stat or None)], max_regression, least_s)
                compared.append(_recorded(result, metric))
    return compared


def compare_capacities(before: Capacity, after: Capacity, max_regression: float) -> Comparison:
    """Compare what two targets carry: each is known to lie between a level that was carried and one that was not."""
    change = after.calls / before.calls - 1 if before.calls else None
    words = f"{after.calls:,} {after.per} are carried after {before.calls:,}"
    verdict: Change = "cannot tell"
    allowed = max_regression * before.calls
    ends = (before.interval[1], after.interval[1])
    if before.per != after.per:
        words = f"{after.per} cannot be compared with {before.per}"
    # Only where it is known that what was carried before is not carried now, and likewise the other way round.
    elif ends[1] is not None and ends[1] <= before.calls and before.calls - after.calls > allowed:
        verdict = "worse"
    elif ends[0] is not None and ends[0] <= after.calls and after.calls - before.calls > allowed:
        verdict = "better"
    elif (None not in ends and abs(after.calls - before.calls) <= allowed) or (
        before.limited_by == after.limited_by == "asked_for" and before.calls == after.calls
    ):
        verdict = "same"
    limits = f"before: {before.sentence}; now: {after.sentence}"
    return Comparison(
        metric="capacity",
        unit="count",
        verdict=verdict,
        before=before.calls,
        after=after.calls,
        change=change,
        sentence=f"The capacity is {verdict if verdict != 'cannot tell' else 'not told apart'}: {words} ({limits})",
    )


def _lag_s(scenario: Scenario, metric: Metric) -> float:
    """Return by how much a run may have told a time of ARI too long."""
    lag = scenario.metrics.get(metric.lag) or {}
    return float(lag.get("p99") or 0)


def _turns_of(scenarios: Sequence[Scenario], metric: Metric) -> list[TimeSeries]:
    """Rebuild what records hold of a metric over time; those that hold nothing are left out."""
    turns = []
    for scenario in scenarios:
        interval_ns, snapshots = _intervals_of(scenario, metric)
        series = TimeSeries(interval_ns)
        for number, values in enumerate(snapshots):
            series.add(number * interval_ns, values)
        if len(series):
            turns.append(series)
    return turns


def _intervals_of(scenario: Scenario, metric: Metric) -> tuple[int, list[Snapshot]]:
    """Return the length of an interval in ns, and what each of them holds of a metric."""
    if metric.kind == "distribution":
        blocks = scenario.blocks
        texts = blocks.histograms.get(metric.name, []) if blocks else []
        snapshots = [Snapshot({metric.name: Histogram.decode(text)}) for text in texts]
        return round(blocks.block_s * _NS_PER_S) if blocks else _NS_PER_S, snapshots
    columns = {name: scenario.time_series[name] for name in metric.names if name in scenario.time_series}
    starts = [t for t in scenario.time_series["t"] if t is not None]
    # One interval does not tell how long it is.
    if not columns or len(starts) < 2:
        return _NS_PER_S, []
    return round((starts[1] - starts[0]) * _NS_PER_S), [
        # A count that stayed at 0 has no column in the record.
        Snapshot({name: round(columns[name][row] or 0) if name in columns else 0 for name in metric.names})
        for row in range(len(starts))
    ]


def _recorded(result: baseline.Comparison, metric: Metric) -> Comparison:
    low, high = result.confidence_interval or (None, None)
    return Comparison(
        metric=result.figure,
        unit=metric.unit,
        verdict=result.change.value,
        before=result.baseline,
        after=result.current,
        change=result.effect,
        low=_relative(low, result.baseline),
        high=_relative(high, result.baseline),
        sentence=result.sentence,
    )


def _relative(difference: float | None, before: float | None) -> float | None:
    return difference / abs(before) if before and difference is not None else None
