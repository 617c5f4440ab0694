import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.testing import ManualClock


@given(durations_ns=st.lists(st.integers(0, 10**12)))
def test_time_is_the_sum_of_what_passed(durations_ns: list[int]) -> None:
    """Nothing moves the clock but its owner."""
    clock = ManualClock(5)
    for duration_ns in durations_ns:
        clock.advance(duration_ns)
    assert clock() == clock.now_ns == 5 + sum(durations_ns)


def test_time_does_not_go_back() -> None:
    """A moment that is past is refused, and the clock stays."""
    clock = ManualClock(100)
    with pytest.raises(ValueError, match="time does not go back by 1 ns"):
        clock.advance_to(99)
    assert clock.now_ns == 100
