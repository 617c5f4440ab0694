"""The search for the most that a target carries, decided from the steps that were made so far.

A step holds a level (so many calls, or call set-ups a second) and has a verdict. The level grows twofold until a step
fails (or shrinks until one passes), then the span between the highest that passed and the lowest that failed is halved
until it is within the precision. Both ends are confirmed: each needs two steps of the same verdict, and where two
differ, a third one decides. A level that failed below one that passed is repeated as well: chance, or a target that
recovers. Two inconclusive steps at one level end the search: the load generator, and not the target, is the limit. A
target whose verdicts go on to differ ends it after 60 steps: what is known then is told as that, and not as its limit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.sla.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_STEPS", "Bracket", "Limit", "Range", "Step", "known_so_far", "next_level"]

_CONFIRMED = 2
_MOST_REPEATS = 3
MOST_STEPS = 60

Limit = str
"""What ended a search: ``target``, ``generator``, ``asked_for`` where the target carried all that was, or ``steps``: it
was ended after so many, since they did not agree."""


class Step(NamedTuple):
    """A level that was held, and what came of it."""

    level: int
    verdict: Verdict


@dataclass(frozen=True)
class Range:
    """What levels are searched, and how finely.

    Attributes
    ----------
    start, most
        The first level to try, and the highest.
    precision
        Share of the answer by which it may be too low.

    Raises
    ------
    UsageError
        The levels do not go together.
    """

    start: int
    most: int
    precision: float

    def __post_init__(self) -> None:
        if not 1 <= self.start <= self.most:
            raise UsageError(f"capacity(): start ({self.start}) must lie between 1 and most ({self.most})")
        if not 0 < self.precision < 1:
            raise UsageError(f"capacity(): precision ({self.precision:g}) must lie between 0 and 1 (0 % and 100 %)")

    def is_close(self, low: int, high: int) -> bool:
        """Tell whether nothing worth trying lies between two levels."""
        # Whole calls: two levels next to each other have nothing between them.
        return high - low <= max(1.0, self.precision * low)


@dataclass(frozen=True)
class Bracket:
    """What the search came to.

    Attributes
    ----------
    carried
        The highest level that was carried; 0 where none was.
    broken
        The lowest level above it that was not; None where none was tried, or none failed.
    limit
        What ended the search.
    flaky
        Levels whose steps did not agree.
    is_monotone
        Whether nothing passed above what had failed.
    """

    carried: int
    broken: int | None
    limit: Limit
    flaky: tuple[int, ...] = ()
    is_monotone: bool = True

    @property
    def words(self) -> str:
        """What is known so far, as a step that follows tells it."""
        known = [f"{self.carried:,} carried"] if self.carried else []
        return ", ".join(known + ([f"{self.broken:,} not"] if self.broken is not None else []))


class _Tally:
    """The steps so far, level by level."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._verdicts: dict[int, list[Verdict]] = defaultdict(list)
        for step in steps:
            self._verdicts[step.level].append(step.verdict)
        self.good = [level for level in sorted(self._verdicts) if self._standing(level) is Verdict.PASS]
        self.bad = [level for level in sorted(self._verdicts) if self._standing(level) is Verdict.FAIL]
        self.tied = [level for level in sorted(self._verdicts) if self._counts(level) == (1, 1)]
        self.flaky = tuple(level for level in sorted(self._verdicts) if min(self._counts(level)) > 0)

    def _counts(self, level: int) -> tuple[int, int]:
        counts = Counter(self._verdicts[level])
        return counts[Verdict.PASS], counts[Verdict.FAIL]

    def _standing(self, level: int) -> Verdict | None:
        passed, failed = self._counts(level)
        return None if passed == failed else Verdict.PASS if passed > failed else Verdict.FAIL

    def times(self, level: int) -> int:
        """Return how many steps at a level had a verdict."""
        return sum(self._counts(level))

    def is_confirmed(self, level: int) -> bool:
        """Tell whether a level needs no further step."""
        return max(self._counts(level)) >= _CONFIRMED


def next_level(steps: Sequence[Step], span: Range) -> int | Bracket:
    """Return the level to try next, or what the search came to.

    Parameters
    ----------
    steps
        All so far, in order; the same steps lead to the same answer, in every process of a fleet.
    span
        What is searched.
    """
    tally = _Tally(steps)
    if steps and steps[-1].verdict is Verdict.INCONCLUSIVE:  # says nothing of the target, so no tally counts it
        is_again = list(steps[-2:]) == [steps[-1]] * 2
        return _found(tally, "generator") if is_again else steps[-1].level
    if len(steps) >= MOST_STEPS:
        return _found(tally, "steps")
    if tally.tied:
        return tally.tied[0]
    if (doubtful := _doubtful(tally)) is not None:
        return doubtful
    return _bracketed(tally, span)


def known_so_far(steps: Sequence[Step]) -> Bracket:
    """Return what steps say when the search ends with them, since there is no target any more."""
    return _found(_Tally(steps), "target")


def _doubtful(tally: _Tally) -> int | None:
    """Return a level that contradicts another one and may be chance; None where there is none."""
    # A target carries less than what it has just carried only by chance, or while it recovers from what broke it.
    above = [level for level in tally.good if tally.bad and level > tally.bad[0]]
    pair = [tally.bad[0], above[0]] if above else []
    return next((level for level in pair if tally.times(level) < _MOST_REPEATS), None)


def _bracketed(tally: _Tally, span: Range) -> int | Bracket:
    high = tally.bad[0] if tally.bad else None
    low = max((level for level in tally.good if high is None or level < high), default=0)
    if high is None:
        if low < span.most:
            # Twofold: however far the limit is, it is passed in a few steps, and halving finds it in as many again.
            return min(span.most, 2 * low) if low else span.start
        return _found(tally, "asked_for") if tally.is_confirmed(low) else low
    if low == 0 and high > 1:
        return high // 2
    if low and not span.is_close(low, high):
        return (low + high) // 2
    unsure = [level for level in (low, high) if level and not tally.is_confirmed(level)]
    return unsure[0] if unsure else _found(tally, "target")


def _found(tally: _Tally, limit: Limit) -> Bracket:
    broken = tally.bad[0] if tally.bad else None
    carried = max((level for level in tally.good if broken is None or level < broken), default=0)
    is_monotone = not (tally.good and broken is not None and tally.good[-1] > broken)
    return Bracket(carried, broken, limit, tally.flaky, is_monotone)
