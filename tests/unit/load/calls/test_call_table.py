from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import HarnessError
from pytest_ari_sla.load.calls.call_table import CallLife, CallState, CallTable

EVENTS: dict[str, Callable[[CallTable, str], CallLife]] = {
    "started": lambda table, call: table.mark_started(call, 1),
    "established": lambda table, call: table.mark_established(call, 2),
    "failed": lambda table, call: table.mark_failed(call, 3, "no answer"),
    "ended": lambda table, call: table.mark_ended(call, 4),
}


def table_after(*events: str) -> tuple[CallTable, CallLife]:
    """Return a table in which one call went through these events, and where that call is."""
    table = CallTable()
    return table, [EVENTS[event](table, "c1") for event in events][-1]


def totals_of(table: CallTable) -> dict[str, int]:
    """Return how many calls there are of each kind that there is."""
    counts = {state.value: table.in_state(state) for state in CallState}
    counts |= {"requested": table.requested, "established": table.established}
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(
    ("events", "state", "totals"),
    [
        (["started"], CallState.STARTING, {"requested": 1, "starting": 1}),
        (["started", "established"], CallState.ACTIVE, {"requested": 1, "established": 1, "active": 1}),
        (["started", "established", "ended"], CallState.ENDED, {"requested": 1, "established": 1, "ended": 1}),
        (["started", "failed"], CallState.FAILED, {"requested": 1, "failed": 1}),
        (["started", "established", "failed"], CallState.DROPPED, {"requested": 1, "established": 1, "dropped": 1}),
        (["started", "ended"], CallState.CANCELLED, {"requested": 1, "cancelled": 1}),
    ],
)
def test_each_event_leads_to_its_state_and_counts_once(
    events: list[str], state: CallState, totals: dict[str, int]
) -> None:
    """A call's events decide its state, and every total follows."""
    table, life = table_after(*events)
    assert life.state is state
    assert totals_of(table) == totals


@pytest.mark.parametrize(
    "events",
    [
        ["established"],
        ["failed"],
        ["ended"],
        ["started", "started"],
        ["started", "established", "established"],
        ["started", "established", "started"],
        ["started", "ended", "ended"],
        ["started", "failed", "ended"],
        ["started", "failed", "established"],
    ],
)
def test_events_that_cannot_be_are_errors(events: list[str]) -> None:
    """What the life of a call does not admit is a mistake of the program, and is not counted."""
    table = CallTable()
    for event in events[:-1]:
        EVENTS[event](table, "c1")
    before = totals_of(table)
    with pytest.raises(HarnessError, match="c1"):
        EVENTS[events[-1]](table, "c1")
    assert totals_of(table) == before


def test_what_is_known_of_a_call_is_kept() -> None:
    """Times and reason stay with the call, and are told when it is over."""
    table = CallTable()
    table.mark_started("b", 10)
    table.mark_started("a", 10)
    table.mark_established("a", 30)
    assert table.mark_ended("a", 90) == CallLife("a", 10, CallState.ENDED, 30, 90)
    assert table.mark_failed("b", 50, "no route") == CallLife("b", 10, CallState.FAILED, None, 50, "no route")


def test_the_totals_carry_the_names_of_the_catalogue() -> None:
    """A snapshot of the table can be merged with those of the trackers."""
    assert dict(table_after("started", "established", "failed")[0].snapshot()) == {
        "calls.requested": 1,
        "calls.established": 1,
        "calls.ended": 0,
        "calls.failed": 0,
        "calls.dropped": 1,
    }


@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.sampled_from("abc")), max_size=40))
def test_the_totals_always_agree_with_the_entries(events: list[tuple[str, str]]) -> None:
    """Whatever happens, in whatever order, every total is the number of calls in the states it stands for."""
    table = CallTable()
    lives: dict[tuple[str, int], CallLife] = {}
    lived: Counter[str] = Counter()
    for event, call in events:
        try:
            life = EVENTS[event](table, call)
        except HarnessError:
            continue
        lived[call] += event == "started"
        lives[call, lived[call]] = life
    states = [life.state for life in lives.values()]
    assert {state: table.in_state(state) for state in CallState} == {state: states.count(state) for state in CallState}
    assert table.requested == len(states)
    assert table.established == sum(
        states.count(state) for state in (CallState.ACTIVE, CallState.ENDED, CallState.DROPPED)
    )
