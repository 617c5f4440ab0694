"""Charts that tell calls apart: the heat map of every call over time, and how long each took to be set up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.charts.chart import BASE, Chart, Option, formatter, rounded
from pytest_ari_sla.reporting.wording.values import show

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import CallGrid, CallRow, Scenario

__all__ = ["heat_map", "setup_waterfall"]

_MOST_ROWS: Final = 200
_MOST_BARS: Final = 40
_BAR_PX: Final = 13
_BELOW: Final = ("--h1", "--h2", "--h3")
_BEYOND: Final = ("--h4", "--h5", "--h6")
_SPLITS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Bounds of the colours as multiples of the limit: three colours below it, three beyond."""

Cells = list[list[float | None]]


def heat_map(scenario: Scenario, prefix: str) -> Chart | None:
    """Return one metric of every call over time; None where the record holds none.

    More than ``_MOST_ROWS`` calls share rows with their neighbours in starting order; a row shows the worst of them.
    """
    grid = scenario.call_grid
    if grid is None or not grid.values or not grid.t:
        return None
    share = math.ceil(len(grid.values) / _MOST_ROWS)
    rows = [_worst(grid.values[start : start + share]) for start in range(0, len(grid.values), share)]
    scale, from_limit = _scale(scenario, grid)
    option = BASE | {
        "xAxis": _category_axis([str(rounded(t)) for t in grid.t], "clock"),
        "yAxis": _category_axis(
            [_row_name(grid.calls[start : start + share]) for start in range(0, len(grid.calls), share)], "call"
        )
        # ECharts puts the first name at the bottom.
        | {"inverse": True},
        "visualMap": {"type": "piecewise", "show": False, "pieces": _pieces(scale)},
        "tooltip": {"position": "top", "$cell": grid.unit},
        "series": [{"type": "heatmap", "$cells": [[rounded(cell) for cell in row] for row in rows], "progressive": 0}],
    }
    name = f"{grid.metric} ({grid.stat})" if grid.stat else grid.metric
    caption = (
        f"One row {'a call' if share == 1 else f'for {share} calls, showing the worst of them'}, in starting order."
    )
    caption += " Warm colours lie beyond the limit." if from_limit else " Warm colours are the slowest tenth."
    height = min(460, max(120, 60 + 8 * len(rows)))
    return Chart(
        f"{prefix}-heat-map",
        f"Every call: {name}",
        option,
        caption,
        height_px=height,
        renderer="canvas",
        legend=_legend(scale, grid.unit),
    )


def setup_waterfall(scenario: Scenario, prefix: str) -> Chart | None:
    """Return how long each call took until its media path was complete and until its first packet, from its own start.

    Of more than ``_MOST_BARS`` calls the slowest are shown. None where no call was set up.
    """
    done = [call for call in scenario.call_table if call.setup_s is not None]
    if not done:
        return None
    slowest = sorted(done, key=lambda call: -_ready_s(call))[:_MOST_BARS]
    shown = sorted(slowest, key=lambda call: call.started_s)
    steps = [
        ("set-up", "--c1", [rounded(call.setup_s) for call in shown]),
        ("until the first packet", "--c2", [rounded(_ready_s(call) - (call.setup_s or 0)) for call in shown]),
    ]
    option = BASE | {
        "grid": BASE["grid"] | {"top": 26},
        "legend": {"top": 0, "right": 8, "icon": "roundRect", "itemWidth": 12, "itemHeight": 8},
        "xAxis": {
            "type": "value",
            "axisLabel": {"formatter": formatter("s"), "color": "--ink-2", "fontSize": 11, "hideOverlap": True},
            "splitLine": {"lineStyle": {"color": "--line"}},
        },
        "yAxis": _category_axis([call.id for call in shown], "call") | {"inverse": True},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "$value": "s", "$title": "call"},
        "series": [
            {"type": "bar", "name": name, "stack": "call", "data": data, "color": colour, "barCategoryGap": "25%"}
            for name, colour, data in steps
        ],
    }
    which = "All calls" if len(shown) == len(done) else f"The {len(shown)} slowest of {len(done):,} calls"
    caption = f"{which}, each from its own first request, in starting order."
    return Chart(
        f"{prefix}-waterfall", "Set-up, call by call", option, caption, height_px=60 + _BAR_PX * max(len(shown), 6)
    )


def _ready_s(call: CallRow) -> float:
    """Return when a call was ready to use: its first packet, or else its set-up."""
    # The first packet may come before the set-up is complete.
    return max(call.setup_s or 0.0, call.first_packet_s or 0.0)


def _worst(rows: Cells) -> list[float | None]:
    """Return the highest value of each column."""
    return [max((cell for cell in column if cell is not None), default=None) for column in zip(*rows, strict=True)]


def _row_name(calls: list[str]) -> str:
    return calls[0] if len(calls) == 1 else f"{calls[0]} … {calls[-1]}"


def _category_axis(names: list[str], format_name: str, labels: int = _MOST_BARS) -> Option:
    """Return an axis of names, of which at most ``labels`` are written."""
    return {
        "type": "category",
        "data": names,
        "axisLabel": {
            "formatter": formatter(format_name),
            "color": "--ink-2",
            "fontSize": 10,
            # ECharts counts the labels that are left out between two.
            "interval": math.ceil(len(names) / labels) - 1,
            "hideOverlap": True,
        },
        "axisLine": {"lineStyle": {"color": "--line-2"}},
        "axisTick": {"show": False},
        "splitArea": {"show": False},
    }


def _scale(scenario: Scenario, grid: CallGrid) -> tuple[list[float], bool]:
    """Return the bounds between six colours, and whether they come from a limit; else from the cells themselves.

    A limit that all cells are far below would give them all one colour.
    """
    limits = [item.limit for item in scenario.thresholds if item.metric == grid.metric and item.unit == grid.unit]
    cells = sorted(cell for row in grid.values for cell in row if cell is not None)
    if limits and cells and cells[-1] >= min(limits) * _SPLITS[1]:
        return [min(limits) * split for split in _SPLITS], True
    places = (0.3, 0.6, 0.9, 0.97, 0.995)
    return [cells[int(place * (len(cells) - 1))] if cells else 0.0 for place in places], False


def _pieces(bounds: list[float]) -> list[Option]:
    """Return the six classes of values, each with its colour."""
    edges = [None, *bounds, None]
    return [
        {"color": colour} | ({} if low is None else {"gte": low}) | ({} if high is None else {"lt": high})
        for low, high, colour in zip(edges, edges[1:], _BELOW + _BEYOND, strict=False)
    ]


def _legend(bounds: list[float], unit: str) -> tuple[tuple[str, str], ...]:
    """Return the same for people."""
    texts = [f"< {show(bound, unit)}" for bound in bounds] + [f"from {show(bounds[-1], unit)}"]
    return tuple(zip(_BELOW + _BEYOND, texts, strict=True))
