"""Load profiles: how many calls when. Pure; times are ns from the load's beginning.

A profile is a sequence of stages. A *closed* stage says how many calls are up (``hold``, ``ramp``), an *open* one how
many begin per second (``rate``), whatever becomes of them. From the stages follows a plan: for every call when it shall
begin and how long it shall last.

Every call has a seat: in closed stages the k-th call that is up at a time sits in seat k, and the first one to leave is
the one in the highest seat; in open stages seats are numbers in order of beginning. Shard j of n takes every n-th seat.
So the sum over the shards is the asked-for profile at every moment, and no shard ever has more than one call more than
another in a closed stage, however often calls come and go.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from typing import TYPE_CHECKING, NamedTuple

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Calls", "LoadProfile", "PlannedCall", "Rate", "Stage"]

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Calls:
    """A closed stage: the number of calls goes evenly from ``start`` to ``end`` over ``duration_ns``."""

    name: str
    start: int
    end: int
    duration_ns: int


@dataclass(frozen=True)
class Rate:
    """An open stage: calls begin at a rate that goes evenly from ``start`` to ``end`` (per second).

    Each lasts ``holding_ns``, also beyond the stage's end.
    """

    name: str
    start: float
    end: float
    duration_ns: int
    holding_ns: int


Stage = Calls | Rate


class PlannedCall(NamedTuple):
    """One call of a plan.

    Attributes
    ----------
    start_ns
        When it shall begin.
    number
        Its number in the whole plan, over all shards; calls that begin at one time are in this order.
    holding_ns
        How long it shall send.
    stage
        Name of the stage that it belongs to.
    """

    start_ns: int
    number: int
    holding_ns: int
    stage: str


class _SeatedCall(NamedTuple):
    """A call before it is known who makes it; sorts by the time that it begins."""

    start_ns: int
    holding_ns: int
    stage: str
    seat: int


@dataclass(frozen=True)
class LoadProfile:
    """Stages in sequence.

    Attributes
    ----------
    stages
        At least one.
    holding_ns
        In closed stages: end each call after this time and begin the next one in its place; None to hold every call
        for as long as the profile wants it up.

    Raises
    ------
    UsageError
        If there is nothing to do: no stage, a stage without duration, no call at all.
    """

    stages: tuple[Stage, ...]
    holding_ns: int | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("a load needs at least one stage")
        for stage in self.stages:
            _check(stage)
        if self.peak_calls() == 0:
            raise UsageError("this load has no calls: ask for at least one")

    @property
    def duration_ns(self) -> int:
        """Length of all stages."""
        return sum(stage.duration_ns for stage in self.stages)

    @property
    def replaces_calls(self) -> bool:
        """Whether calls begin after others have ended: those that are just ending need room as well."""
        if self.holding_ns is not None or any(isinstance(stage, Rate) for stage in self.stages):
            return True
        levels = [0, *(level for stage in self.stages for level in (stage.start, stage.end))]
        changes = [after - before for before, after in pairwise(levels)]
        return any(change > 0 for change in dropwhile(lambda change: change >= 0, changes))

    def boundaries(self) -> list[tuple[str, int, int]]:
        """Return name, begin and end of every stage."""
        result = []
        begin = 0
        for stage in self.stages:
            result.append((stage.name, begin, begin + stage.duration_ns))
            begin += stage.duration_ns
        return result

    def target_calls(self, at_ns: int) -> float:
        """Return how many calls the profile wants up at a time; for open stages, how many have begun and not ended."""
        total = 0.0
        for stage, (_, begin, end) in zip(self.stages, self.boundaries(), strict=True):
            if isinstance(stage, Calls):
                if begin <= at_ns < end:
                    total += stage.start + (stage.end - stage.start) * (at_ns - begin) / stage.duration_ns
            else:
                total += _begun(stage, at_ns - begin) - _begun(stage, at_ns - begin - stage.holding_ns)
        return total

    def peak_calls(self) -> int:
        """Return the most calls that are up at one time, by plan."""
        edges = [0]
        for stage, (_, begin, end) in zip(self.stages, self.boundaries(), strict=True):
            edges += [begin, end - 1]
            if isinstance(stage, Rate):
                edges += [begin + stage.holding_ns, end - 1 + stage.holding_ns]
        return math.ceil(max(self.target_calls(edge) for edge in edges) - 1e-9)

    def plan(self, shard: int = 0, shards: int = 1) -> Iterator[PlannedCall]:
        """Yield the calls of a shard (counted from 0), by the time they begin."""
        for number, call in enumerate(heapq.merge(*self._sources())):
            if call.seat % shards == shard:
                yield PlannedCall(call.start_ns, number, call.holding_ns, call.stage)

    def _sources(self) -> Iterator[Iterator[_SeatedCall]]:
        yield iter(sorted(self._closed_calls()))
        for stage, (_, begin, _end) in zip(self.stages, self.boundaries(), strict=True):
            if isinstance(stage, Rate):
                yield _arrivals(stage, begin)

    def _closed_calls(self) -> Iterator[_SeatedCall]:
        for taken in self._seats():
            if self.holding_ns is None:
                yield taken
                continue
            end_ns = taken.start_ns + taken.holding_ns
            for start_ns in range(taken.start_ns, end_ns, self.holding_ns):
                holding_ns = min(self.holding_ns, end_ns - start_ns)
                yield _SeatedCall(start_ns, holding_ns, self.stage_at(start_ns), taken.seat)

    def stage_at(self, at_ns: int) -> str:
        """Return the name of the stage that a time falls in; the last one's behind the end."""
        return next((name for name, _, end in self.boundaries() if at_ns < end), self.stages[-1].name)

    def _seats(self) -> Iterator[_SeatedCall]:
        """Yield each closed seat for as long as it is taken at a stretch."""
        taken: list[tuple[int, str]] = []
        now_ns = 0
        for stage in self.stages:
            wanted = [stage.start, stage.end] if isinstance(stage, Calls) else [0, 0]
            for target, over_ns in zip(wanted, (0, stage.duration_ns), strict=True):
                change = target - len(taken)
                for step in range(abs(change)):
                    at_ns = now_ns + int(over_ns * (step + 0.5) / abs(change))
                    if change > 0:
                        taken.append((at_ns, stage.name))
                    else:
                        yield _left(taken, at_ns)
            now_ns += stage.duration_ns
        while taken:
            yield _left(taken, now_ns)


