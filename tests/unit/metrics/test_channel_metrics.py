from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import HarnessError
from pytest_ari_sla.metrics.channel_metrics import CallLedger, CallState, ChannelMetrics

EVENTS: dict[str, Callable[[CallLedger, str], None]] = {
    "started": lambda ledger, call: ledger.mark_channel_started(call, 1),
    "established": lambda ledger, call: ledger.mark_channel_established(call, 2),
    "failed": lambda ledger, call: ledger.mark_channel_failed(call, 3, "no answer"),
    "ended": lambda ledger, call: ledger.mark_channel_ended(call, 4),
}


def ledger_after(*events: str) -> CallLedger:
    """Return a ledger in which one call went through these events."""
    ledger = CallLedger()
    for event in events:
        EVENTS[event](ledger, "c1")
    return ledger


@pytest.mark.parametrize(
    ("events", "state", "totals"),
    [
        (["started"], CallState.STARTING, {"requested": 1}),
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
    ledger = ledger_after(*events)
    (entry,) = ledger.entries()
    assert entry.state is state
    names = ("requested", "established", "active", "failed", "dropped", "ended", "cancelled")
    assert {name: getattr(ledger, name) for name in names if getattr(ledger, name)} == totals


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
    ledger = ledger_after(*events[:-1])
    before = ledger.snapshot(), ledger.entries()
    with pytest.raises(HarnessError, match="c1"):
        EVENTS[events[-1]](ledger, "c1")
    assert (ledger.snapshot(), ledger.entries()) == before


def test_what_is_known_of_a_call_is_kept() -> None:
    """Times, reason and own figures stay with the call."""
    ledger = CallLedger()
    ledger.mark_channel_started("b", 10)
    ledger.mark_channel_started("a", 10)
    ledger.mark_channel_established("a", 30)
    ledger.mark_channel_ended("a", 90, {"mos": 4.2})
    ledger.mark_channel_failed("b", 50, "no route")
    assert ledger.entries() == (
        ChannelMetrics("a", 10, CallState.ENDED, 30, 90, "", {"mos": 4.2}),
        ChannelMetrics("b", 10, CallState.FAILED, None, 50, "no route"),
    )


def test_the_totals_carry_the_names_of_the_catalogue() -> None:
    """A snapshot of the ledger can be merged with those of the trackers."""
    assert dict(ledger_after("started", "established", "failed").snapshot()) == {
        "calls.requested": 1,
        "calls.established": 1,
        "calls.ended": 0,
        "calls.failed": 0,
        "calls.dropped": 1,
    }


def test_memory_is_bounded_but_totals_are_not() -> None:
    """The latest ended calls and the first failed ones are remembered; all are counted."""
    ledger = CallLedger(rows_kept=2)
    for number in range(5):
        ledger.mark_channel_started(f"good{number}", number)
        ledger.mark_channel_established(f"good{number}", number)
        ledger.mark_channel_ended(f"good{number}", number)
        ledger.mark_channel_started(f"bad{number}", number)
        ledger.mark_channel_failed(f"bad{number}", number, "no answer")
    assert {entry.call for entry in ledger.entries()} == {"good3", "good4", "bad0", "bad1"}
    assert (ledger.requested, ledger.ended, ledger.failed) == (10, 5, 5)


@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.sampled_from("abc")), max_size=40))
def test_the_totals_always_agree_with_the_entries(events: list[tuple[str, str]]) -> None:
    """Whatever happens, in whatever order, every total is the number of entries in the states it stands for."""
    ledger = CallLedger()
    for event, call in events:
        try:
            EVENTS[event](ledger, call)
        except HarnessError:
            continue
    states = [entry.state for entry in ledger.entries()]
    assert ledger.requested == len(states)
    assert ledger.active == states.count(CallState.ACTIVE)
    assert ledger.established == sum(
        states.count(state) for state in (CallState.ACTIVE, CallState.ENDED, CallState.DROPPED)
    )
    assert (ledger.failed, ledger.dropped, ledger.ended, ledger.cancelled) == tuple(
        states.count(state) for state in (CallState.FAILED, CallState.DROPPED, CallState.ENDED, CallState.CANCELLED)
    )
