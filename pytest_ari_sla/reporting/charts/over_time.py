"""Charts over the time of a load: one for each metric, with the stages and the limits drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.charts.chart import (
    BASE,
    LINE_COLOURS,
    Chart,
    Limit,
    Option,
    drawable,
    formatter,
    limit_lines,
    rounded,
    y_axis,
)
from pytest_ari_sla.reporting.figures import shown_in
from pytest_ari_sla.reporting.wording.values import show

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import Scenario, ShownMetric

__all__ = ["time_charts", "unit_of"]

Series = dict[str, list[float | None]]

_CALL_COUNTS: Final = {
    "calls.active": "up",
    "calls.requested": "started",
    "calls.failed": "failed",
    "calls.dropped": "dropped",
    "calls.not_started": "not started",
}
"""Which counts of calls are drawn, and what their lines are called."""
_CALLS_TITLE: Final = "Calls"
_USUAL_RANK: Final = 500
_FEW_POINTS: Final = 40
_NAMED_SHARE: Final = 0.1
"""A stage shorter than this share of the load has no room for its name."""
_STATS: Final = ("count", "min", "mean", "max")
_SAMPLING_FROM: Final = 2_000


def time_charts(scenario: Scenario, prefix: str) -> tuple[list[Chart], list[Chart]]:
    """Return a chart for each metric of the time series: those that tell most, and all others.

    A metric tells most when it is prominent, or when a threshold judges it.

    Parameters
    ----------
    scenario
        The scenario.
    prefix
        What the charts' ids begin with.
    """
    groups = _by_metric(scenario.time_series)
    ranks = {threshold.metric: _USUAL_RANK for threshold in scenario.thresholds}
    # All else is read against the number of calls: that chart comes first.
    ranks |= {_group_of_metric(item): item.rank for item in shown_in(scenario, "timeline")} | {"calls": 0}
    main = sorted(groups.keys() & ranks.keys(), key=lambda metric: (ranks[metric], metric))
    more = sorted(groups.keys() - ranks.keys())
    return (
        [_time_chart(scenario, prefix, metric, groups[metric]) for metric in main],
        [_time_chart(scenario, prefix, metric, groups[metric]) for metric in more],
    )


def unit_of(scenario: Scenario, metric: str, series: str) -> str:
    """Return the unit of a series, as far as the record tells: its metric's, that of a threshold, or by its name."""
    if unit := scenario.metrics.get(metric, {}).get("unit"):
        return str(unit)
    units = {item.metric: item.unit for item in scenario.shown}
    units |= {item.metric: item.unit for item in scenario.thresholds}
    if unit := units.get(series) or units.get(metric):
        return unit
    return "ratio" if series.endswith("ratio") else "count"


def _by_metric(time_series: Series) -> dict[str, Series]:
    """Group series that are drawn in one chart: the stats of one metric, or counts of one family."""
    groups: dict[str, Series] = {}
    for name, values in time_series.items():
        # A single value is no course of events; it is in the tables.
        if name != "t" and sum(value is not None for value in values) > 1:
            groups.setdefault(_group_of(name), {})[name] = values
    calls = groups.pop("calls", {})
    if drawn := {name: calls[name] for name in _CALL_COUNTS if name in calls}:
        groups["calls"] = drawn
    return groups


def _group_of(series: str) -> str:
    family, _, stat = series.rpartition(".")
    return family if _is_stat(stat) or stat == "ratio" or family == "calls" else series


def _group_of_metric(item: ShownMetric) -> str:
    return item.metric if item.kind == "distribution" else _group_of(item.metric)


def _title(scenario: Scenario, group: str) -> str:
    if group == "calls":
        return _CALLS_TITLE  # its chart draws counts, and none of the family's metrics that are shown elsewhere
    return next((item.title for item in scenario.shown if _group_of_metric(item) == group), group)


