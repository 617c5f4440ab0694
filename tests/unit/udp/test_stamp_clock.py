"""Stamps of a clock that is set, on one that is not."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_ari_sla.clock import epoch_of
from pytest_ari_sla.udp.stamp_clock import LATELY_NS, StampClock

MS, HOUR_NS = 1_000_000, 3_600_000_000_000
EPOCH_NS = 1_700_000_000_000_000_000


class Clocks:
    """Both clocks of a machine, the one of which can be set."""

    def __init__(self) -> None:
        self.now_ns = 10 * HOUR_NS
        self.step_ns = 0
        self.late_ns: list[int] = []

    def monotonic_ns(self) -> int:
        """Time since the machine began."""
        # What an interruption between two readings takes.
        self.now_ns += self.late_ns.pop(0) if self.late_ns else 0
        return self.now_ns

    def time_ns(self) -> int:
        """Time since the Unix epoch, as it was set."""
        return EPOCH_NS + self.now_ns + self.step_ns


@pytest.fixture
def clocks() -> Clocks:
    """Return clocks that nobody has set yet."""
    return Clocks()


def stamps(*times_ns: int) -> np.ndarray:
    """Return times as the kernel's stamps are."""
    return np.array(times_ns, np.int64)


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS, 500 * MS, -500 * MS])
def test_stamps_from_before_and_after_a_step_are_told_apart(clocks: Clocks, step_ns: int) -> None:
    """Also where the clock was set after it was looked at, between two packets of one system call."""
    clock = StampClock(clock=clocks)
    looked_ns = clock.now_ns()
    clocks.now_ns += 5 * MS
    before_ns = clocks.time_ns()
    clocks.step_ns = step_ns
    clocks.now_ns += 5 * MS
    after_ns = clocks.time_ns()
    arrivals_ns = stamps(before_ns, after_ns) - clock.steps_at(stamps(before_ns, after_ns), looked_ns)
    assert (arrivals_ns - looked_ns).tolist() == [5 * MS, 10 * MS]
    assert clock.steps == 1


@pytest.mark.parametrize("steps_ns", [(HOUR_NS, -2 * HOUR_NS), (-HOUR_NS, 2 * HOUR_NS)])
def test_a_stamp_of_neither_clock_is_dated_between_two_looks(clocks: Clocks, steps_ns: tuple[int, int]) -> None:
    """Set twice within a second: no packet comes before the last look, and none from the future."""
    clock = StampClock(clock=clocks)
    looked_ns, stamp_ns = clock.now_ns(), clocks.time_ns()
    for step_ns in steps_ns:
        clocks.step_ns += step_ns
        clocks.now_ns += 5 * MS
        clock.now_ns()
    (arrival_ns,) = (stamps(stamp_ns) - clock.steps_at(stamps(stamp_ns), looked_ns)).tolist()
    assert looked_ns <= arrival_ns <= looked_ns + 10 * MS


def test_a_socket_that_nobody_looks_into_keeps_old_stamps_for_longer(clocks: Clocks) -> None:
    """A second after a step its stamps are all new, unless it was not emptied meanwhile."""
    clock = StampClock(clock=clocks)
    emptied_ns = clock.now_ns()
    assert not clock.was_set_since(emptied_ns)
    clocks.step_ns = -HOUR_NS
    set_ns = clock.now_ns()
    clocks.now_ns += 10 * LATELY_NS
    assert clock.was_set_since(emptied_ns)
    assert not clock.was_set_since(set_ns + LATELY_NS)


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_what_has_just_come_is_dated_right_whatever_the_other_clock_says(clocks: Clocks, step_ns: int) -> None:
    """At the step, and long after it."""
    clock = StampClock(clock=clocks)
    for wait_ns in (0, 5 * MS, 3 * LATELY_NS):
        clocks.step_ns = step_ns
        clocks.now_ns += wait_ns
        assert clock.arrivals_ns(stamps(clocks.time_ns())).tolist() == [clock.now_ns()]


def test_an_interruption_between_two_readings_is_no_step(clocks: Clocks) -> None:
    """Neither when the clock is made nor later."""
    clocks.late_ns = [0, 7 * MS]
    assert epoch_of(clocks) == EPOCH_NS
    clocks.late_ns = [0, 7 * MS]
    clock = StampClock(clock=clocks)
    clocks.late_ns = [7 * MS]
    clock.now_ns()
    assert clock.steps == 0
