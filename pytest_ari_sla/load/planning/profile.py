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
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import dropwhile, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.units import format_duration_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["LATE_NS", "Calls", "LoadProfile", "PlannedCall", "Rate", "Stage"]

_SECOND_NS = 1_000_000_000
# The plan of a day is looked through in pieces of so many calls: memory stays flat.
MOST_CALLS = 1_000_000
"""More than any Asterisk carries: it has two of 65,536 ports for each."""

_CHUNK = 1 << 16

LATE_NS = _SECOND_NS
"""A call that comes up so much after its beginning still sends its whole time; one that is later ends by its plan."""

_LEAST_SENDING_NS = _SECOND_NS
_LEAST_STEP_NS = 1_000_000

_SEED = 2833
"""What is drawn is the same in every run and every shard: so two runs can be compared."""


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

    Each lasts ``holding_ns``, also beyond the stage's end, or a time from ``least_holding_ns`` to that. The n-th call
    (from 0) begins when the integral of the rate reaches n + 1/2.
    """

    name: str
    start: float
    end: float
    duration_ns: int
    holding_ns: int
    least_holding_ns: int | None = None

    @property
    def calls(self) -> int:
        """How many calls begin before the stage ends."""
        # Less a rounding error: 0.1 a second for 5 s is half a call, which begins when the stage is over.
        return max(0, math.ceil(self.area(self.duration_ns) - 0.5 - 1e-9))

    @property
    def _slope(self) -> float:
        return (self.end - self.start) / (self.duration_ns / _SECOND_NS)

    def area(self, elapsed_ns: int) -> float:
        """Return the integral of the rate from the stage's beginning."""
        elapsed_s = min(max(elapsed_ns, 0), self.duration_ns) / _SECOND_NS
        return self.start * elapsed_s + self._slope * elapsed_s * elapsed_s / 2

    def begins_ns(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return when calls begin, by their numbers, after the stage's beginning."""
        area = numbers + 0.5
        speed = np.sqrt(np.maximum(0.0, self.start * self.start + 2 * self._slope * area))
        # The usual (speed - start) / slope loses all digits where the rate hardly changes.
        at_ns: NDArray[np.int64] = np.rint(2 * area / (self.start + speed) * _SECOND_NS).astype(np.int64)
        return at_ns

    def begun(self, elapsed_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many calls have begun at times after the stage's beginning, also just then."""
        if not self.calls:
            return np.zeros_like(elapsed_ns)
        elapsed_s = np.clip(elapsed_ns, 0, self.duration_ns) / _SECOND_NS
        area = self.start * elapsed_s + self._slope * elapsed_s * elapsed_s / 2
        guess = np.clip(np.floor(area + 0.5), 0, self.calls).astype(np.int64)
        # Beginnings are whole nanoseconds: what the integral says may be off by one call at such a moment.
        guess -= (guess > 0) & (self.begins_ns(np.maximum(guess - 1, 0)) > elapsed_ns)
        guess += (guess < self.calls) & (self.begins_ns(guess) <= elapsed_ns)
        return guess


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
    hang_up_ns
        How long after its first request it is hung up, whatever has become of that by then; None: it is not.
    is_seated
        Whether its place is to be taken for all of its holding time, by another call where this one ends earlier.
    """

    start_ns: int
    number: int
    holding_ns: int
    stage: str
    hang_up_ns: int | None = None
    is_seated: bool = False

    def sending_ns(self, up_ns: int) -> int:
        """Return for how long it sends when it comes up at a time: a late call must not hold up the load's end."""
        late_ns = max(0, up_ns - self.start_ns - LATE_NS)
        return max(self.holding_ns - late_ns, min(self.holding_ns, _LEAST_SENDING_NS))


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
    least_holding_ns
        Where calls last differently long: the shortest of them; ``holding_ns`` is the longest then.
    hang_up_ns
        The least and the most time after its first request that each call is hung up; None: they are not.

    Raises
    ------
    UsageError
        If there is nothing to do: no stage, a stage without duration, no call at all.
    """

    stages: tuple[Stage, ...]
    holding_ns: int | None = None
    least_holding_ns: int | None = None
    hang_up_ns: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("a load needs at least one stage")
        for stage in self.stages:
            _check(stage)
        if self.holding_ns is not None and self.holding_ns <= 0:
            raise UsageError("calls need a holding time of more than 0")
        if next(self.plan(), None) is None:  # only the plan knows: half a call is none
            raise UsageError(f"this load makes no call: {self._why_no_call()}; ask for at least one")

    def _why_no_call(self) -> str:
        begun = sum(stage.area(stage.duration_ns) for stage in self.stages if isinstance(stage, Rate))
        return f"its rates come to {begun:.2g} calls before they end" if begun else "it asks for 0 calls"

    @property
    def duration_ns(self) -> int:
        """Length of all stages."""
        return sum(stage.duration_ns for stage in self.stages)

    def check_packet_time(self, packet_time_ns: int) -> None:
        """Refuse calls that end before their first packet is due.

        Raises
        ------
        UsageError
            A holding time, or the time for which calls are up, is shorter than a packet.
        """
        holdings = {f"stage {stage.name!r}": stage.holding_ns for stage in self.stages if isinstance(stage, Rate)}
        longest = max((taken.holding_ns for taken in self._stretches), default=0)
        if longest:
            holdings["the load"] = longest if self.holding_ns is None else min(longest, self.holding_ns)
        for where, holding_ns in holdings.items():
            if holding_ns < packet_time_ns:
                lasts, needed = format_duration_ns(holding_ns), format_duration_ns(packet_time_ns)
                raise UsageError(f"calls of {where} last {lasts} and would send no packet: they need {needed} at least")

    @property
    def replaces_calls(self) -> bool:
        """Whether calls begin after others have ended: those that are just ending need room as well."""
        if self.holding_ns is not None or any(isinstance(stage, Rate) for stage in self.stages):
            return True
        levels = [0, *(level for stage in self.stages for level in (stage.start, stage.end))]
        changes = [after - before for before, after in pairwise(levels)]
        return any(change > 0 for change in dropwhile(lambda change: change >= 0, changes))

    @cached_property
    def most_begun_per_s(self) -> float:
        """The most calls that begin in a second, once those have begun that are up from the start."""
        most = max((max(stage.start, stage.end) for stage in self.stages if isinstance(stage, Rate)), default=0.0)
        if self.holding_ns is None:
            return most
        mean_ns = (self.holding_ns + (self.holding_ns if self.least_holding_ns is None else self.least_holding_ns)) / 2
        seats = max((max(stage.start, stage.end) for stage in self.stages if isinstance(stage, Calls)), default=0)
        return most + seats * _SECOND_NS / max(mean_ns, _LEAST_STEP_NS)

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
                total += stage.area(at_ns - begin) - stage.area(at_ns - begin - stage.holding_ns)
        return total

    def corners(self) -> list[int]:
        """Return the times between which :meth:`target_calls` only rises or only falls.

        Between the beginnings and ends of stages, and of what their last calls leave behind, it is a parabola: that may
        turn on the way.
        """
        edges = {0}
        for stage, (_, begin, end) in zip(self.stages, self.boundaries(), strict=True):
            edges |= {begin, end - 1}  # at its end a stage wants nothing any more
            if isinstance(stage, Rate):
                edges |= {begin + stage.holding_ns, end - 1 + stage.holding_ns}
        turns = {turn for begin, end in pairwise(sorted(edges)) if (turn := self._turn(begin, end)) is not None}
        return sorted(edges | turns)

    def _turn(self, begin_ns: int, end_ns: int) -> int | None:
        """Return where the parabola between two edges turns; None where it does not."""
        first, middle, last = (self.target_calls(at) for at in (begin_ns, (begin_ns + end_ns) // 2, end_ns))
        bend = first - 2 * middle + last
        if abs(bend) < 1e-9:  # a straight line, but for rounding
            return None
        share = 0.5 - (last - first) / (4 * bend)  # where the parabola through the three points has its vertex
        return begin_ns + round(share * (end_ns - begin_ns)) if 0 < share < 1 else None

    @cached_property
    def wanted_peak(self) -> float:
        """The most calls that are wanted at one time; the plan, which has whole calls, may differ by less than one."""
        return max(map(self.target_calls, self.corners()))

    def peak_calls(self, shard: int = 0, shards: int = 1) -> int:
        """Return the most calls that are up at one time by plan: over all shards, or those of a shard (from 0).

        It is counted, not estimated: the number of calls only grows where one begins.
        """
        return max(int(self._up(starts, shard, shards).max()) for starts in self._starts())

    def _starts(self) -> Iterator[NDArray[np.int64]]:
        """Yield all moments at which the number of calls that are up may grow, in pieces."""
        yield np.array([taken.start_ns for taken in self._stretches] or [0], np.int64)
        for stage, (_, begin, _end) in zip(self.stages, self.boundaries(), strict=True):
            if isinstance(stage, Rate):
                for first in range(0, stage.calls, _CHUNK):
                    yield begin + stage.begins_ns(np.arange(first, min(first + _CHUNK, stage.calls)))

    def _up(self, at_ns: NDArray[np.int64], shard: int, shards: int) -> NDArray[np.int64]:
        """Return how many calls of a shard are up at each of some times."""
        mine = [taken for taken in self._stretches if taken.seat % shards == shard]
        begins, ends = (
            np.sort(np.array(times, np.int64))
            for times in ([call.start_ns for call in mine], [call.start_ns + call.holding_ns for call in mine])
        )
        # what begins just then is up, what ends just then is not
        up = np.searchsorted(begins, at_ns, "right") - np.searchsorted(ends, at_ns, "right")
        for stage, (_, begin, _end) in zip(self.stages, self.boundaries(), strict=True):
            if isinstance(stage, Rate):
                begun, ended = stage.begun(at_ns - begin), stage.begun(at_ns - begin - stage.holding_ns)
                # Every shards-th call is the shard's.
                up += (begun + shards - 1 - shard) // shards - (ended + shards - 1 - shard) // shards
        return up

    def plan(self, shard: int = 0, shards: int = 1) -> Iterator[PlannedCall]:
        """Yield the calls of a shard (counted from 0), by the time they begin; none is known before it is due."""
        draw = random.Random(_SEED)
        closed = {stage.name for stage in self.stages if isinstance(stage, Calls)} if self.holding_ns is None else set()
        # Lazily: the plan of a day is never in memory as a whole.
        for number, call in enumerate(heapq.merge(*self._sources())):
            # Drawn for the calls of all shards: each has the same time, however many shards there are.
            hang_up_ns = None if self.hang_up_ns is None else draw.randint(*self.hang_up_ns)
            if call.seat % shards == shard:
                seated = call.stage in closed
                yield PlannedCall(call.start_ns, number, call.holding_ns, call.stage, hang_up_ns, seated)

    def _sources(self) -> Iterator[Iterator[_SeatedCall]]:
        if self.holding_ns is None:
            yield iter(sorted(self._stretches))
        else:
            yield from (self._replaced(taken, self.holding_ns) for taken in self._stretches)
        for stage, (_, begin, _end) in zip(self.stages, self.boundaries(), strict=True):
            if isinstance(stage, Rate):
                yield _arrivals(stage, begin)

    def _replaced(self, taken: _SeatedCall, holding_ns: int) -> Iterator[_SeatedCall]:
        """Yield the calls that are in a seat one after the other."""
        start_ns, end_ns = taken.start_ns, taken.start_ns + taken.holding_ns
        holdings = _holdings(self.least_holding_ns, holding_ns, taken.seat)
        while start_ns < end_ns:
            lasts_ns = next(holdings)
            yield _SeatedCall(start_ns, min(lasts_ns, end_ns - start_ns), self.stage_at(start_ns), taken.seat)
            start_ns += max(lasts_ns, _LEAST_STEP_NS)  # calls of 0 s must not follow each other without an end

    def stage_at(self, at_ns: int) -> str:
        """Return the name of the stage that a time falls in; the last one's behind the end."""
        return next((name for name, _, end in self.boundaries() if at_ns < end), self.stages[-1].name)

    @cached_property
    def _stretches(self) -> list[_SeatedCall]:
        """Each closed seat for as long as it is taken at a stretch: as many as calls, however long the load lasts."""
        return [stretch for stretch in self._seats() if stretch.holding_ns > 0]

    def _seats(self) -> Iterator[_SeatedCall]:
        """Yield each closed seat for as long as it is taken at a stretch."""
        taken: list[tuple[int, str]] = []
        now_ns = 0
        for stage in self.stages:
            wanted = [stage.start, stage.end] if isinstance(stage, Calls) else [0, 0]
            for target, over_ns in zip(wanted, (0, stage.duration_ns), strict=True):
                change = target - len(taken)
                for step in range(abs(change)):
                    # + 1/2: the number of calls is the line of the ramp, rounded
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
    if not 0 <= min(stage.start, stage.end) <= max(stage.start, stage.end) < math.inf:
        raise UsageError(f"stage {stage.name!r} asks for {stage.start:g} to {stage.end:g} calls")
    if isinstance(stage, Rate) and stage.holding_ns <= 0:
        raise UsageError(f"stage {stage.name!r} needs a holding time of more than 0")
    at_a_time = max(stage.start, stage.end)
    if isinstance(stage, Rate):
        at_a_time *= max(1.0, min(stage.holding_ns, stage.duration_ns) / 1e9)
    if at_a_time > MOST_CALLS:  # a mistake: to plan them would take longer than anybody waits
        raise UsageError(
            f"stage {stage.name!r} asks for {at_a_time:,.0f} calls at a time; a load can have {MOST_CALLS:,} at most"
        )


def _holdings(least_ns: int | None, most_ns: int, seed: int) -> Iterator[int]:
    """Yield how long calls last, one after the other: all alike, or drawn evenly from a range."""
    draw = random.Random(f"{_SEED} {seed}")  # a text seeds alike in every process; a hash of it would not
    while True:
        yield most_ns if least_ns is None else draw.randint(least_ns, most_ns)


def _arrivals(stage: Rate, begin_ns: int) -> Iterator[_SeatedCall]:
    """Yield the calls of an open stage."""
    holdings = _holdings(stage.least_holding_ns, stage.holding_ns, begin_ns)
    for first in range(0, stage.calls, _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, stage.calls))
        for number, at_ns in zip(numbers.tolist(), stage.begins_ns(numbers).tolist(), strict=True):
            yield _SeatedCall(begin_ns + at_ns, next(holdings), stage.name, number)