def _is_stat(word: str) -> bool:
    return word in _STATS or (word[:1] == "p" and word[1:].replace(".", "").isdigit())


def _time_chart(scenario: Scenario, prefix: str, metric: str, series: Series) -> Chart:
    unit = unit_of(scenario, metric, next(iter(series)))
    highest = max(value for values in series.values() for value in values if value is not None)
    limits = _limits(scenario, metric, series)
    drawn = drawable(limits, highest)
    lines = [
        _line(_CALL_COUNTS.get(name, name.removeprefix(f"{metric}.")), scenario.time_series["t"], values, colour)
        # Of more lines than colours the next one begins with the first colour again.
        for (name, values), colour in zip(series.items(), LINE_COLOURS * len(series), strict=False)
    ]
    lines[0]["markArea"] = _stage_areas(scenario, named=metric == "calls")
    # On one line only, or each would draw them again.
    lines[0]["markLine"] = limit_lines(drawn)
    option = BASE | {
        "xAxis": _time_axis(scenario),
        "yAxis": y_axis(unit, highest, drawn),
        "tooltip": {"trigger": "axis", "$value": unit, "$title": "clock"},
        "series": lines,
    }
    if len(lines) > 1:
        option["legend"] = {"top": 0, "right": 8, "icon": "roundRect", "itemWidth": 12, "itemHeight": 3}
        option["grid"] = BASE["grid"] | {"top": 26}
    hidden = [limit for limit in limits if limit not in drawn]
    caption = " ".join(f"The limit ({limit.label}) lies above this scale." for limit in hidden)
    return Chart(f"{prefix}-{metric}", _title(scenario, metric), option, caption, group=prefix)


def _line(name: str, t: list[float | None], values: list[float | None], colour: str) -> Option:
    line: Option = {
        "type": "line",
        "name": name,
        "data": [[rounded(moment), rounded(value)] for moment, value in zip(t, values, strict=False)],
        "showSymbol": sum(value is not None for value in values) <= _FEW_POINTS,
        "symbolSize": 4,
        "lineStyle": {"width": 1.75},
        "color": colour,
        "emphasis": {"disabled": True},
    }
    if len(t) > _SAMPLING_FROM:
        line["sampling"] = "minmax"  # a peak must not vanish
    return line


def _time_axis(scenario: Scenario) -> Option:
    return {
        "type": "value",
        "min": 0,
        "max": max(scenario.duration_s, *(t for t in scenario.time_series["t"] if t is not None), 1.0),
        "axisLabel": {"formatter": formatter("clock"), "color": "--ink-2", "fontSize": 11, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": "--line-2"}},
        "axisPointer": {"lineStyle": {"color": "--ink-2", "type": "solid"}},
        "splitLine": {"show": False},
    }


def _limits(scenario: Scenario, metric: str, series: Series) -> list[Limit]:
    """Return the limits of thresholds that judge what a chart shows; those of counts hold for the whole load only."""
    return [
        Limit(threshold.limit, f"{threshold.op} {show(threshold.limit, threshold.unit)}")
        for threshold in scenario.thresholds
        if threshold.unit != "count"
        and (
            f"{threshold.metric}.{threshold.stat}" in series or threshold.metric in series or threshold.metric == metric
        )
    ]


def _stage_areas(scenario: Scenario, *, named: bool) -> Option:
    """Return every second stage as a shaded area; names are written in one chart only, where there is room for them."""
    wide = scenario.duration_s * _NAMED_SHARE
    return {
        "silent": True,
        "label": {"show": named, "position": "insideTopLeft", "color": "--ink-2", "fontSize": 11},
        "data": [
            [
                {
                    "name": stage.name if stage.to_s - stage.from_s >= wide else "",
                    "xAxis": stage.from_s,
                    "itemStyle": {"color": "--stage" if odd % 2 else "transparent"},
                },
                {"xAxis": stage.to_s},
            ]
            for odd, stage in enumerate(scenario.stages)
        ],
    }
