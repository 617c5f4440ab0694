"""What all charts share: their shape, their axes, and the drawing of limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, overload

__all__ = [
    "BASE",
    "LINE_COLOURS",
    "Chart",
    "Limit",
    "Option",
    "drawable",
    "formatter",
    "limit_lines",
    "rounded",
    "y_axis",
]

Option = dict[str, Any]

LINE_COLOURS: Final = ("--c1", "--c2", "--c3", "--c4")

_DIGITS: Final = 4
_LIMIT_REACH: Final = 4.0
_HEADROOM: Final = 1.15
_EMPTY_SCALE: Final = {"ratio": 0.01, "s": 0.001}
"""Where the axis of a curve that stays at 0 ends."""
_ROUND: Final = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)

BASE: Final[Option] = {
    "animation": False,
    "grid": {"left": 8, "right": 24, "top": 12, "bottom": 4, "containLabel": True},
}


@dataclass(frozen=True)
class Limit:
    """A threshold's limit, to be drawn into a chart: its value in the chart's unit, and what to call it."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes
    ----------
    id
        Unique within the report.
    title
        What is shown.
    option
        The chart for ECharts, as plain data with tokens.
    caption
        How to read it, in a sentence.
    height_px
        Height on the page.
    group
        Charts of one group share their cursor; empty for a chart of its own.
    renderer
        ``svg``, which prints well, or ``canvas``, which bears many thousand cells.
    legend
        Colours and what they mean, to be written below the chart.
    """

    id: str
    title: str
    option: Option
    caption: str = ""
    height_px: int = 170
    group: str = ""
    renderer: str = "svg"
    legend: tuple[tuple[str, str], ...] = ()


def formatter(name: str) -> Option:
    """Return the token of a formatter: a unit, or ``clock``, ``nines``, ``call``."""
    return {"$format": name}


@overload
def rounded(value: float) -> float: ...


@overload
def rounded(value: float | None) -> float | None: ...


def rounded(value: float | None) -> float | None:
    """Return a value with as many digits as a chart can show; the file stays small by it."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def drawable(limits: list[Limit], highest: float) -> list[Limit]:
    """Return the limits that can be drawn; one far above all values would press the curve to the floor."""
    return [limit for limit in limits if not highest or limit.value <= highest * _LIMIT_REACH]


def y_axis(unit: str, highest: float, limits: list[Limit]) -> Option:
    """Return the y axis for values in ``unit`` up to ``highest``, with room for the limits drawn in it."""
    axis: Option = {
        "type": "value",
        "min": 0,
        "splitNumber": 3,
        "axisLabel": {"formatter": formatter(unit), "color": "--ink-2", "fontSize": 11},
        "splitLine": {"lineStyle": {"color": "--line"}},
    }
    # ECharts scales an axis by its data alone: a limit above them would lie outside.
    top = max((limit.value for limit in limits), default=0.0)
    if top and top >= highest:
        axis["max"] = _round_up(top * _HEADROOM)
    elif not highest:
        axis["max"] = _EMPTY_SCALE.get(unit, 1.0)
    if unit == "count":
        # Or else ECharts labels half calls where there are few.
        axis["minInterval"] = 1
    return axis


def _round_up(value: float) -> float:
    """Return the next number that an axis can end with: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if step * power >= value)


def limit_lines(limits: list[Limit]) -> Option:
    """Return the dashed lines of limits, each with its label."""
    return {
        "silent": True,
        "symbol": "none",
        "animation": False,
        "lineStyle": {"color": "--fail", "type": "dashed", "width": 1.25},
        "label": {"position": "insideEndTop", "color": "--fail", "fontSize": 11},
        "precision": -1,  # by default a line is moved to two decimals, and 2 ms in seconds becomes 0
        "data": [{"yAxis": limit.value, "label": {"formatter": limit.label}} for limit in limits],
    }
