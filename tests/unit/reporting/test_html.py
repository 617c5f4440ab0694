import json
import re
from pathlib import Path

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.formats.html import render_html
from pytest_ari_sla.reporting.record.record_file import decode_record, encode_record
from pytest_ari_sla.reporting.record.run_record import Scenario, WorstCall
from tests.unit.reporting.factory import make_record, make_scenario

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J'\"]]>{{ 7*7 }}"


def chart_data(html: str) -> dict[str, object]:
    """Return what the page gives to the charts."""
    found = re.search(r'<script type="application/json" id="chart-data">(.*?)</script>', html, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def markup(html: str) -> str:
    """Return the page without the content of scripts and styles."""
    return re.sub(r"(<(script|style)[^>]*>).*?(</\2>)", r"\1\3", html, flags=re.DOTALL)


@pytest.mark.parametrize("kind", ["pass", "fail", "inconclusive"])
def test_the_verdict_is_the_first_thing_on_the_page(kind: str) -> None:
    """Who opens the file on a phone sees it without scrolling."""
    page = markup(render_html(make_record(make_scenario(kind))))  # type: ignore[arg-type]
    body = re.sub(r"<[^>]+>", " ", page.split("<body>")[1]).split()
    assert body[0] == kind.upper()


@pytest.mark.parametrize(("calls", "megabytes"), [(5, 1.5), (1_000, 5)])
def test_the_file_is_small_enough_for_any_ci(calls: int, megabytes: float) -> None:
    """A thousand calls stay below five megabytes."""
    page = render_html(make_record(make_scenario("fail", calls=calls, seconds=120)))
    assert len(page.encode()) < megabytes * 2**20


def test_the_page_asks_the_network_for_nothing() -> None:
    """No link, image, script or font is loaded, and the browser is told to refuse any."""
    page = render_html(make_record(make_scenario("fail")))
    assert "default-src 'none'" in page
    assert not re.search(r"<(link|img|iframe|object|embed)\b", markup(page))
    assert not re.search(r"\bsrc\s*=", markup(page))
    assert "@import" not in page
    assert "url(" not in page.split("</style>")[0]


def test_the_page_is_made_from_report_json_alone() -> None:
    """Rendering what was written gives the same page, byte for byte."""
    record = decode_record(encode_record(make_record(make_scenario("fail"))))
    assert render_html(record) == render_html(decode_record(encode_record(record)))


def test_every_section_is_there() -> None:
    """A failing run is told from the verdict down to how to run it again."""
    page = markup(render_html(make_record(make_scenario("fail"))))
    titles = re.findall(r"<h[234][^>]*>(?:<span[^>]*>\w+</span>)?\s*(.*?)</h[234]>", page)
    for title in (
        "Where to look next",
        "Thresholds",
        "Against the baseline, run 71be02",
        "Over time",
        "Round-trip time",
        "Percentiles",
        "Every call: rtt (mean)",
        "Set-up, call by call",
        "Worst calls",
        "All metrics",
        "Health of the load generator",
        "Environment",
        "How to reproduce",
    ):
        assert title in titles


def test_every_chart_has_a_place_on_the_page_and_the_other_way_round() -> None:
    """No chart is drawn into nothing, also with several scenarios."""
    page = render_html(make_record(make_scenario("fail"), make_scenario("pass")))
    places = re.findall(r'<div class="chart" id="([^"]+)"', page)
    assert sorted(places) == sorted(chart_data(page))
    assert len(places) == len(set(places))


def test_text_from_the_network_is_escaped_everywhere() -> None:
    """No field of a call, an event or a metric becomes markup, script or template."""
    scenario = make_scenario("fail", calls=3)
    scenario.nodeid = scenario.doc = scenario.reason = scenario.codec = HOSTILE
    scenario.notes = [HOSTILE]
    scenario.thresholds[0].sentence = scenario.thresholds[0].expression = HOSTILE
    scenario.worst_calls[0].events[0].detail = scenario.worst_calls[0].events[0].what = HOSTILE
    scenario.worst_calls[0].id = scenario.worst_calls[0].why = HOSTILE
    scenario.call_table[0].id = scenario.call_table[0].reason = HOSTILE
    assert scenario.call_grid
    scenario.call_grid.calls[0] = HOSTILE
    scenario.metrics[HOSTILE] = scenario.metrics["rtt"]
    scenario.time_series[HOSTILE] = scenario.time_series["rtt.p50"]
    scenario.stages[0].name = HOSTILE
    record = decode_record(encode_record(make_record(scenario)))
    page = render_html(record)
    assert "<script>alert" not in page
    assert "<img" not in markup(page)
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7*7 }}" in page
    assert chart_data(page), "the data of the charts is still JSON"


