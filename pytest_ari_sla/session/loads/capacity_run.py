"""Searches for the capacity of the target: one load a step, each judged by the limits of its test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace as replaced

from pytest_ari_sla.capacity.answer import UNITS, answer, answer_of_death, evidence, why_not_held
from pytest_ari_sla.capacity.search import Bracket, Range, Step, known_so_far, next_level
from pytest_ari_sla.errors import (
    AsteriskCrashed,
    AsteriskStalled,
    HarnessError,
    HostLimit,
    PortsExhausted,
    SimulatorCrashed,
    SlaError,
    TargetTooSmall,
    UsageError,
)
from pytest_ari_sla.load.planning.stages import hold as held
from pytest_ari_sla.load.planning.stages import ramp, rate
from pytest_ari_sla.reporting.record.record_capacity import CapacityStep
from pytest_ari_sla.session.loads.load_job import Turns
from pytest_ari_sla.session.loads.turns import make_whole, on_other
from pytest_ari_sla.sla.verdict import Verdict, judge
from pytest_ari_sla.watch.probes import has_stalled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.judging.thresholds import SourcedThreshold
    from pytest_ari_sla.load.planning.stages import StageRequest
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.time_series import TimeSeries
    from pytest_ari_sla.reporting.record.record_capacity import Capacity
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.session.loads.load_maker import LoadMaker
    from pytest_ari_sla.sla.threshold import Threshold

__all__ = ["CapacityRun", "search"]

HOLD = "hold"
"""The stage that is judged."""

_CALLS_PER_SECOND = 50
"""So fast calls are set up before they are held: far below what any Asterisk takes."""

_AT_THE_END = ("calls.leaked", "calls.left_unknown")  # known after the last call, and of no stage


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
        turns.after.append(jobs[-1])  # of all steps the one that `find` has left there
        jobs[-1].turns = turns
    return found


@dataclass
class _Made:
    """A step, and the load that it was made of; one that was refused has no outcome."""

    step: CapacityStep
    job: LoadJob

    @property
    def outcome_of_load(self) -> LoadOutcome:
        assert self.job.outcome is not None
        return self.job.outcome


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
        self._made: list[_Made] = []

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
        while not isinstance(level := next_level(self._verdicts(), self._span), Bracket):
            await self._hold(level, hold, settle, holding)
        hurt = self._last(level.broken, Verdict.FAIL) or self._loaded[-1]
        found = answer(level, self._steps, self._per, evidence(hurt.outcome_of_load.total))
        self._stand_for(found, self._standing_for(level))
        return found

    @property
    def _steps(self) -> list[CapacityStep]:
        return [made.step for made in self._made]

    @property
    def _loaded(self) -> list[_Made]:
        return [made for made in self._made if made.job.outcome is not None]

    def _verdicts(self) -> list[Step]:
        return [Step(step.level, Verdict(step.verdict)) for step in self._steps]

    async def _hold(self, level: int, hold: str, settle: str, holding: str) -> None:
        job = self._make_job(self._stages(level, hold, settle, holding))
        if not job.thresholds:
            raise UsageError(
                "capacity() needs limits: give the test a marker such as @pytest.mark.sla('rtt.p99 < 60ms')"
            )
        job.thresholds = [self._of_the_hold(sourced) for sourced in job.thresholds]
        so_far = known_so_far(self._verdicts()).words
        job.step = f"step {len(self._made) + 1} at {level:,} {UNITS[self._per]}" + (f" ({so_far})" if so_far else "")
        # Where this step is cut off, it is what is left of the test.
        self._jobs.append(job)
        refused = ""
        try:
            await make_whole(self._maker, job)
        except SlaError as error:
            refused = str(error).splitlines()[0]
            verdict = self._verdict_on(error, job)
            if verdict is None:
                self._break_off(level, job, error)
                raise
            step = CapacityStep(level=level, verdict=verdict.value, reason=refused)
        self._jobs.remove(job)  # the search judges it; the test, its answer only
        if job.outcome is not None:
            step = self._judged(level, job, job.outcome, refused)
        self._made.append(_Made(step, job))

    def _verdict_on(self, error: SlaError, job: LoadJob) -> Verdict | None:
        """Return what an error says of a level that others have come before; None: it ends the search."""
        if job.outcome is not None:
            return Verdict.FAIL if isinstance(error, AsteriskStalled) else None
        if not self._loaded:
            return None
        if isinstance(error, TargetTooSmall):
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if isinstance(error, PortsExhausted | HostLimit) else None

    def _break_off(self, level: int, job: LoadJob, error: SlaError) -> None:
        """Let what the load that broke off says of the target stand in the report, where it says anything."""
        is_dead = isinstance(error, AsteriskCrashed | SimulatorCrashed) or job.is_orphaned
        if not is_dead and (isinstance(error, HarnessError | UsageError) or job.outcome is None):
            return
        below = [step for step in self._verdicts() if step.level < level]
        found = answer_of_death(known_so_far(below), self._steps, self._per, level, error)
        if job.outcome is not None:
            self._jobs.remove(job)
            self._stand_for(found, _Made(CapacityStep(level=level, verdict="fail"), job))
        elif self._loaded:
            self._jobs.remove(job)
            self._stand_for(found, self._loaded[-1])

    def _judged(self, level: int, job: LoadJob, outcome: LoadOutcome, refused: str) -> CapacityStep:
        """Return the step of a load that was made, by the time in which its level was held."""
        thresholds = [sourced.threshold for sourced in job.thresholds]
        cut_short = job.is_cut_short or bool(outcome.cut_off)
        judged = judge(thresholds, outcome.total, outcome.series, self._maker.rules, cut_short=cut_short)
        verdict, reason = judged.verdict, judged.reason
        if outcome.cut_off:
            verdict = Verdict.INCONCLUSIVE
        elif has_stalled(outcome.total):  # told by the figures, which all shards of a fleet have
            verdict, reason = Verdict.FAIL, refused or "Asterisk stood still, or had its channels locked"
        elif not_held := why_not_held(outcome.total, self._span.precision):
            verdict, reason = Verdict.INCONCLUSIVE, not_held
        broken = [item.expression for item in judged.outcomes if item.verdict is Verdict.FAIL]
        return CapacityStep(
            level=level,
            verdict=verdict.value,
            reason=reason,
            broken=broken[0] if broken and verdict is Verdict.FAIL else "",
            values={item.expression: item.value for item in judged.outcomes},
            figures=_figures(thresholds, outcome.series),
        )

    def _stand_for(self, found: Capacity, made: _Made) -> None:
        """Let one load of the search stand in the report, with the answer."""
        made.job.capacity = found
        self._jobs.append(made.job)

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

    def _last(self, level: int | None, verdict: Verdict) -> _Made | None:
        """Return the last load of a level with this verdict."""
        found = [made for made in self._loaded if made.step.level == level and made.step.verdict == verdict.value]
        return found[-1] if found else None

    def _standing_for(self, found: Bracket) -> _Made:
        """Return the load that stands for the answer: that of the level that was carried, or what was not."""
        if found.limit != "generator" and (carried := self._last(found.carried, Verdict.PASS)):
            return carried
        return self._loaded[-1]


def _figures(thresholds: Sequence[Threshold], series: TimeSeries) -> dict[str, float | None]:
    """Return median and tail of each distribution that has a limit, of the time in which a level was held."""
    hold = next((stage for stage in series.stages if stage.name == HOLD), None)
    metrics = {item.metric.name: item.metric for item in thresholds if item.metric.kind == "distribution"}
    if hold is None or not metrics:
        return {}
    measured = series.between(hold.start_ns, hold.end_ns, metrics)
    return {
        f"{name}.{stat}": measured.value(metric, stat) for name, metric in metrics.items() for stat in ("p50", "p99")
    }


def _is_of_setup(metric: Metric) -> bool:
    """Tell whether a metric tells of set-ups, of which there are none while a number of calls is held."""
    return metric.of_control or metric.name.startswith(("calls.", "ari.")) or metric.name == "first_packet"
