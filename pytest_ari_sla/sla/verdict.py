"""Verdicts: whether a measurement meets its thresholds, in one sentence each.

The rules, in this order:

1. Nothing was measured: ``fail``, and ``inconclusive`` where the load was cut short: it might have come. (A sliding
   window without samples is passed over, as long as another one has some.)
2. A percentile that the number of samples cannot carry is ``inconclusive``: fewer than ``tail_samples`` samples are
   to be expected beyond it, so that it is the extreme value under another name. With 0.5, p99 takes 50 samples and
   p99.9 takes 500. Where even the interval's known end breaks the limit, it is a ``fail`` nevertheless.
3. The value decides between ``pass`` and ``fail``. A count that has not reached what it is to reach is ``inconclusive``
   where the load was cut short: it grows, and might have.
4. A fault of the load generator turns that into ``inconclusive`` by the table in :mod:`pytest_ari_sla.sla.guards`.
   Of several windows, each is judged by itself up to here, and the worst verdict stands.

5. Calls that are left at the target are a ``fail``, and ``inconclusive`` where that could not be asked, whatever the
   thresholds say; a threshold on ``calls.leaked`` decides instead of this.
6. A load of which all calls failed is a ``fail``, unless a threshold on calls says that it may: nothing was tested.

A value whose confidence interval (both ends known) holds the limit is marked as marginal; this changes no verdict.
Of several verdicts the worst one counts: ``fail`` before ``inconclusive`` before ``pass``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.sla.figures import Figure, Scope, figures_of, first_break_s
from pytest_ari_sla.sla.guards import Guard, reaching_guards, tripped_guards
from pytest_ari_sla.sla.sentences import describe, is_marginal, nothing_measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.metrics.time_series import Stage, TimeSeries
    from pytest_ari_sla.metrics.units import Unit
    from pytest_ari_sla.sla.confidence import Ends
    from pytest_ari_sla.sla.threshold import Threshold

__all__ = ["USUAL_RULES", "Judgement", "Rules", "ThresholdOutcome", "Verdict", "evaluate", "judge", "worst_of"]


class Verdict(Enum):
    """What comes out of a run."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


_SEVERITY = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on the whole; ``pass`` when there is none."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.PASS)


@dataclass(frozen=True)
class Rules:
    """How strictly to judge.

    Attributes
    ----------
    pacing_error_s
        Largest 99th percentile of the generator's own pacing error.
    tail_samples
        How many samples have to be expected beyond a percentile for it to be judged.
    confidence
        Level of the confidence intervals.
    """

    pacing_error_s: float = 0.005
    tail_samples: float = 0.5
    confidence: float = 0.95


USUAL_RULES = Rules()


