"""Which legs are free."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.media.legs import LegAllocator


def test_a_call_gets_its_legs_in_a_row() -> None:
    """What is known of a place in a call is known of every leg."""
    legs = LegAllocator(calls=3, legs_per_call=2)
    assert [list(legs.take_call()) for _ in range(3)] == [[0, 1], [2, 3], [4, 5]]


def test_a_call_is_free_again_when_its_last_leg_is_back() -> None:
    """Not before: one of its legs may still receive."""
    legs = LegAllocator(calls=1, legs_per_call=2)
    first, second = legs.take_call()
    legs.give_back(second)
    assert legs.free_calls == 0
    legs.give_back(first)
    assert legs.free_calls == 1
    assert list(legs.take_call()) == [first, second]


def test_more_calls_than_planned_are_refused() -> None:
    """By the side that planned too few: this tool."""
    legs = LegAllocator(calls=1, legs_per_call=1)
    legs.take_call()
    with pytest.raises(MediaLoopFailed, match="no call is free, of 1"):
        legs.take_call()


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 3))
def test_no_leg_is_ever_in_two_calls(steps: list[int], legs_per_call: int) -> None:
    """Whatever the order in which calls come and go."""
    legs = LegAllocator(calls=5, legs_per_call=legs_per_call)
    calls: list[range] = []
    for step in steps:
        if step < 5 and legs.free_calls:
            calls.append(legs.take_call())
        elif calls:
            for leg in calls.pop(step % len(calls)):
                legs.give_back(leg)
        taken = [leg for call in calls for leg in call]
        assert len(taken) == len(set(taken)) <= 5 * legs_per_call
        assert legs.free_calls == 5 - len(calls)
