"""The scheduler: steps in order of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.pbx.scheduler import Scheduler

_DELAYS = st.lists(st.integers(0, 1000), max_size=20)


@given(_DELAYS, st.integers(0, 1000))
def test_exactly_the_due_steps_run_in_order_of_time(delays_ns: list[int], until_ns: int) -> None:
    """Advancing runs what is due, earliest first, those of one time in order of asking."""
    scheduler, ran = Scheduler(), list[tuple[int, int]]()
    for number, delay_ns in enumerate(delays_ns):
        scheduler.after(delay_ns, lambda key=(delay_ns, number): ran.append(key))  # type: ignore[misc]
    scheduler.advance(until_ns)
    assert ran == sorted((delay, number) for number, delay in enumerate(delays_ns) if delay <= until_ns)
    assert scheduler.now_ns == until_ns


@given(_DELAYS)
def test_the_next_due_time_is_that_of_the_earliest_step(delays_ns: list[int]) -> None:
    """The shell knows when to come back."""
    scheduler = Scheduler()
    for delay_ns in delays_ns:
        scheduler.after(delay_ns, lambda: None)
    assert scheduler.next_due_ns() == min(delays_ns, default=None)


def test_a_cancelled_step_does_not_run() -> None:
    """Nor is anybody woken for it."""
    scheduler, ran = Scheduler(), list[str]()
    scheduler.after(5, lambda: ran.append("no")).cancel()
    assert scheduler.next_due_ns() is None
    scheduler.advance(10)
    assert ran == []


def test_cancelling_after_the_fact_does_nothing() -> None:
    """A step that has run stays done."""
    scheduler, ran = Scheduler(), list[str]()
    scheduled = scheduler.after(5, lambda: ran.append("yes"))
    scheduler.advance(5)
    scheduled.cancel()
    assert ran == ["yes"]


def test_a_step_sees_the_time_that_it_was_made_for() -> None:
    """What follows from a step is timed from its own time, however late the caller is."""
    scheduler, seen = Scheduler(), list[int]()

    def first() -> None:
        seen.append(scheduler.now_ns)
        scheduler.after(10, lambda: seen.append(scheduler.now_ns))

    scheduler.after(5, first)
    scheduler.advance(1000)
    assert seen == [5, 15]


def test_time_never_goes_back() -> None:
    """An earlier time than the last one is ignored."""
    scheduler = Scheduler(now_ns=50)
    scheduler.advance(20)
    assert scheduler.now_ns == 50
