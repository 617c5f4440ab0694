"""The percentile curve: what share of all samples stays below which value, with the tail drawn out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.reporting.charts.chart import (
    BASE,
    LINE_COLOURS,
    Chart,
    Limit,
    drawable,
    formatter,
    limit_lines,
    rounded,
    y_axis,
)
from pytest_ari_sla.reporting.figures import shown_in
from pytest_ari_sla.reporting.wording.values import show

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import EncodedHistogram, Scenario, ShownMetric

__all__ = ["percentile_charts"]

_POINTS_PER_NINE: Final = 20
_MOST_NINES: Final = 6


def percentile_charts(scenario: Scenario, prefix: str) -> list[Chart]:
    """Return a percentile curve for each of the first distributions that was kept as a histogram."""
    return [
        _percentile_chart(scenario, prefix, item, scenario.histograms[item.metric])
        for item in shown_in(scenario, "percentiles")
        if item.metric in scenario.histograms
    ]


def _percentile_chart(scenario: Scenario, prefix: str, item: ShownMetric, encoded: EncodedHistogram) -> Chart:
    metric = item.metric
    points = _curve(encoded)
    rarest = points[-1][0] if points else 0.0
    highest = max((value for _, value in points), default=0.0)
    limits = drawable(_limits(scenario, metric), highest)
    option = BASE | {
        "xAxis": {
            "type": "log",
            "min": 1,
            # An axis wants two ends: of a single sample the rarest is 1, as its beginning.
            "max": max(rarest, 10.0),
            "axisLabel": {
                "formatter": formatter("nines"),
                "color": "--ink-2",
                "fontSize": 11,
                "hideOverlap": True,
                "showMaxLabel": False,
            },
            "axisLine": {"lineStyle": {"color": "--line-2"}},
            "splitLine": {"lineStyle": {"color": "--line"}},
        },
        "yAxis": y_axis(encoded.unit, highest, limits),
        "tooltip": {"trigger": "axis", "$value": encoded.unit, "$title": "nines"},
        "series": [
            {
                "type": "line",
                "name": metric,
                "data": points,
                "showSymbol": len(points) == 1,
                "lineStyle": {"width": 1.75},
                "areaStyle": {"opacity": 0.08},
                "color": LINE_COLOURS[0],
                "emphasis": {"disabled": True},
                "markLine": limit_lines(limits),
            }
        ],
    }
    return Chart(f"{prefix}-percentiles-{metric}", item.title, option, height_px=210)


def _curve(encoded: EncodedHistogram) -> list[tuple[float, float]]:
    """Return points over 1 / (1 - share): each factor of ten on a logarithmic axis is one more nine."""
    histogram = Histogram.decode(encoded.hdr)
    points = []
    for step in range(_MOST_NINES * _POINTS_PER_NINE + 1):
        rarity = 10.0 ** (step / _POINTS_PER_NINE)
        # Of n samples none is rarer than one in n.
        if rarity > histogram.count:
            break
        rank = max(1, histogram.count - int(histogram.count / rarity))
        points.append((rounded(rarity), rounded(histogram.value_at_rank(rank) * encoded.step)))
    # The maximum, which no step may have met.
    if histogram.count > 1:
        points.append((float(histogram.count), rounded(histogram.max * encoded.step)))
    return points


def _limits(scenario: Scenario, metric: str) -> list[Limit]:
    """Return the limits of a metric's percentiles."""
    return [
        Limit(threshold.limit, f"{threshold.stat} {threshold.op} {show(threshold.limit, threshold.unit)}")
        for threshold in scenario.thresholds
        if threshold.metric == metric and threshold.unit != "count"
    ]
