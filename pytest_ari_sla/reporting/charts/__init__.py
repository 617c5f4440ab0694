"""The charts of a scenario, as plain data for Apache ECharts: pure functions of the record.

What only the browser knows is written as a token that ``templates/report.js`` replaces: a colour as the name of a CSS
variable (``--c1``), so that charts follow light, dark and print; a formatter as ``{"$format": unit}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.reporting.charts.by_call import heat_map, setup_waterfall
from pytest_ari_sla.reporting.charts.chart import Chart
from pytest_ari_sla.reporting.charts.distribution import percentile_charts
from pytest_ari_sla.reporting.charts.ladder import ladder
from pytest_ari_sla.reporting.charts.over_time import time_charts

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import Scenario

__all__ = ["Chart", "heat_map", "ladder", "percentile_charts", "scenario_charts", "setup_waterfall", "time_charts"]


def scenario_charts(scenario: Scenario, prefix: str) -> dict[str, list[Chart]]:
    """Return all charts of a scenario by section: time, more, distribution, calls, setup, ladder."""
    main, more = time_charts(scenario, prefix)
    return {
        "ladder": [chart for chart in [ladder(scenario, prefix)] if chart],
        "time": main,
        "more": more,
        "distribution": percentile_charts(scenario, prefix),
        "calls": [chart for chart in [heat_map(scenario, prefix)] if chart],
        "setup": [chart for chart in [setup_waterfall(scenario, prefix)] if chart],
    }
