"""The few figures that sum a scenario up, as every report shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_ari_sla.reporting.record.run_record import ReportSection
from pytest_ari_sla.reporting.wording.values import show

if TYPE_CHECKING:
    from pytest_ari_sla.metrics.metric import Place
    from pytest_ari_sla.reporting.record.run_record import MetricValues, RunRecord, Scenario, ShownMetric

__all__ = [
    "Tile",
    "counts_of",
    "distributions_of",
    "headline",
    "number",
    "sections",
    "shown_in",
    "single_figure",
    "tiles",
]

_BADNESS: Final = ("fail", "inconclusive", "pass")


@dataclass(frozen=True)
class Tile:
    """One figure with its name.

    Attributes
    ----------
    label, figure, more
        Its name, the value, and a word on it.
    verdict
        The worst verdict of the thresholds on this metric; empty without any.
    """

    label: str
    figure: str
    more: str = ""
    verdict: str = ""


def headline(record: RunRecord) -> str:
    """Return the run's outcome in one sentence."""
    bad = [scenario for scenario in record.scenarios if scenario.verdict in _BADNESS[:2]]
    known = sum(scenario.verdict == "xfail" for scenario in record.scenarios)
    total = len(record.scenarios)
    if not record.scenarios:
        return "No scenario put a load on the target."
    if total == 1 and known:
        return record.scenarios[0].reason
    if not bad and known:
        return f"Of {total} scenarios {total - known} keep their SLA; {known} do not, as expected (xfail)."
    if not bad:
        return "The scenario keeps its SLA." if total == 1 else f"All {total} scenarios keep their SLA."
    if total == 1:
        return bad[0].reason
    counts = ", ".join(
        f"{count} {'fail' if verdict == 'fail' else 'inconclusive'}"
        for verdict in _BADNESS[:2]
        if (count := sum(scenario.verdict == verdict for scenario in bad))
    )
    return f"Of {total} scenarios: {counts}."


def sections(record: RunRecord) -> list[ReportSection]:
    """Return the parts that plug-ins have added to a run."""
    # What a plug-in left there may be any object: shown as text, it does not cost the report.
    extras = [
        ReportSection(title=name, paragraphs=[msgspec.json.encode(value, enc_hook=str).decode()])
        for name, value in record.extra.items()
    ]
    return [*record.sections, *extras]


def tiles(scenario: Scenario) -> list[Tile]:
    """Return the key figures, those of metrics that were measured."""
    return [_calls_tile(scenario), *(_tile(scenario, item) for item in shown_in(scenario, "tile"))]


def shown_in(scenario: Scenario, place: Place) -> list[ShownMetric]:
    """Return the metrics that are shown first in a place, in their order."""
    return [item for item in scenario.shown if place in item.places]


def single_figure(scenario: Scenario, name: str, unit: str) -> str:
    """Return a count or ratio for people, from where the record holds it."""
    family, _, part = name.partition(".")
    return number(scenario.metrics.get(family, {}), part or "value", unit)


def _tile(scenario: Scenario, item: ShownMetric) -> Tile:
    """Return the tail of a distribution, on its bad side, or what a count or ratio came to."""
    if item.kind != "distribution":
        parts = [single_figure(scenario, name, "count") for name in (item.numerator, item.denominator) if name]
        family = item.metric.partition(".")[0]
        figure = single_figure(scenario, item.metric, item.unit)
        return Tile(item.label, figure, " of ".join(parts), _verdict_on(scenario, family))
    values, verdict = scenario.metrics.get(item.metric, {}), _verdict_on(scenario, item.metric)
    if item.better == "higher":
        label = f"Worst {item.label[:1].lower()}{item.label[1:]}"
        return Tile(label, number(values, "min"), f"median {number(values, 'p50')}", verdict)
    more = f"p50 {number(values, 'p50')}, max {number(values, 'max')}"
    return Tile(f"{item.label} p99", number(values, "p99"), more, verdict)


def _calls_tile(scenario: Scenario) -> Tile:
    calls = scenario.calls
    trouble = [
        f"{count:,} {name}"
        for count, name in (
            (calls.failed, "failed"),
            (calls.dropped, "dropped"),
            (calls.leaked, "left behind"),
            (calls.left_unknown, "perhaps left behind"),
        )
        if count
    ]
    more = f"{scenario.topology}, {scenario.codec}; {', '.join(trouble) or 'all up'}"
    return Tile("Calls", f"{calls.established:,} of {calls.requested:,}", more, _verdict_on(scenario, "calls"))


def distributions_of(scenario: Scenario) -> list[tuple[str, MetricValues]]:
    """Return the metrics that are distributions and have samples."""
    return [item for item in sorted(scenario.metrics.items()) if item[1].get("count") and "p50" in item[1]]


def counts_of(scenario: Scenario) -> list[tuple[str, str]]:
    """Return counts and ratios as text, one line for each family."""
    return [
        (name, _family(values))
        for name, values in sorted(scenario.metrics.items())
        if not {"p50", "count"} & values.keys()
    ]


def number(values: MetricValues, name: str, unit: str = "") -> str:
    """Return one figure of a metric for people; ``unit`` where the metric does not tell its own."""
    value = values.get(name)
    return show(value if isinstance(value, int | float) else None, unit or str(values.get("unit", "")))


def _family(values: MetricValues) -> str:
    if "value" in values:
        return number(values, "value")
    return ", ".join(
        f"{name} {number(values, name, 'ratio' if name.endswith(('ratio', 'density', 'cpu')) else 'count')}"
        for name in values
    )


def _verdict_on(scenario: Scenario, metric: str) -> str:
    # With the dot, lest a name be found in a longer one that only begins like it.
    verdicts = {item.verdict for item in scenario.thresholds if f"{item.metric}.".startswith(f"{metric}.")}
    return next((verdict for verdict in _BADNESS if verdict in verdicts), "")
