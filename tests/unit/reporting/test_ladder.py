from msgspec.structs import replace

from pytest_ari_sla.reporting.charts import ladder, scenario_charts
from pytest_ari_sla.reporting.formats.html import render_html
from pytest_ari_sla.reporting.formats.markdown import render_markdown
from pytest_ari_sla.reporting.formats.terminal_summary import summary_text
from pytest_ari_sla.reporting.record.run_record import Capacity, CapacityStep, Scenario
from tests.unit.reporting.factory import make_record, make_scenario

RTT_MS = {100: 20, 200: 40, 400: 90, 300: 70, 250: 55}
LIMIT_MS = 60


def searched() -> Scenario:
    """Return a scenario whose first limit of a distribution broke in a search."""
    scenario = make_scenario("pass", calls=10, seconds=30)
    limit = next(item for item in scenario.thresholds if item.stat)
    figure = f"{limit.metric}.p99"
    steps = [
        CapacityStep(
            level=level,
            verdict="pass" if rtt < LIMIT_MS else "fail",
            broken="" if rtt < LIMIT_MS else limit.expression,
            values={limit.expression: rtt / 1000},
            figures={figure: rtt / 1000, f"{limit.metric}.p50": rtt / 2000},
        )
        for level, rtt in RTT_MS.items()
    ]
    found = Capacity(calls=250, interval=(250, 300), broken=limit.expression, limited_by="target", steps=steps)
    return replace(scenario, capacity=found)


def test_a_ladder_shows_what_broke_level_by_level() -> None:
    """Median and tail, in order of levels whatever the order of steps, each point in the colour of its verdict."""
    chart = ladder(searched(), "s1")
    assert chart is not None
    lines = {line["name"].rpartition(".")[2]: line["data"] for line in chart.option["series"]}
    assert set(lines) == {"p50", "p99"}
    assert [point["value"][0] for point in lines["p99"]] == sorted(RTT_MS)
    colours = {point["value"][0]: point["itemStyle"]["color"] for point in lines["p99"]}
    assert (colours[250], colours[300]) == ("--pass", "--fail")


def test_the_page_shows_the_ladder_of_a_search_and_of_nothing_else() -> None:
    """A load that was not searched with has none."""
    scenario = searched()
    assert "s1-ladder" in render_html(make_record(scenario))
    assert scenario_charts(replace(scenario, capacity=None), "s1")["ladder"] == []


def test_the_answer_of_a_search_is_told_once_in_each_text() -> None:
    """It is what was asked for: it stands above the figures, and not among the notes."""
    scenario = searched()
    assert scenario.capacity is not None
    answered = replace(scenario, capacity=replace(scenario.capacity, sentence="300 calls are carried"))
    record = make_record(answered)
    for text in (summary_text(record, width=80, colour=False), render_markdown(record)):
        assert text.count("300 calls are carried") == 1


def test_a_search_that_measured_nothing_has_no_ladder() -> None:
    """Its steps may all have been refused before their first call."""
    scenario = searched()
    steps = [CapacityStep(level=400, verdict="fail", reason="sessionlimit is 100")]
    assert ladder(replace(scenario, capacity=Capacity(interval=(0, 400), steps=steps)), "s1") is None
