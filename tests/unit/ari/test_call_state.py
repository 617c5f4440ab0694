from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.ari.call_state import FINDINGS, TRANSITIONS, ChannelInput, ChannelLife, ChannelState, Finding

DATA = Path(__file__).parents[2] / "data" / "ari"

REQUESTED, CREATED, IN_STASIS, LEFT, DESTROYED = ChannelState
ANSWERED, ACTIVITY, STASIS_START, STASIS_END, CHANNEL_DESTROYED = ChannelInput

inputs = st.sampled_from(ChannelInput)


def lived(*told: ChannelInput) -> ChannelLife:
    """Return the life of a channel after these inputs."""
    life = ChannelLife()
    for each in told:
        life.apply(each)
    return life


@pytest.mark.parametrize(
    "told",
    [
        (ANSWERED, ACTIVITY, STASIS_START, ACTIVITY, STASIS_END, ACTIVITY, CHANNEL_DESTROYED),
        (ACTIVITY, ACTIVITY, STASIS_START, ANSWERED, STASIS_END, CHANNEL_DESTROYED),
        (STASIS_START, STASIS_END, CHANNEL_DESTROYED, ANSWERED),
        (ANSWERED, STASIS_START, STASIS_END, ACTIVITY, STASIS_START, STASIS_END, CHANNEL_DESTROYED),
        (ANSWERED, ACTIVITY, CHANNEL_DESTROYED),
        (CHANNEL_DESTROYED, ANSWERED),
    ],
    ids=[
        "usual",
        "start-before-answer",
        "over-before-answer",
        "to-the-dialplan-and-back",
        "hung-up-at-once",
        "stillborn",
    ],
)
def test_legal_lives_are_expected_from_begin_to_end(told: tuple[ChannelInput, ...]) -> None:
    """Every race that a healthy Asterisk produces is in the table."""
    life = lived(*told)
    assert life.state is DESTROYED
    assert life.unexpected == []


@pytest.mark.parametrize("version", ["16", "22"])
def test_the_order_of_a_real_asterisk_is_expected(version: str) -> None:
    """The first of each type of event of a call, in the order in which they came."""
    life = ChannelLife()
    for event in json.loads((DATA / f"events-{version}.json").read_text()):
        if event["type"] != "BridgeDestroyed":  # about no channel
            assert life.apply(ChannelInput.of_event(event["type"])), event["type"]
    assert life.state is DESTROYED


@pytest.mark.parametrize(
    ("before", "told", "after"),
    [
        ((CHANNEL_DESTROYED,), STASIS_START, DESTROYED),
        ((CHANNEL_DESTROYED,), STASIS_END, DESTROYED),
        ((CHANNEL_DESTROYED,), ACTIVITY, DESTROYED),
        ((CHANNEL_DESTROYED,), CHANNEL_DESTROYED, DESTROYED),
        ((STASIS_START,), STASIS_START, IN_STASIS),
        ((STASIS_START,), CHANNEL_DESTROYED, DESTROYED),
        ((STASIS_START, STASIS_END), STASIS_END, LEFT),
        ((ANSWERED,), STASIS_END, CREATED),
        ((), STASIS_END, REQUESTED),
    ],
)
def test_a_broken_order_is_counted_and_not_raised(
    before: tuple[ChannelInput, ...], told: ChannelInput, after: ChannelState
) -> None:
    """The one who breaks it is the thing under test; only the end of a channel is believed out of turn."""
    life = lived(*before)
    state = life.state
    assert life.apply(told) is False
    assert life.unexpected == [(state, told)]
    assert life.state is after


def test_every_pair_is_either_in_the_table_or_counted() -> None:
    """No pair falls through."""
    for state, told in product(ChannelState, ChannelInput):
        life = ChannelLife(state)
        assert life.apply(told) is (told in TRANSITIONS[state])
        assert len(life.unexpected) == (told not in TRANSITIONS[state])


def test_the_tables_cover_every_state_and_every_finding() -> None:
    """What is asked always moves somewhere."""
    assert set(TRANSITIONS) == set(FINDINGS) == set(ChannelState)
    assert all(set(row) == set(Finding) for row in FINDINGS.values())


@given(st.lists(inputs))
def test_the_end_is_final(told: list[ChannelInput]) -> None:
    """Nothing brings a destroyed channel back."""
    life = lived(CHANNEL_DESTROYED, *told)
    assert life.state is DESTROYED


@given(st.lists(inputs), st.sampled_from(Finding), st.lists(inputs))
def test_after_asking_the_order_is_not_judged(
    before: list[ChannelInput], finding: Finding, after: list[ChannelInput]
) -> None:
    """What was asked and what is told overlap, so nothing can be held against Asterisk."""
    life = lived(*before)
    counted = list(life.unexpected)
    life.find(finding)
    assert all(life.apply(told) for told in after)
    assert life.unexpected == counted


@pytest.mark.parametrize(
    ("before", "finding", "after"),
    [
        ((), Finding.GONE, REQUESTED),
        ((), Finding.IN_STASIS, IN_STASIS),
        ((ANSWERED,), Finding.IN_STASIS, IN_STASIS),
        ((ANSWERED,), Finding.GONE, DESTROYED),
        ((STASIS_START,), Finding.ELSEWHERE, LEFT),
        ((STASIS_START,), Finding.GONE, DESTROYED),
        ((CHANNEL_DESTROYED,), Finding.IN_STASIS, DESTROYED),
    ],
)
def test_asking_moves_a_channel(before: tuple[ChannelInput, ...], finding: Finding, after: ChannelState) -> None:
    """A channel that does not exist yet is not gone, and one that is destroyed stays so."""
    life = lived(*before)
    life.find(finding)
    assert life.state is after


def test_after_asking_each_event_is_taken_at_its_word() -> None:
    """A StasisStart that comes after the answer to the question does no harm."""
    life = lived(ANSWERED)
    life.find(Finding.IN_STASIS)
    assert life.apply(STASIS_START)
    assert life.apply(STASIS_END)
    assert life.state is LEFT
    life.find(Finding.IN_STASIS)
    assert life.apply(CHANNEL_DESTROYED)
    assert life.state is DESTROYED


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [
        ("StasisStart", STASIS_START),
        ("StasisEnd", STASIS_END),
        ("ChannelDestroyed", CHANNEL_DESTROYED),
        ("ChannelVarset", ACTIVITY),
        ("answered", ACTIVITY),
        ("Novelty", ACTIVITY),
    ],
)
def test_events_other_than_the_three_of_a_life_are_activity(event_type: str, expected: ChannelInput) -> None:
    """An event cannot pretend to be an answer."""
    assert ChannelInput.of_event(event_type) is expected