def test_a_capture_is_linked_within_the_reports_folder_only() -> None:
    """A path from elsewhere leads neither out of the folder nor to a script."""
    scenario = make_scenario("fail", calls=3)
    scenario.worst_calls = [
        WorstCall(id="a", why="b", capture="javascript:alert(1)"),
        WorstCall(id="c", why="d", capture="../../etc/passwd"),
    ]
    links = re.findall(r'href="([^"#]*)"', markup(render_html(make_record(scenario))))
    assert links[:2] == ["./javascript:alert(1)", "./etc/passwd"]


def test_a_scenario_without_any_figure_is_still_a_page() -> None:
    """A load that never began leaves a verdict and a reason."""
    page = markup(render_html(make_record(Scenario(nodeid="t", verdict="fail", reason="it broke"))))
    assert "it broke" in page
    assert 'class="chart"' not in page


def test_a_run_without_scenarios_is_still_a_page() -> None:
    """Every test was deselected, say."""
    record = make_record()
    record.scenarios = []
    assert "No scenario put a load on the target." in render_html(record)


def test_a_simulated_run_says_so() -> None:
    """Nobody shall take the simulator's figures for Asterisk's."""
    assert "say nothing about an Asterisk" in render_html(make_record(simulated=True))


def test_a_team_overrides_blocks_from_its_own_folder(tmp_path: Path) -> None:
    """The rest of the page stays as it is."""
    (tmp_path / "report.html").write_text(
        '{% extends "default/report.html" %}'
        "{% block footer %}<footer>Voice team, {{ record.run.id }}</footer>{% endblock %}"
        "{% block thresholds %}<p>{{ scenario.thresholds|length }} conditions</p>{% endblock %}"
    )
    page = markup(render_html(make_record(), tmp_path))
    assert "Voice team, 9f3a1c" in page
    assert "4 conditions" in page
    assert "Worst calls" not in page
    assert "Made by pytest-ari-sla" not in page


@pytest.mark.parametrize("template", ["{% block", "{{ no_such_name }}", '{% extends "default/none.html" %}'])
def test_a_broken_template_of_a_team_is_named(tmp_path: Path, template: str) -> None:
    """It is the user's mistake, with the folder in the message."""
    (tmp_path / "report.html").write_text(template)
    with pytest.raises(UsageError, match=f"template in {tmp_path}"):
        render_html(make_record(), tmp_path)


def test_all_blocks_are_documented_at_the_top_of_the_template() -> None:
    """Whoever overrides one finds its name there."""
    from pytest_ari_sla.reporting.formats import html

    template = Path(html.__file__).parents[1].joinpath("templates", "report.html").read_text()
    described = template.partition("-#}")[0]
    assert all(block in described for block in re.findall(r"{% block (\w+)", template))


def test_the_page_shows_what_does_not_count_since_a_stronger_source_says_otherwise() -> None:
    """A limit of the command line that is looser than the test's own must not go unseen."""
    html = render_html(make_record(make_scenario("pass")))
    assert "from --sla, in place of loss.ratio &lt; 1% (sla.toml)" in html
