import pytest
from markdown_it import MarkdownIt

from pytest_ari_sla.reporting.formats import markdown
from pytest_ari_sla.reporting.formats.markdown import render_markdown
from pytest_ari_sla.reporting.record.run_record import Scenario
from tests.unit.reporting.factory import make_record, make_scenario


def rendered(text: str) -> str:
    """Return Markdown as GitHub's flavour renders it, without raw HTML."""
    html: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return html


def test_the_verdict_is_the_heading() -> None:
    """A reader of the job's page sees it at once."""
    assert render_markdown(make_record(make_scenario("fail"))).startswith("## ❌ SLA: fail\n")


def test_scenarios_that_passed_are_folded() -> None:
    """What needs attention is open."""
    text = render_markdown(make_record(make_scenario("fail"), make_scenario("pass")))
    assert text.count("<details open>") == 1
    assert text.count("<details>") == 1


def test_thresholds_baseline_and_findings_are_told() -> None:
    """What broke, by how much, since when, against what, and where to look."""
    html = rendered(render_markdown(make_record(make_scenario("fail"))))
    assert "<td><code>rtt.p99 &lt; 20ms</code></td>\n<td>32.4 ms</td>\n<td>+61.8 %</td>\n<td>24 s, hold</td>" in html
    assert "❌ worse" in html
    assert "<strong>Where to look next</strong>" in html
    assert "<li>Worst call (9f3a1c-00025)" in html


def test_hostile_text_is_neither_markup_nor_link_nor_mention() -> None:
    """Nobody is notified, and nothing is loaded."""
    hostile = "<script>x</script> [a](http://b) ![i](http://c) @team `code` | cell &lt;b&gt; \x1b[2J **bold** \n# big"
    scenario = Scenario(nodeid=hostile, doc=hostile, reason=hostile, verdict="fail")
    text = render_markdown(make_record(scenario))
    html = rendered(text)
    assert "http<!-- -->://b" in html, "an address of which GitHub makes no link"
    for forbidden in ("<script", "<a ", "<img", "<code>code", "<strong>bold", "<b&gt;", "<h1", "\x1b"):
        assert forbidden not in html
    assert "\\@team" in text


@pytest.mark.parametrize("start", ["- a", "+ a", "# a", "12. a", "2) a", "> a", "== a", "*a*", "    a"])
def test_a_text_that_begins_like_a_block_is_a_paragraph(start: str) -> None:
    """A test's docstring may begin with anything."""
    html = rendered(render_markdown(make_record(Scenario(nodeid="t", doc=start, verdict="fail"))))
    assert not [tag for tag in ("<li", "<h1", "<blockquote", "<em", "<pre") if tag in html]


def test_code_cannot_be_ended_by_its_content() -> None:
    """A threshold with a backtick or a bar stays one cell."""
    scenario = make_scenario("pass")
    scenario.thresholds[0].expression = "a ` <b>x</b> | b"
    html = rendered(render_markdown(make_record(scenario)))
    assert "<code>a \u02bb &lt;b&gt;x&lt;/b&gt; \u2223 b</code>" in html


def test_a_very_long_summary_is_cut_before_ci_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cut is said."""
    monkeypatch.setattr(markdown, "MAX_BYTES", 3_000)
    text = render_markdown(make_record(*[make_scenario("fail", calls=3)] * 6))
    assert len(text.encode()) < 3_200
    assert "more scenarios are in the report" in text


def test_a_simulated_run_says_so() -> None:
    """Nobody shall take the simulator's figures for Asterisk's."""
    assert "say nothing about an Asterisk" in render_markdown(make_record(simulated=True))
