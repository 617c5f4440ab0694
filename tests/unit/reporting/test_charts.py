import re
from typing import Any

import pytest

from pytest_ari_sla.reporting.charts import Chart, heat_map, percentile_charts, scenario_charts, setup_waterfall
from pytest_ari_sla.reporting.charts import time_charts as all_time_charts
from pytest_ari_sla.reporting.charts.chart import Limit, drawable, y_axis
from pytest_ari_sla.reporting.formats.html import template_environment
from pytest_ari_sla.reporting.record.run_record import CallGrid, CallRow, Scenario, Stage, Threshold
from tests.unit.reporting.factory import make_scenario, shown_of


def time_charts(subject: Scenario, prefix: str) -> list[Chart]:
    """Return the charts over time, those that tell most first."""
    main, more = all_time_charts(subject, prefix)
    return main + more


def scenario(**changes: Any) -> Scenario:
    """Return a scenario of three seconds with an RTT and its threshold."""
    fields: dict[str, Any] = {
        "nodeid": "t",
        "verdict": "pass",
        "duration_s": 3.0,
        "metrics": {"rtt": {"unit": "s"}},
        "shown": shown_of(["rtt", "loss", "mos", "pdv", "harness.pacing_error"]),
        "time_series": {"t": [0.0, 1.0, 2.0], "rtt.p50": [0.01, None, 0.02], "rtt.p99": [0.02, 0.03, 0.04]},
        "stages": [Stage(name="ramp", from_s=0, to_s=1), Stage(name="hold", from_s=1, to_s=3)],
        "thresholds": [threshold(0.03)],
    }
    return Scenario(**(fields | changes))


def threshold(limit: float) -> Threshold:
    """Return a threshold on ``rtt.p99``."""
    return Threshold(
        expression="rtt.p99 < x", value=0.04, limit=limit, verdict="fail", metric="rtt", stat="p99", op="<", unit="s"
    )


def test_the_stats_of_a_metric_share_a_chart() -> None:
    """Median and tail are read against each other."""
    (chart,) = time_charts(scenario(), "s1")
    assert [line["name"] for line in chart.option["series"]] == ["p50", "p99"]
    assert chart.option["series"][0]["data"] == [[0.0, 0.01], [1.0, None], [2.0, 0.02]]
    assert chart.title == "Round-trip time"


def test_the_limit_and_the_stages_are_drawn_in() -> None:
    """The reader sees when a limit was passed, and in which stage."""
    (chart,) = time_charts(scenario(), "s1")
    line = chart.option["series"][0]
    assert [item["yAxis"] for item in line["markLine"]["data"]] == [0.03]
    assert line["markLine"]["data"][0]["label"]["formatter"] == "< 30 ms"
    assert [(area[0]["xAxis"], area[1]["xAxis"]) for area in line["markArea"]["data"]] == [(0, 1), (1, 3)]


def test_a_limit_far_above_all_values_is_told_instead_of_drawn() -> None:
    """It would press the curve to the floor."""
    (chart,) = time_charts(scenario(thresholds=[threshold(10)]), "s1")
    assert chart.option["series"][0]["markLine"]["data"] == []
    assert chart.caption == "The limit (< 10 s) lies above this scale."


def test_ratios_and_counts_get_charts_with_their_units() -> None:
    """Plug-ins' metrics are drawn like the tool's own."""
    series: dict[str, list[float | None]] = {
        "t": [0.0, 1.0],
        "loss.ratio": [0.5, 0.0],
        "duplicates": [3.0, 0.0],
        "calls.active": [1.0, 2.0],
        "calls.failed": [0.0, 1.0],
        "calls.ended": [0.0, 1.0],
    }
    charts = {chart.title: chart for chart in time_charts(scenario(time_series=series), "s1")}
    assert list(charts) == ["Calls", "Packet loss", "duplicates"]
    assert charts["Packet loss"].option["tooltip"]["$value"] == "ratio"
    assert len(charts["Calls"].option["series"]) == 2


def test_a_series_of_less_than_two_values_gets_no_chart() -> None:
    """A single value is no course of events; the tables have it."""
    series: dict[str, list[float | None]] = {"t": [0.0, 1.0], "rtt.p50": [None, None], "mos.p50": [None, 4.2]}
    assert time_charts(scenario(time_series=series), "s1") == []


def test_the_usual_metrics_and_those_that_are_judged_come_first() -> None:
    """A reader is not to search for the broken limit among a dozen charts."""
    values: list[float | None] = [1.0, 2.0]
    names = ("pdv.p99", "harness.pacing_error.p99", "own.p99", "rtt.p99", "calls.active")
    judged = threshold(0.03)
    judged.metric = "own"
    subject = scenario(time_series={"t": [0.0, 1.0]} | dict.fromkeys(names, values), thresholds=[judged])
    main, more = all_time_charts(subject, "s1")
    assert [chart.id for chart in main] == ["s1-calls", "s1-rtt", "s1-own", "s1-harness.pacing_error"]
    assert [chart.id for chart in more] == ["s1-pdv"]


def test_charts_over_time_share_their_cursor() -> None:
    """What happened at one moment is read in all of them at once."""
    assert {chart.group for chart in time_charts(make_scenario("fail"), "s7")} == {"s7"}


def test_a_percentile_curve_rises_and_ends_at_the_maximum() -> None:
    """It is a distribution, read from the stored histogram."""
    subject = make_scenario("fail")
    chart = next(chart for chart in percentile_charts(subject, "s1") if chart.id == "s1-percentiles-rtt")
    values = [value for _, value in chart.option["series"][0]["data"]]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(subject.metrics["rtt"]["max"], rel=0.01)


