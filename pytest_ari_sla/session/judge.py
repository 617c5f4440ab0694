"""Judges the loads of a finished test, and lets the test fail by the verdict."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_ari_sla.errors import SlaError, UsageError
from pytest_ari_sla.judging.evidence import CAPTURE_FOLDER, captured_calls
from pytest_ari_sla.judging.judged_load import JudgedLoad
from pytest_ari_sla.judging.scenario_record import call_rows, scenario_record
from pytest_ari_sla.reporting.junit import junit_properties
from pytest_ari_sla.reporting.run_record import CallRow, Scenario
from pytest_ari_sla.reporting.text import clean
from pytest_ari_sla.shard_names import parse_nodeid
from pytest_ari_sla.sla.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.load.outcome import LoadOutcome
    from pytest_ari_sla.session.alone import Standalone

__all__ = ["doc_of", "judge_loads", "raise_verdict"]


def judge_loads(
    item: pytest.Item, role: Standalone, outcomes: Sequence[LoadOutcome], failure: BaseException | None
) -> list[dict[str, Any]]:
    """Judge the loads of a test; what came of them is told to JUnit as well.

    Parameters
    ----------
    item
        The test.
    role
        Who made the loads.
    outcomes
        What came of them, over all shards. None at all is a failure of its own: the test's own error is the reason.
    failure
        What the test itself raised.

    Returns
    -------
    A :class:`~pytest_ari_sla.judging.judged_load.JudgedLoad` for each load, as plain built-ins.
    """
    test = parse_nodeid(item.nodeid).test
    names = [test] if len(outcomes) == 1 else [f"{test} load {number}" for number in range(1, len(outcomes) + 1)]
    judged = [_judged(item, name, role, outcome, failure) for name, outcome in zip(names, outcomes, strict=True)]
    if not judged and failure is not None:
        failed = Scenario(nodeid=test, doc=doc_of(item), verdict="fail", reason=clean(_why(failure)))
        judged = [JudgedLoad(failed, _line_of(item))]
    hooks = role.registry.hook_calls
    for load in judged:
        hooks.tell("verdict_reached", scenario=load.scenario, verdict=load.scenario.verdict)
        load.scenario.notes += [remark for remark in hooks.remarks() if remark not in load.scenario.notes]
        item.user_properties += junit_properties(load.scenario)
    return [msgspec.to_builtins(load) for load in judged]


def _judged(
    item: pytest.Item, name: str, role: Standalone, outcome: LoadOutcome, failure: BaseException | None
) -> JudgedLoad:
    thresholds = role.thresholds_of(item)
    catalogue = role.registry.catalogue
    judgement = judge([sourced.threshold for sourced in thresholds], outcome.total, outcome.series, role.rules)
    # What the test itself got wrong says less than a broken limit; that the target or a shard died says more.
    is_ours = isinstance(failure, SlaError) and not isinstance(failure, UsageError)
    if failure is not None and (judgement.verdict is not Verdict.FAIL or is_ours):
        judgement = replace(judgement, verdict=Verdict.FAIL, reason=_why(failure))
    captures = captured_calls(outcome, role.settings.capture)
    paths = {call: capture.path for call, capture in captures.items()}
    scenario = scenario_record(name, doc_of(item), outcome, judgement, thresholds, catalogue, paths)
    if more := len(captures) - sum(bool(call.capture) for call in scenario.worst_calls):
        scenario.notes.append(f"Packets of {more:,} more calls are in {CAPTURE_FOLDER}/.")
    if role.baseline is not None:
        scenario = role.baseline.judge(scenario, outcome.total, catalogue, role.rules.pacing_error_s)
    rows: list[CallRow] = call_rows(outcome.calls) if len(scenario.call_table) < len(outcome.calls) else []
    return JudgedLoad(scenario, _line_of(item), rows, list(captures.values()))


def raise_verdict(judged: Sequence[dict[str, Any]], inconclusive: str) -> None:
    """Fail the running test where a verdict says so.

    Parameters
    ----------
    judged
        From :func:`judge_loads`.
    inconclusive
        ``fail`` or ``pass``.
    """
    scenarios = [msgspec.convert(load["scenario"], Scenario) for load in judged]
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


def _why(failure: BaseException) -> str:
    if isinstance(failure, SlaError):
        return f"{_first_line(failure)} (at fault: {failure.culprit})"
    return f"The test itself failed: {_first_line(failure)}"


def _first_line(failure: BaseException) -> str:
    return (str(failure) or type(failure).__name__).strip().splitlines()[0]


def _line_of(item: pytest.Item) -> int | None:
    _, line, _ = item.location
    return None if line is None else line + 1


def doc_of(item: pytest.Item) -> str:
    """Return the first paragraph of a test's docstring, as one line."""
    doc = inspect.getdoc(getattr(item, "obj", None)) or ""
    return doc.split("\n\n")[0].replace("\n", " ")
