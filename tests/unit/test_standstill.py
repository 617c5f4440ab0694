"""What runs again after it failed, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import standstill

if TYPE_CHECKING:
    import pytest

FAILS_ONCE = """
    TRIES = []

    def test_that_fails_once():
        TRIES.append(1)
        assert len(TRIES) > 1, "this packet came late"
"""
ALWAYS_FAILS = "def test_that_always_fails(): assert False"


class Machine(standstill.Standstill):
    """A machine that stood still for a given time in every test."""

    def __init__(self, longest_s: float) -> None:
        self._told_s = longest_s

    def take_longest_s(self) -> float:
        """Return that time."""
        return self._told_s


def run(pytester: pytest.Pytester, test: str, longest_s: float) -> pytest.RunResult:
    """Run this test on a machine that stands still for so long."""
    pytester.makepyfile(test)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", plugins=[standstill, Machine(longest_s)])


def test_a_failure_on_a_machine_that_stood_still_shows_nothing(pytester: pytest.Pytester) -> None:
    """It passes at the second try, and the summary tells what failed at the first."""
    result = run(pytester, FAILS_ONCE, 0.034)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*stood still for*", "*::test_that_fails_once", "*34 ms: *this packet came late"])


def test_a_failure_on_a_machine_that_kept_up_is_a_failure(pytester: pytest.Pytester) -> None:
    """It does not run again."""
    run(pytester, FAILS_ONCE, 0.0).assert_outcomes(failed=1)


def test_what_always_fails_fails(pytester: pytest.Pytester) -> None:
    """It runs a few times, not for ever."""
    run(pytester, ALWAYS_FAILS, 0.034).assert_outcomes(failed=1)
