from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.send_schedule import SlotAssigner, first_slot, plan_catch_up

PACKET_TIMES_MS = [10, 20, 30, 40, 60]


@pytest.mark.parametrize("cycle", [1, *PACKET_TIMES_MS])
@given(legs=st.integers(1, 200))
def test_legs_fill_the_slots_evenly(cycle: int, legs: int) -> None:
    """After any number of arrivals, no slot holds two legs more than another."""
    assigner = SlotAssigner(cycle)
    slots = Counter(assigner.assign(leg) for leg in range(legs))
    assert tuple(slots[slot] for slot in range(cycle)) == assigner.filled()
    assert max(assigner.filled()) - min(assigner.filled()) <= 1


@given(st.lists(st.integers(0, 40), max_size=100))
def test_new_legs_fill_the_holes_that_others_left(legs: list[int]) -> None:
    """A leg that comes always gets one of the emptiest slots, and every slot given back is free again."""
    assigner = SlotAssigner(20)
    present: set[int] = set()
    for leg in legs:
        if leg in present:
            assigner.release(leg)
        else:
            before = assigner.filled()
            assert before[assigner.assign(leg)] == min(before)
        present ^= {leg}
    assert sum(assigner.filled()) == len(present)


@pytest.mark.parametrize("cycle", PACKET_TIMES_MS)
def test_a_few_legs_are_spread_over_the_whole_cycle(cycle: int) -> None:
    """Three legs never send in neighbouring slots."""
    assigner = SlotAssigner(cycle)
    slots = sorted(assigner.assign(leg) for leg in range(3))
    gaps = [(later - slot) % cycle for slot, later in zip(slots, slots[1:] + slots[:1], strict=True)]
    assert min(gaps) >= cycle // 5


def test_a_leg_cannot_be_placed_twice_or_released_unplaced() -> None:
    """Both would leave the count of a slot wrong for ever."""
    assigner = SlotAssigner(20)
    assigner.assign(1)
    with pytest.raises(ValueError, match="leg 1 has slot"):
        assigner.assign(1)
    with pytest.raises(KeyError):
        assigner.release(2)


def test_a_cycle_of_no_slots_is_refused() -> None:
    """A packet time below a millisecond cannot be scheduled."""
    with pytest.raises(ValueError, match="at least one slot"):
        SlotAssigner(0)


@given(st.integers(0, 10**9), st.integers(0, 59), st.sampled_from([10, 20, 60]))
def test_the_first_slot_is_the_next_one_of_the_phase(earliest: int, phase: int, cycle: int) -> None:
    """A leg starts within a cycle, in its phase."""
    slot = first_slot(earliest, phase % cycle, cycle)
    assert earliest <= slot < earliest + cycle
    assert slot % cycle == phase % cycle


@pytest.mark.parametrize(
    ("due", "now", "expected"),
    [
        pytest.param(100, 99, (100, 0), id="nothing is due"),
        pytest.param(100, 100, (100, 0), id="on time"),
        pytest.param(100, 105, (100, 0), id="five slots late: all are sent"),
        pytest.param(100, 119, (100, 0), id="a whole cycle, its last slot just due"),
        pytest.param(100, 120, (101, 1), id="the first slot is one packet time late"),
        pytest.param(100, 150, (131, 31), id="a stall of 50 ms"),
    ],
)
def test_catching_up_after_a_stall(due: int, now: int, expected: tuple[int, int]) -> None:
    """What is a packet time late is skipped; the rest goes out at once."""
    assert plan_catch_up(due, now, 20) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.sampled_from(PACKET_TIMES_MS))
def test_a_catch_up_burst_holds_at_most_one_packet_per_leg(due: int, stall: int, cycle: int) -> None:
    """No phase comes twice in a burst, and every slot is either sent or counted as skipped."""
    first, skipped = plan_catch_up(due, due + stall, cycle)
    burst = range(first, due + stall + 1)
    assert max(Counter(slot % cycle for slot in burst).values()) == 1
    assert skipped + len(burst) == stall + 1
