import pytest
from rich.cells import cell_len

from pytest_ari_sla.reporting.formats.terminal_summary import summary_text
from pytest_ari_sla.reporting.record.run_record import Scenario
from tests.unit.reporting.factory import make_record, make_scenario


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("kind", ["pass", "fail", "inconclusive"])
def test_no_line_is_wider_than_the_terminal(width: int, kind: str) -> None:
    """The tables fold rather than overflow."""
    text = summary_text(make_record(make_scenario(kind)), width=width, colour=False)  # type: ignore[arg-type]
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_the_verdict_comes_first() -> None:
    """The first word of a scenario is what a reader wants to know."""
    text = summary_text(make_record(make_scenario("fail")), width=80, colour=False)
    assert text.strip().startswith("FAIL scenarios/test_echo.py::test_echo_calls\n")


def test_a_failing_run_tells_what_broke_by_how_much_since_when_and_where_to_look() -> None:
    """The terminal alone is enough to start the search."""
    text = " ".join(summary_text(make_record(make_scenario("fail")), width=80, colour=False, report="r.html").split())
    assert "FAIL rtt.p99 < 20ms 32.4 ms +61.8 % 24 s, hold" in text
    assert "rtt.p99 < 20ms was missed by 61.8 %, first at 24 s in stage hold with 50 calls up" in text
    assert "Worst call (9f3a1c-" in text
    assert "its packets: captures/9f3a1c-" in text
    assert "1 call failed: Asterisk answered 500" in text
    assert "SLA verdict: FAIL (1 fail)" in text
    assert "Report: r.html" in text


@pytest.mark.parametrize("width", [80, 140])
def test_what_does_not_count_since_a_stronger_source_says_otherwise_is_shown(width: int) -> None:
    """A limit of the command line that is looser than the test's own must not go unseen."""
    shown = " ".join(summary_text(make_record(make_scenario("pass")), width=width, colour=False).split())
    assert "loss.ratio < 0.1% (--sla) is in place of loss.ratio < 1% (sla.toml)" in shown


def test_a_passing_run_is_short() -> None:
    """Where all is well, no column is empty and nothing is pointed at."""
    text = summary_text(make_record(make_scenario("pass")), width=80, colour=False)
    assert "Where to look next" not in text
    assert "Off by" not in text
    assert "Since" not in text


def test_there_is_no_escape_sequence_off_a_terminal_and_there_are_some_on_one() -> None:
    """A log file stays readable."""
    record = make_record(make_scenario("fail"))
    assert "\x1b" not in summary_text(record, width=80, colour=False)
    assert "\x1b[1;31mFAIL" in summary_text(record, width=80, colour=True)


def test_hostile_names_neither_colour_nor_vanish() -> None:
    """What looks like markup or an escape is text like any other."""
    scenario = Scenario(nodeid="test[\x1b[2J[bold red]x[/]]", verdict="pass", reason="[link=x]y", notes=["\x07[blink]"])
    text = summary_text(make_record(scenario), width=120, colour=True)
    assert "test[␛[2J[bold red]x[/]]" in text
    assert "[link=x]y" in text
    assert "␇[blink]" in text
    assert "\x1b[2J" not in text


def test_a_simulated_run_says_so() -> None:
    """Nobody shall take the simulator's figures for Asterisk's."""
    assert "say nothing about an Asterisk" in summary_text(make_record(simulated=True), width=80, colour=False)


def test_the_whole_path_of_evidence_is_told_however_narrow_the_terminal() -> None:
    """It is there to be opened."""
    path = f"evidence/{'test_calls_beside_a_bot_that_hangs-' * 3}forensics.txt"
    scenario = make_scenario("fail")
    scenario.evidence = [path]
    text = summary_text(make_record(scenario), width=80, colour=False)
    assert path in "".join(text.split())


def test_a_scenario_without_any_figure_is_still_told() -> None:
    """A load that never began has a verdict and nothing else."""
    text = summary_text(make_record(Scenario(nodeid="t", verdict="fail", reason="it broke")), width=80, colour=False)
    assert "FAIL t" in text
    assert "it broke" in text