@dataclass(frozen=True)
class ThresholdOutcome:
    """What became of one threshold.

    Attributes
    ----------
    expression
        The threshold in canonical form.
    verdict
        ``pass``, ``fail`` or ``inconclusive``.
    sentence
        All that a reader needs, for a person who was just woken up.
    value, limit
        What was measured, and the limit, in ``unit``; the value is None where nothing was measured.
    unit
        Unit of value, limit, margin and interval.
    margin
        Distance to the limit: positive when the value is on the right side of it.
    confidence_interval
        (low, high) of the value; None for an end that the samples do not bound. None where a value has no interval.
    marginal
        True when that interval holds the limit.
    samples
        Number of samples behind the value; None for a count.
    since_s
        For a failure, where it can be told: beginning of the first interval or window that breaks the limit, in
        seconds since the load's beginning. For a count, when the count broke it.
    window_s
        (start, end) of the worst sliding window, in seconds since the load's beginning.
    stage
        The stage that was judged.
    guards
        Why the load generator makes this inconclusive.
    """

    expression: str
    verdict: Verdict
    sentence: str
    value: float | None
    limit: float
    unit: Unit
    margin: float | None = None
    confidence_interval: Ends | None = None
    marginal: bool = False
    samples: int | None = None
    since_s: float | None = None
    window_s: tuple[float, float] | None = None
    stage: str | None = None
    guards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What became of a scenario: its verdict, the sentence that explains it, and all thresholds.

    Attributes
    ----------
    reason
        One sentence: that of the worst threshold, or the generator's fault, or that all thresholds hold.
    """

    verdict: Verdict
    reason: str
    outcomes: tuple[ThresholdOutcome, ...]


def judge(
    thresholds: Sequence[Threshold],
    total: Snapshot,
    series: TimeSeries,
    rules: Rules = USUAL_RULES,
    *,
    cut_short: bool = False,
) -> Judgement:
    """Judge a scenario by its thresholds.

    Parameters
    ----------
    thresholds
        All that apply; without any, only a fault of the generator keeps a scenario from passing.
    total, series
        Everything measured, and the same over time.
    rules
        How strictly to judge.
    cut_short
        Whether the load was ended before its time, by other than its own conditions.
    """
    outcomes = tuple(evaluate(threshold, total, series, rules, cut_short=cut_short) for threshold in thresholds)
    verdict = worst_of(outcome.verdict for outcome in outcomes)
    # The one guard that needs no threshold: the load was not the one that was asked for.
    late = [guard for guard in tripped_guards(total, rules.pacing_error_s) if guard.name == "pacing"]
    if verdict is Verdict.PASS and (left := _left_behind(thresholds, total)) is not None:
        return Judgement(*left, outcomes)
    if verdict is Verdict.PASS and _all_failed(thresholds, total):
        return Judgement(
            Verdict.FAIL, f"Not one of {counted(total.count('calls.failed'), 'call')} was established", outcomes
        )
    if verdict is Verdict.PASS and late:
        return Judgement(Verdict.INCONCLUSIVE, _capitalised(late[0].reason), outcomes)
    if verdict is Verdict.PASS:
        count = len(outcomes)
        reason = f"{counted(count, 'threshold')} held" if count else "No thresholds were set"
        return Judgement(verdict, reason, outcomes)
    decisive = [outcome.sentence for outcome in outcomes if outcome.verdict is verdict]
    more = f" (and {len(decisive) - 1} more)" if len(decisive) > 1 else ""
    return Judgement(verdict, decisive[0] + more, outcomes)


def _left_behind(thresholds: Sequence[Threshold], total: Snapshot) -> tuple[Verdict, str] | None:
    """Apply rule 5: return the verdict and its reason; None where nothing is left."""
    leaked, unknown = total.count("calls.leaked"), total.count("calls.left_unknown")
    if leaked and not any(threshold.metric.name == "calls.leaked" for threshold in thresholds):
        return Verdict.FAIL, f"Channels or bridges of {counted(leaked, 'call')} were left behind on the target"
    if unknown:
        return (
            Verdict.INCONCLUSIVE,
            f"It could not be asked whether anything of {counted(unknown, 'call')} is left on the target",
        )
    return None


def _all_failed(thresholds: Sequence[Threshold], total: Snapshot) -> bool:
    """Apply rule 6."""
    judges_calls = any(threshold.metric.name.startswith("calls.") for threshold in thresholds)
    return not judges_calls and bool(total.count("calls.failed")) and not total.count("calls.established")


def evaluate(
    threshold: Threshold,
    total: Snapshot,
    series: TimeSeries,
    rules: Rules = USUAL_RULES,
    *,
    cut_short: bool = False,
) -> ThresholdOutcome:
    """Judge one threshold by the rules of this module; parameters as in :func:`judge`."""
    stages = {stage.name: stage for stage in series.stages}
    if threshold.stage is not None and threshold.stage not in stages:
        return _nothing_measured(threshold, f"there was no stage {threshold.stage!r}", cut_short=cut_short)
    stage = stages[threshold.stage] if threshold.stage is not None else None
    scope = Scope(total, series) if stage is None else Scope.of_stage(series, stage)
    figures = figures_of(threshold, scope, rules.tail_samples, rules.confidence)
    if not figures:
        return _nothing_measured(threshold, "there is not a single sample of it", cut_short=cut_short)
    # Where some windows have enough samples, the others have no say.
    with_say = [figure for figure in figures if figure.carried] or figures
    guards = tripped_guards(scope.total, rules.pacing_error_s)
    outcomes = [(figure, _outcome(threshold, figure, guards, rules)) for figure in with_say]
    # Of equally bad windows, the one furthest on the wrong side is told.
    _, worst = max(outcomes, key=lambda found: (_SEVERITY[found[1].verdict], -threshold.margin(found[0].value)))
    if worst.verdict is not Verdict.FAIL:
        return worst
    if cut_short and _might_have_held(threshold, worst) and not _is_over(series, stage):
        sentence = f"{worst.sentence}; inconclusive, since the load was cut short before it could get there"
        return replace(worst, verdict=Verdict.INCONCLUSIVE, sentence=sentence)
    return replace(worst, since_s=first_break_s(threshold, scope, figures))


def _might_have_held(threshold: Threshold, outcome: ThresholdOutcome) -> bool:
    """Tell whether a condition that does not hold is one on a count that grows, and is not beyond the limit yet."""
    grows = (threshold.metric.kind == "count" or threshold.stat == "count") and threshold.window_ns is None
    is_below = outcome.value is not None and outcome.value <= threshold.limit
    return grows and is_below and not threshold.wants_low


def _is_over(series: TimeSeries, stage: Stage | None) -> bool:
    """Tell whether a stage had ended when the last thing was measured; the whole load never has."""
    return stage is not None and any(interval.start_ns >= stage.end_ns for interval in series.intervals(()))


def _outcome(threshold: Threshold, figure: Figure, guards: Sequence[Guard], rules: Rules) -> ThresholdOutcome:
    """Apply the rules 2 to 4 to one figure."""
    outcome = ThresholdOutcome(
        expression=str(threshold),
        verdict=_verdict_on(threshold, figure),
        sentence=describe(threshold, figure, rules.tail_samples, rules.confidence),
        value=figure.value,
        limit=threshold.limit,
        unit=threshold.unit,
        margin=threshold.margin(figure.value),
        confidence_interval=figure.interval,
        marginal=is_marginal(threshold, figure),
        samples=figure.samples,
        window_s=figure.window_s,
        stage=threshold.stage,
    )
    return _guarded(threshold, outcome, (*guards, *reaching_guards(threshold.metric, threshold.stat, figure.measured)))


def _verdict_on(threshold: Threshold, figure: Figure) -> Verdict:
    """Apply the rules 2 and 3."""
    if not figure.carried and not _breaks_for_certain(threshold, figure):
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if threshold.holds(figure.value) else Verdict.FAIL


def _breaks_for_certain(threshold: Threshold, figure: Figure) -> bool:
    """Tell whether even the interval's end that is nearest to the limit is on its wrong side."""
    low, high = figure.interval or (None, None)
    end = low if threshold.wants_low else high if threshold.wants_high else None
    return end is not None and not threshold.holds(end)


