"""Searches for the capacity of the target: one load a step, each judged by the limits of its test."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec.structs import replace as replaced

from pytest_ari_sla.capacity.answer import UNITS, answer, evidence
from pytest_ari_sla.capacity.search import Bracket, Range, Step, next_level
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.load.planning.stages import hold as held
from pytest_ari_sla.load.planning.stages import ramp, rate
from pytest_ari_sla.reporting.record.record_capacity import CapacityStep
from pytest_ari_sla.session.load_job import Turns
from pytest_ari_sla.session.turns import make_whole, on_other
from pytest_ari_sla.sla.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.judging.thresholds import SourcedThreshold
    from pytest_ari_sla.load.planning.stages import StageRequest
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.metrics.catalogue import Metric
    from pytest_ari_sla.reporting.record.record_capacity import Capacity
    from pytest_ari_sla.session.load_job import LoadJob
    from pytest_ari_sla.session.load_maker import LoadMaker

__all__ = ["CapacityRun", "search"]

HOLD = "hold"
"""The stage that is judged."""

_CALLS_PER_SECOND = 50
"""So fast calls are set up before they are held: far below what any Asterisk takes."""

_AT_THE_END = ("calls.leaked", "calls.left_unknown")


async def search(
    maker: LoadMaker,
    jobs: list[LoadJob],
    make_job: Callable[[Sequence[StageRequest]], LoadJob],
    per: str,
    span: Range,
    times: tuple[str, str, str],
) -> Capacity:
    """Search for the capacity; first for that of the target that is compared against, where there is one.

    Parameters
    ----------
    maker, jobs, make_job, per, span
        As in :class:`CapacityRun`.
    times
        How long a level is held, how long it settles, and how long a call lasts where the level is a rate.
    """
    turns = Turns()
    if maker.other is not None:
        with on_other(maker.other):
            await CapacityRun(maker.other, turns.before, make_job, per, span).find(*times)
    found = await CapacityRun(maker, jobs, make_job, per, span).find(*times)
    if maker.other is not None:
        turns.after.append(jobs[-1])
        jobs[-1].turns = turns
    return found


class CapacityRun:
    """One search.

    Parameters
    ----------
    maker
        Makes the loads.
    jobs
        The loads of the test, as they are judged: of all steps, one is left that stands for the answer.
    make_job
        Makes a job from the stages of a load.
    per
        ``calls`` or ``call rate``.
    span
        What is searched.

    Raises
    ------
    UsageError
        ``per`` is neither, or the test has no limits.
    """

    def __init__(
        self,
        maker: LoadMaker,
        jobs: list[LoadJob],
        make_job: Callable[[Sequence[StageRequest]], LoadJob],
        per: str,
        span: Range,
    ) -> None:
        if per not in UNITS:
            raise UsageError(f"capacity(): per is {per!r}; it can be {' or '.join(map(repr, UNITS))}")
        self._maker, self._jobs, self._make_job = maker, jobs, make_job
        self._per, self._span = per, span
        self._steps: list[CapacityStep] = []
        self._held: list[tuple[LoadJob, LoadOutcome]] = []

    async def find(self, hold: str, settle: str, holding: str) -> Capacity:
        """Make steps until the capacity is known.

        Parameters
        ----------
        hold
            How long each level is held and judged.
        settle
            How long it is left alone before.
        holding
            How long each call lasts, where the level is a rate.
        """
        made: list[Step] = []
        while not isinstance(level := next_level(made, self._span), Bracket):
            made.append(Step(level, await self._hold(level, hold, settle, holding)))
        hurt = self._last(level.broken, Verdict.FAIL) or self._held[-1]
        found = answer(level, self._steps, self._per, evidence(hurt[1].total))
        job, outcome = self._standing_for(level)
        job.capacity = found
        job.outcome = replace(outcome, notes=(*outcome.notes, found.sentence))
        self._jobs.append(job)
        return found

    async def _hold(self, level: int, hold: str, settle: str, holding: str) -> Verdict:
        job = self._make_job(self._stages(level, hold, settle, holding))
        if not job.thresholds:
            raise UsageError(
                "capacity() needs limits: give the test a marker such as @pytest.mark.sla('rtt.p99 < 60ms')"
            )
        job.thresholds = [self._of_the_hold(sourced) for sourced in job.thresholds]
        # Where this step is cut off, it is what is left of the test.
        self._jobs.append(job)
        await make_whole(self._maker, job)
        self._jobs.remove(job)
        outcome = job.outcome
        assert outcome is not None
        thresholds = [sourced.threshold for sourced in job.thresholds]
        judged = judge(thresholds, outcome.total, outcome.series, self._maker.rules)
        verdict = Verdict.INCONCLUSIVE if outcome.cut_off else judged.verdict
        values = {item.expression: item.value for item in judged.outcomes}
        self._steps.append(CapacityStep(level=level, verdict=verdict.value, reason=judged.reason, values=values))
        self._held.append((job, outcome))
        return verdict

    def _stages(self, level: int, hold: str, settle: str, holding: str) -> list[StageRequest]:
        if self._per == "call rate":
            settling = rate(level, duration=settle, holding=holding, name="settle")
            return [settling, rate(level, duration=hold, holding=holding, name=HOLD)]
        over_s = max(1, math.ceil(level / _CALLS_PER_SECOND))
        return [ramp(level, over=f"{over_s}s", start=0), held(settle, name="settle"), held(hold, name=HOLD)]

    def _of_the_hold(self, sourced: SourcedThreshold) -> SourcedThreshold:
        """Return a limit for the time in which the level is held, unless it says itself what it is for."""
        threshold = sourced.threshold
        is_of_setup = self._per == "calls" and _is_of_setup(threshold.metric)
        if threshold.stage is not None or is_of_setup or threshold.metric.name in _AT_THE_END:
            return sourced
        return replaced(sourced, threshold=replaced(threshold, stage=HOLD))

    def _last(self, level: int | None, verdict: Verdict) -> tuple[LoadJob, LoadOutcome] | None:
        """Return the last load of a level with this verdict, and what came of it."""
        both = zip(self._steps, self._held, strict=True)
        found = [made for step, made in both if step.level == level and step.verdict == verdict.value]
        return found[-1] if found else None

    def _standing_for(self, found: Bracket) -> tuple[LoadJob, LoadOutcome]:
        """Return the load that stands for the answer: that of the level that was carried, or what was not."""
        if found.limit != "generator" and (carried := self._last(found.carried, Verdict.PASS)):
            return carried
        return self._held[-1]


def _is_of_setup(metric: Metric) -> bool:
    """Tell whether a metric tells of set-ups, of which there are none while a number of calls is held."""
    return metric.of_control or metric.name.startswith(("calls.", "ari.")) or metric.name == "first_packet"