def _left(taken: list[tuple[int, str]], at_ns: int) -> _SeatedCall:
    """Let the highest seat be left."""
    begin_ns, stage = taken.pop()
    return _SeatedCall(begin_ns, at_ns - begin_ns, stage, len(taken))


def _check(stage: Stage) -> None:
    if stage.duration_ns <= 0:
        raise UsageError(f"stage {stage.name!r} needs a duration of more than 0")
    if min(stage.start, stage.end) < 0:
        raise UsageError(f"stage {stage.name!r} asks for fewer than 0 calls")
    if isinstance(stage, Rate) and stage.holding_ns <= 0:
        raise UsageError(f"stage {stage.name!r} needs a holding time of more than 0")


def _begun(stage: Rate, elapsed_ns: int) -> float:
    """Return how many calls have begun after a time: the integral of the rate."""
    elapsed_s = min(max(elapsed_ns, 0), stage.duration_ns) / _SECOND_NS
    slope = (stage.end - stage.start) / (stage.duration_ns / _SECOND_NS)
    return stage.start * elapsed_s + slope * elapsed_s * elapsed_s / 2


def _arrivals(stage: Rate, begin_ns: int) -> Iterator[_SeatedCall]:
    """Yield the calls of an open stage: the n-th begins when the integral of the rate reaches n + 1/2."""
    slope = (stage.end - stage.start) / (stage.duration_ns / _SECOND_NS)
    for number in range(round(_begun(stage, stage.duration_ns))):
        area = number + 0.5
        if abs(slope) < 1e-12:
            at_s = area / stage.start
        else:
            at_s = (math.sqrt(max(0.0, stage.start * stage.start + 2 * slope * area)) - stage.start) / slope
        yield _SeatedCall(begin_ns + round(at_s * _SECOND_NS), stage.holding_ns, stage.name, number)
