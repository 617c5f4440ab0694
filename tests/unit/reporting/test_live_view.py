import pytest
from rich.cells import cell_len
from rich.console import Console

from pytest_ari_sla.reporting.live.live_state import LiveEvent, LiveFigure, LiveShard, LiveStage, LiveState
from pytest_ari_sla.reporting.live.live_view import live_line, live_view
from tests.unit.reporting.live_states import live_state


def shown(state: LiveState, width: int = 100) -> str:
    """Return the picture as plain text."""
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(live_view(state, width))
    return capture.get()


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A wrapped line could not be taken away again."""
    assert max(cell_len(line) for line in shown(live_state(), width).splitlines()) <= width


def test_progress_calls_figures_and_health_are_shown() -> None:
    """All that matters about a running load, in a dozen lines."""
    text = shown(live_state())
    assert "83 s of 5:00 min" in text
    assert "hold (3:17 min left)" in text
    assert "998 up of 1,000 wanted, 1,012 established, 2 failed, 1 dropped" in text
    assert "rtt" in text
    assert "31.2 ms" in text
    assert "4.32" in text
    assert "BROKEN  rtt.p99 < 15ms" in text
    assert "?       mos.p1 >= 4.0" in text
    assert "Shard 2: 498 calls, sends 7.1 ms late at p99, 81 % of a core, 12 own drops" in text
    assert "rtt.p99 broke its limit" in text
    assert len(text.splitlines()) <= 20


def test_of_many_shards_the_unwell_ones_are_shown() -> None:
    """A fleet of fifty fits the screen."""
    shards = tuple(LiveShard(n, 10, receive_drops=5 if n == 40 else 0) for n in range(1, 51))
    text = shown(live_state(shards=shards))
    assert "Shard 40: 10 calls" in text
    assert "and 42 more shards" in text


def test_only_the_latest_events_are_shown_each_on_one_line() -> None:
    """Old news scroll away, and long ones are cut."""
    events = tuple(LiveEvent(n, f"event {n} " + "x" * 500) for n in range(9))
    text = shown(live_state(events=events), 80)
    assert "event 5" not in text
    assert sum("event" in line for line in text.splitlines()) == 3


def test_hostile_names_and_events_stay_text() -> None:
    """Neither markup nor escape sequences work."""
    state = live_state(scenario="[red]\x1b[2J", events=(LiveEvent(1, "[bold]\x1b]0;x\x07\nnext"),))
    assert "[red]␛[2J" in shown(state)
    assert "[bold]␛]0;x␇ next" in shown(state)
    assert "\x1b" not in live_line(state)


def test_off_a_terminal_one_line_says_it_all() -> None:
    """A CI log shows how it goes, and what is broken."""
    assert live_line(live_state()) == (
        "scenarios/test_ramp.py::test_ramp: 83 s of 5:00 min hold; 998 of 1,000 calls; 2 failed; 1 dropped; "
        "setup p99 45.6 ms; rtt p99 31.2 ms; loss 0.04 %; broken: rtt.p99 < 15ms"
    )


def test_a_load_that_has_just_begun_can_be_shown() -> None:
    """Nothing is known yet."""
    state = LiveState("t", 0, 10)
    assert "0 up of 0 wanted" in shown(state)
    assert live_line(state) == "t: 0 s of 10 s; 0 of 0 calls"


def test_the_line_of_a_load_that_has_ended_wants_no_calls() -> None:
    """Not "60 of 0 calls": what is up still is on its way out."""
    state = LiveState("test_a", 10.2, 10.0, (LiveStage("hold", 0.0, 10.0),), calls_now=60)
    assert "60 calls to end" in live_line(state)


def test_the_line_says_once_how_many_calls_are_to_end_and_names_no_figure_without_samples() -> None:
    """It is read in the log of a job, where nothing can be taken back."""
    figures = (LiveFigure("setup", "s", whole_p50=0.02, whole_p99=0.03),)
    behind = "60 calls are still to end: none in the last 5 s"
    state = LiveState("test_a", 15.0, 10.0, calls_now=60, behind=behind, figures=figures)
    assert live_line(state) == f"test_a: 15 s of 10 s; {behind}"


def test_conversations_that_go_on_are_not_late() -> None:
    """A script takes the time that it takes."""
    state = LiveState("t", 70.0, 60.0, calls_now=1, is_scripted=True)
    assert live_line(state) == "t: 70 s; 1 call in conversation"


def test_a_load_that_is_behind_says_so_in_both_views() -> None:
    """How long it will take is of more use than how long it was to take."""
    behind = "800 calls wait to be set up: 40 s at 20 a second"
    state = live_state(behind=behind)
    assert behind in live_line(state)
    assert behind in " ".join(shown(state).split())
