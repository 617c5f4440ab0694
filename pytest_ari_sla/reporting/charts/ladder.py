"""The ladder of a search for the capacity: what broke, level by level, and what came of each step."""

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

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import Capacity, CapacityStep, Scenario, Threshold

__all__ = ["ladder"]

_COLOURS: Final = {"pass": "--pass", "fail": "--fail", "inconclusive": "--inconclusive"}
_SYMBOLS: Final = {"pass": "circle", "fail": "diamond", "inconclusive": "emptyCircle"}


def ladder(scenario: Scenario, prefix: str) -> Chart | None:
    """Return what the limit that broke first measured at each level; None where nothing was measured of any limit."""
    found = scenario.capacity
    if found is None or (limit := _limit_of(scenario, found)) is None:
        return None
    lines = {name: points for name, points in _lines(found, limit).items() if points}
    if not lines:
        return None
    highest = max(value for points in lines.values() for _, value, _ in points)
    limits = drawable([Limit(limit.limit, limit.expression)], highest)
    option = BASE | {
        "grid": BASE["grid"] | {"top": 26},
        "legend": {"top": 0, "right": 8, "itemWidth": 16, "itemHeight": 8},
        "xAxis": {
            "type": "value",
            "minInterval": 1,
            "axisLabel": {"formatter": formatter("count"), "color": "--ink-2", "fontSize": 11, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": "--line-2"}},
            "splitLine": {"show": False},
        },
        "yAxis": y_axis(limit.unit, highest, limits),
        "tooltip": {"trigger": "axis", "$value": limit.unit, "$title": "count"},
        "series": [
            _series(name, points, colour) | ({"markLine": limit_lines(limits)} if number == 0 and limits else {})
            for number, ((name, points), colour) in enumerate(zip(lines.items(), LINE_COLOURS, strict=False))
        ],
    }
    counted = "calls at a time" if found.per == "calls" else "call set-ups a second"
    caption = f"By {counted}, while each level was held."
    legend = (("--pass", "carried"), ("--fail", "not carried"), ("--inconclusive", "inconclusive"))
    return Chart(f"{prefix}-ladder", f"{limit.metric} by level", option, caption, height_px=220, legend=legend)


def _limit_of(scenario: Scenario, found: Capacity) -> Threshold | None:
    """Return the limit that broke first; where none did, the first of a distribution, or of anything."""
    broken = [item for item in scenario.thresholds if item.expression == found.broken]
    spread = [item for item in scenario.thresholds if item.stat]
    return next(iter([*broken, *spread, *scenario.thresholds]), None)


def _lines(found: Capacity, limit: Threshold) -> dict[str, list[tuple[int, float, str]]]:
    """Return (level, value, verdict) of each step by level, for what is judged and for median and tail beside it."""
    names = [f"{limit.metric}.{stat}" for stat in ("p50", "p99")] if limit.stat else []
    judged = f"{limit.metric}.{limit.stat}"
    lines = {name: _points(found.steps, name) for name in names}
    if judged not in names:
        lines[limit.expression] = _points(found.steps, limit.expression)
    return lines


def _points(steps: list[CapacityStep], name: str) -> list[tuple[int, float, str]]:
    known = ((step.level, (step.figures | step.values).get(name), step.verdict) for step in steps)
    # A search goes up and down; the line goes by level.
    return sorted((level, value, verdict) for level, value, verdict in known if value is not None)


def _series(name: str, points: list[tuple[int, float, str]], colour: str) -> Option:
    return {
        "type": "line",
        "name": name,
        "color": colour,
        "lineStyle": {"width": 1.25},
        "symbolSize": 8,
        "data": [
            {
                "value": [level, rounded(value)],
                "symbol": _SYMBOLS[verdict],
                "itemStyle": {"color": _COLOURS[verdict]},
            }
            for level, value, verdict in points
        ],
    }
