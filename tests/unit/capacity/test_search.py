from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.capacity.search import MOST_STEPS, Bracket, Range, Step, next_level
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.sla.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def search(target: Callable[[int], Verdict], span: Range) -> tuple[Bracket, list[Step]]:
    """Search to the end."""
    steps: list[Step] = []
    while not isinstance(level := next_level(steps, span), Bracket):
        steps.append(Step(level, target(level)))
    return level, steps


def carries(limit: int) -> Callable[[int], Verdict]:
    """Return a target that carries so much."""
    return lambda level: PASS if level <= limit else FAIL


@given(limit=st.integers(1, 5000), start=st.integers(1, 5000), precision=st.sampled_from([0.01, 0.05, 0.2]))
def test_the_answer_is_right_within_the_precision(limit: int, start: int, precision: float) -> None:
    """Wherever the search begins; both ends of the bracket are confirmed, and it takes few steps."""
    found, steps = search(carries(limit), Range(start, 6000, precision))
    assert found.limit == "target"
    assert found.broken is not None
    assert found.carried <= limit < found.broken
    assert found.broken - found.carried <= max(1, precision * found.carried)
    levels = [step.level for step in steps]
    assert levels.count(found.carried) >= 2
    assert levels.count(found.broken) >= 2
    assert len(steps) <= 30


def test_what_carries_all_that_was_asked_for_has_no_upper_end() -> None:
    """At least 200 is an answer; it is confirmed as well."""
    found, steps = search(carries(500), Range(50, 200, 0.05))
    assert found == Bracket(200, None, "asked_for")
    assert [step.level for step in steps] == [50, 100, 200, 200]


def test_what_carries_nothing_is_told_as_such() -> None:
    """One call is too much."""
    found, steps = search(carries(0), Range(8, 200, 0.05))
    assert (found.carried, found.broken, found.limit) == (0, 1, "target")
    assert [step.level for step in steps] == [8, 4, 2, 1, 1]


def test_a_search_that_comes_to_no_end_does_not_name_the_target_as_its_limit() -> None:
    """Its verdicts differ again and again: what is known after so many steps is all that there is to tell."""
    verdicts = itertools.cycle([PASS, FAIL])
    found, steps = search(lambda level: next(verdicts), Range(50, 100, 0.05))
    assert len(steps) < MOST_STEPS
    assert found.limit != "steps"
    many = [Step(50, PASS), Step(50, FAIL)] * (MOST_STEPS // 2)
    ended = next_level(many, Range(50, 100, 0.05))
    assert isinstance(ended, Bracket)
    assert (ended.limit, ended.flaky) == ("steps", (50,))


def test_where_the_generator_is_the_limit_there_is_no_answer_above_what_is_known() -> None:
    """One inconclusive step may be chance: it is repeated; a second one ends the search."""
    found, steps = search(lambda level: PASS if level < 300 else INCONCLUSIVE, Range(50, 2000, 0.05))
    assert found == Bracket(200, None, "generator")
    assert [step.level for step in steps] == [50, 100, 200, 400, 400]


def test_one_inconclusive_step_is_repeated() -> None:
    """The machine may have had a bad moment."""
    verdicts = iter([INCONCLUSIVE])
    found, _ = search(lambda level: next(verdicts, carries(60)(level)), Range(50, 100, 0.05))
    assert found.limit == "target"


@pytest.mark.parametrize("seed", range(20))
def test_a_step_that_fails_by_chance_does_not_decide(seed: int) -> None:
    """One in ten does, far below the limit: it is repeated, and told."""
    chance = random.Random(seed)
    span = Range(50, 2000, 0.05)

    def target(level: int) -> Verdict:
        return FAIL if level > 420 or (chance.random() < 0.1 and level < 380) else PASS

    found, _ = search(target, span)
    assert found.broken is not None
    assert found.carried == pytest.approx(420, rel=0.06)


def test_steps_that_disagree_are_told() -> None:
    """The first confirmation of 50 fails, the third one decides."""
    verdicts = {50: iter([PASS, FAIL, PASS])}
    found, steps = search(lambda level: next(verdicts.get(level, iter(())), carries(50)(level)), Range(50, 200, 0.05))
    assert found.flaky == (50,)
    assert found.carried == 50
    assert [step.level for step in steps].count(50) == 3


def test_a_level_that_fails_below_one_that_passes_is_repeated_and_told() -> None:
    """Both may be chance; where neither is, what counts is the lower one."""
    steps = [Step(200, PASS), Step(100, FAIL)]
    span = Range(50, 200, 0.05)
    while not isinstance(level := next_level(steps, span), Bracket):
        steps.append(Step(level, carries(98)(level) if level < 200 else PASS))
    levels = [step.level for step in steps]
    assert levels[2:6] == [100, 100, 200, 200]
    assert not level.is_monotone
    assert level.broken is not None
    assert level.carried <= 98 < level.broken


@pytest.mark.parametrize(("start", "most", "precision"), [(0, 10, 0.05), (20, 10, 0.05), (1, 10, 0), (1, 10, 1.0)])
def test_levels_that_do_not_go_together_are_refused(start: int, most: int, precision: float) -> None:
    """Before the first call."""
    with pytest.raises(UsageError, match=r"capacity\(\)"):
        Range(start, most, precision)