def test_many_calls_share_rows_that_show_the_worst_of_them() -> None:
    """One bad call of a thousand is still seen."""
    values: list[list[float | None]] = [[0.001, None] for _ in range(1_000)]
    values[503][0] = 9.0
    grid = CallGrid(metric="rtt", stat="mean", unit="s", t=[0, 1], calls=[f"c{n}" for n in range(1_000)], values=values)
    chart = heat_map(scenario(call_grid=grid), "s1")
    assert chart
    cells = chart.option["series"][0]["$cells"]
    assert len(cells) == 200
    assert cells[100] == [9.0, None]
    assert chart.option["yAxis"]["data"][100] == "c500 … c504"


def test_the_colours_of_the_heat_map_change_at_the_limit() -> None:
    """Warm means broken."""
    grid = CallGrid(metric="rtt", stat="mean", unit="s", t=[0], calls=["c"], values=[[0.02]])
    chart = heat_map(scenario(call_grid=grid), "s1")
    assert chart
    pieces = chart.option["visualMap"]["pieces"]
    assert [piece["color"] for piece in pieces if piece.get("lt", 99) <= 0.03] == ["--h1", "--h2", "--h3"]
    assert [piece["color"] for piece in pieces if piece.get("gte", 0) >= 0.03] == ["--h4", "--h5", "--h6"]


@pytest.mark.parametrize("limits", [[], [threshold(limit=10)]], ids=["no limit", "a limit far above"])
def test_without_a_limit_in_reach_the_colours_follow_the_cells(limits: list[Threshold]) -> None:
    """A healthy load still shows its slowest calls."""
    cells: list[list[float | None]] = [[n / 1000] for n in range(1, 101)]
    grid = CallGrid(metric="rtt", stat="", unit="s", t=[0], calls=["c"] * 100, values=cells)
    chart = heat_map(scenario(call_grid=grid, thresholds=limits), "s1")
    assert chart
    assert "slowest tenth" in chart.caption
    assert chart.option["visualMap"]["pieces"][2]["lt"] == 0.09


def test_the_waterfall_shows_the_slowest_calls_in_starting_order() -> None:
    """Forty bars can be read, a thousand cannot."""
    rows = [CallRow(id=f"c{n}", outcome="ended", started_s=n, setup_s=n / 1000, first_packet_s=0.2) for n in range(100)]
    rows.append(CallRow(id="failed", outcome="failed", started_s=5))
    chart = setup_waterfall(scenario(call_table=rows), "s1")
    assert chart
    names = chart.option["yAxis"]["data"]
    assert len(names) == 40
    assert names == sorted(names, key=lambda name: int(name[1:]))
    assert "The 40 slowest of 100 calls" in chart.caption


def test_a_first_packet_before_the_set_up_is_done_makes_no_negative_bar() -> None:
    """Media may flow before the last answer is in."""
    rows = [CallRow(id="c", outcome="ended", started_s=0, setup_s=0.3, first_packet_s=0.2)]
    chart = setup_waterfall(scenario(call_table=rows), "s1")
    assert chart
    assert [series["data"] for series in chart.option["series"]] == [[0.3], [0.0]]


def test_without_calls_there_are_no_charts_by_call() -> None:
    """Nothing to tell apart."""
    empty = scenario(call_table=[CallRow(id="f", outcome="failed", started_s=0)])
    assert heat_map(empty, "s1") is None
    assert setup_waterfall(empty, "s1") is None
    assert percentile_charts(empty, "s1") == []


def test_an_axis_ends_above_its_limit_with_a_round_number() -> None:
    """The limit's label has room, and the last tick can be read."""
    assert y_axis("s", 0.04, [Limit(0.05, "x")])["max"] == pytest.approx(0.06)
    assert "max" not in y_axis("s", 0.5, [Limit(0.05, "x")])
    assert drawable([Limit(5, "x")], 0.0) == [Limit(5, "x")]


def test_a_curve_that_stays_at_zero_gets_a_scale_that_makes_sense() -> None:
    """No loss at all is not drawn on a scale up to 100 %."""
    assert y_axis("ratio", 0.0, [Limit(0.001, "x")])["max"] == pytest.approx(0.0015)
    assert y_axis("ratio", 0.0, [])["max"] == 0.01


def test_every_token_of_a_chart_is_known_to_the_page() -> None:
    """A colour or formatter that the style sheet or script lacks would fail in the browser only."""
    environment = template_environment()
    asset = environment.globals["asset"]
    css, script = asset("report.css"), asset("report.js")  # type: ignore[operator]
    known_colours = set(re.findall(r"(--[\w-]+):", css))
    known_formats = set(re.findall(r"^    (\w+): \(value\)", script, re.MULTILINE)) | {"count"}
    colours, formats = set(), set()

    def collect(node: Any, key: str = "") -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                collect(value, name)
        elif isinstance(node, list):
            for value in node:
                collect(value, key)
        elif isinstance(node, str):
            if node.startswith("--"):
                colours.add(node)
            if key in ("$format", "$value", "$title", "$cell"):
                formats.add(node)

    for charts in scenario_charts(make_scenario("fail"), "s1").values():
        for chart in charts:
            collect(chart.option)
    assert colours <= known_colours
    assert len(colours) > 10
    assert formats <= known_formats