def _nothing_measured(threshold: Threshold, why: str, *, cut_short: bool) -> ThresholdOutcome:
    """Apply rule 1."""
    return ThresholdOutcome(
        expression=str(threshold),
        verdict=Verdict.INCONCLUSIVE if cut_short else Verdict.FAIL,
        sentence=nothing_measured(threshold, f"{why}; the load was cut short" if cut_short else why),
        value=None,
        limit=threshold.limit,
        unit=threshold.unit,
        stage=threshold.stage,
    )


def _guarded(threshold: Threshold, outcome: ThresholdOutcome, guards: Sequence[Guard]) -> ThresholdOutcome:
    """Apply rule 4; what is inconclusive already tells the generator's faults as well."""
    passed, metric, value = outcome.verdict is Verdict.PASS, threshold.metric, outcome.value
    reasons = tuple(
        guard.reason
        for guard in guards
        if (guard.spoils_pass if passed else guard.spoils_failure)(metric)
        and (value is None or guard.may_decide(metric, value, threshold.holds))
    )
    if not reasons:
        return outcome
    sentence = f"{outcome.sentence}; inconclusive, since {' and '.join(reasons)}"
    return replace(outcome, verdict=Verdict.INCONCLUSIVE, sentence=sentence, guards=reasons)


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
