import pytest

from pytest_ari_sla.media.measuring.capacity import PacedRun, sustainable_calls

FEW, MORE = PacedRun(200, 0.15, 0.01), PacedRun(800, 0.30, 0.04)
"""10 % for the wake-ups, 250 µs for moving each call and 50 µs for measuring it."""


def test_calls_fill_seventy_percent_of_a_core() -> None:
    """With a core for each of the two processes: 60 % carries 2,400."""
    assert sustainable_calls(FEW, MORE, cores=4) == pytest.approx(2400, abs=1)


def test_on_one_core_both_processes_have_to_share_it() -> None:
    """60 % at 300 µs."""
    assert sustainable_calls(FEW, MORE, cores=1) == pytest.approx(2000, abs=1)


def test_measuring_may_be_what_costs_most() -> None:
    """A tracker of somebody's that takes 500 µs a call."""
    slow = PacedRun(200, 0.15, 0.10), PacedRun(800, 0.30, 0.40)
    assert sustainable_calls(*slow, cores=4) == pytest.approx(1400, abs=1)


def test_a_quota_below_one_core_leaves_less() -> None:
    """Half a core: 35 %, of which the wake-ups take what they always take."""
    assert sustainable_calls(FEW, MORE, cores=0.5) == pytest.approx(833, abs=1)


@pytest.mark.parametrize("few", [0.01, 0.30, 0.35])
def test_a_disturbed_run_promises_no_more_than_the_larger_one_shows(few: float) -> None:
    """Calls that seem to cost nothing, or less than nothing to begin with, are no reason to promise more."""
    assert sustainable_calls(PacedRun(200, few, 0.0), PacedRun(800, 0.30, 0.0), cores=1) == pytest.approx(1866, abs=1)


def test_a_quota_that_the_wake_ups_alone_use_up_carries_no_call() -> None:
    """No negative number of calls."""
    assert sustainable_calls(FEW, MORE, cores=0.1) == 0
