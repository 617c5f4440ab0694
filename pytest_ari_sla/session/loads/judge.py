"""Judges the loads of a finished test, and lets the test fail by the verdict."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pytest_ari_sla.blame.sentences import at_fault
from pytest_ari_sla.errors import SlaError, UsageError
from pytest_ari_sla.judging.judged_load import JudgedLoad
from pytest_ari_sla.judging.records.evidence import captured_calls, evidence_files
from pytest_ari_sla.judging.records.scenario_record import call_rows, scenario_record
from pytest_ari_sla.judging.regression import judge_change
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.reporting.comparison import compare_scenarios
from pytest_ari_sla.reporting.places import CAPTURES_NAME
from pytest_ari_sla.reporting.record.run_record import BaselineComparison, CallRow, Scenario, Target
from pytest_ari_sla.reporting.run_comparison import target_name
from pytest_ari_sla.reporting.wording.text import clean
from pytest_ari_sla.shard_names import name_of_test
from pytest_ari_sla.sla.verdict import Verdict, judge, worst_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.session.loads.load_job import LoadJob, Turns
    from pytest_ari_sla.session.loads.load_maker import LoadMaker

__all__ = ["doc_of", "first_line", "judge_loads", "raise_verdict", "why"]


def judge_loads(
    item: pytest.Item, maker: LoadMaker, jobs: Sequence[LoadJob], failure: BaseException | None
) -> list[JudgedLoad]:
    """Judge the loads of a test.

    Parameters
    ----------
    item
        The test.
    maker
        Who made the loads.
    jobs
        The loads that it asked for. One that was cut off is judged by what was measured until then. None at all is a
        failure of its own: of the test's own error, or since it forgot to make one.
    failure
        What the test itself raised.
    """
    found = [(job, _outcome_of(job, maker, failure)) for job in jobs]
    outcomes = [(job, outcome) for job, outcome in found if outcome is not None]
    test = name_of_test(item)
    several = len(outcomes) > 1
    judged = [
        _judged(item, f"{test} load {number}" if several else test, maker, job, outcome, failure)
        for number, (job, outcome) in enumerate(outcomes, 1)
    ]
    if failure is None:
        judged = [
            _compared(load, job.turns, maker) if job.turns is not None else load
            for load, (job, _) in zip(judged, outcomes, strict=True)
        ]
    if failure is None and (forgotten := _forgotten(item, maker, jobs, outcomes)):
        judged.append(_no_load(item, forgotten))
    elif not judged and failure is not None:
        judged.append(_no_load(item, why(failure)))
    return judged


def _outcome_of(job: LoadJob, maker: LoadMaker, failure: BaseException | None) -> LoadOutcome | None:
    """Return what came of a load over all shards, so far if it was cut off; None if it never began."""
    if job.outcome is None and (job.is_over or failure is not None):
        return maker.cut_off(job, "the test went on without it" if failure is None else first_line(failure))
    return job.outcome


def _forgotten(item: pytest.Item, maker: LoadMaker, jobs: Sequence[LoadJob], outcomes: Sequence[Any]) -> str:
    """Return what is wrong where a test passed and a load of it was not made to its end; empty: nothing."""
    if any(not job.is_over for job in jobs):
        return "A load was not made to its end before the test ended; was `await` forgotten before load(…)?"
    if not outcomes and maker.thresholds_of(item):
        return "No load was made to its end, so that there is nothing to judge; was `await load(…)` forgotten?"
    return ""


def _no_load(item: pytest.Item, reason: str) -> JudgedLoad:
    scenario = Scenario(nodeid=name_of_test(item), doc=doc_of(item), verdict="fail", reason=clean(reason))
    return JudgedLoad(scenario, _line_of(item))


def _judged(
    item: pytest.Item,
    name: str,
    maker: LoadMaker,
    job: LoadJob,
    outcome: LoadOutcome,
    failure: BaseException | None,
) -> JudgedLoad:
    thresholds = maker.thresholds_of(item) if job.capacity is None else job.thresholds
    catalogue = maker.registry.catalogue
    limits, cut_short = [sourced.threshold for sourced in thresholds], job.is_cut_short or bool(outcome.cut_off)
    judgement = judge(limits, outcome.total, outcome.series, maker.rules, cut_short=cut_short)
    # What the test itself got wrong says less than a broken limit; that the target or a shard died says more.
    is_ours = isinstance(failure, SlaError) and not isinstance(failure, UsageError)
    if failure is not None and (judgement.verdict is not Verdict.FAIL or is_ours):
        judgement = replace(judgement, verdict=Verdict.FAIL, reason=why(failure))
    elif outcome.cut_off and judgement.verdict is not Verdict.FAIL:
        judgement = replace(judgement, verdict=Verdict.INCONCLUSIVE, reason=clean(outcome.cut_off))
    captures = captured_calls(outcome, maker.capture, catalogue)
    scenario = scenario_record(name, doc_of(item), outcome, judgement, thresholds, catalogue, captures)
    scenario.capacity = job.capacity
    shown = {call.capture for call in scenario.worst_calls}
    if more := sum(bool(capture.path) and capture.path not in shown for capture in captures.values()):
        scenario.notes.append(f"Packets of {more:,} more calls are in {CAPTURES_NAME}/.")
    if outcome.cut_off:
        scenario.notes.append(clean(outcome.cut_off))
    if maker.baseline is not None:
        scenario = maker.baseline.judge(scenario, outcome.total, catalogue, maker.rules.pacing_error_s)
    is_long = len(scenario.call_table) < len(outcome.calls)  # the record's table has a part only
    rows: list[CallRow] = call_rows(outcome, judgement, thresholds) if is_long else []
    texts = evidence_files(outcome, name)
    scenario = structs.replace(scenario, evidence=[file.path for file in texts])
    return JudgedLoad(scenario, _line_of(item), rows, list(captures.values()), texts)


def _compared(load: JudgedLoad, turns: Turns, maker: LoadMaker) -> JudgedLoad:
    """Return the last turn of a load with what all its turns say of the two targets."""
    assert maker.other is not None
    catalogue, settings, there = maker.registry.catalogue, maker.settings, maker.other.target()
    before, after = (
        [_turn(job, load.scenario, maker) for job in jobs if job.outcome] for jobs in (turns.before, turns.after)
    )
    measured = Snapshot.sum_of(job.outcome.total for job in (*turns.before, *turns.after) if job.outcome)
    compared = BaselineComparison(
        run_id=maker.facts.run_id,
        source=there.url,
        target=target_name(Target(kind=there.kind, version=there.version, url=there.url)),
        verdict_before=worst_of(Verdict(scenario.verdict) for scenario in before).value,
        in_turns=True,
        max_regression=settings.max_regression,
        comparisons=compare_scenarios(before, after, catalogue, settings.max_regression, settings.baseline_floor_s),
    )
    scenario = judge_change(load.scenario, compared, measured, catalogue, maker.rules.pacing_error_s)
    return structs.replace(load, scenario=scenario)


def _turn(job: LoadJob, shown: Scenario, maker: LoadMaker) -> Scenario:
    """Return the record of one turn, on either target, judged by the limits of the test."""
    outcome = job.outcome
    assert outcome is not None
    limits, cut_short = [sourced.threshold for sourced in job.thresholds], job.is_cut_short or bool(outcome.cut_off)
    judgement = judge(limits, outcome.total, outcome.series, maker.rules, cut_short=cut_short)
    scenario = scenario_record(shown.nodeid, shown.doc, outcome, judgement, job.thresholds, maker.registry.catalogue)
    return structs.replace(scenario, capacity=job.capacity)


def raise_verdict(judged: Sequence[JudgedLoad], inconclusive: str) -> None:
    """Fail the running test where a verdict says so.

    Parameters
    ----------
    judged
        From :func:`judge_loads`.
    inconclusive
        ``fail`` or ``pass``.
    """
    scenarios = [load.scenario for load in judged]
    bad = [scenario for scenario in scenarios if scenario.verdict == "fail"]
    bad += [scenario for scenario in scenarios if scenario.verdict == "inconclusive" and inconclusive == "fail"]
    if bad:
        pytest.fail("\n\n".join(map(_explain, bad)), pytrace=False)


def _explain(scenario: Scenario) -> str:
    """Return one sentence, then the evidence."""
    lines = [f"SLA {scenario.verdict}: {scenario.reason}"]
    lines += [
        f"  {threshold.verdict:<12} {threshold.sentence}"
        for threshold in scenario.thresholds
        if threshold.sentence != scenario.reason
    ]
    compared = scenario.baseline.comparisons if scenario.baseline else []
    lines += [f"  {item.verdict:<12} {item.sentence}" for item in compared if item.verdict in ("worse", "better")]
    lines += [f"  note         {note}" for note in scenario.notes]
    lines += [f"  call {call.id}: {call.why}" for call in scenario.worst_calls[:3] if call.why]
    return "\n".join(clean(line) for line in lines)


def why(failure: BaseException, what: str = "The test itself failed") -> str:
    """Return in one line why a test failed, and by whose fault if it was not its own."""
    if isinstance(failure, SlaError):
        return at_fault(first_line(failure), failure.culprit)
    return f"{what}: {first_line(failure)}"


def first_line(failure: BaseException) -> str:
    """Return the first line of what an exception says, or its type where it says nothing."""
    return (str(failure) or type(failure).__name__).strip().splitlines()[0]


def _line_of(item: pytest.Item) -> int | None:
    _, line, _ = item.location
    return None if line is None else line + 1  # pytest counts lines from 0


def doc_of(item: pytest.Item) -> str:
    """Return the first paragraph of a test's docstring, as one line."""
    doc = inspect.getdoc(getattr(item, "obj", None)) or ""
    return doc.split("\n\n")[0].replace("\n", " ")
