"""Judges the loads of a finished test, and lets the test fail by the verdict."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.roles.scenario_record import scenario_record
from pytest_ari_sla.roles.shard_names import parse_nodeid
from pytest_ari_sla.sla.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.load.outcome import LoadOutcome
    from pytest_ari_sla.roles.standalone import Standalone

__all__ = ["doc_of", "judge_loads", "raise_verdict"]


def judge_loads(
    item: pytest.Item, role: Standalone, outcomes: Sequence[LoadOutcome], failure: BaseException | None
) -> list[dict[str, Any]]:
    """Judge the loads of a test and return their records, as plain built-ins.

    Parameters
    ----------
    item
        The test.
    role
        Who made the loads.
    outcomes
        What came of them, over all shards.
    failure
        What the test itself raised.

    Returns
    -------
    One record for each load.
    """
    thresholds = role.thresholds_of(item)
    records = []
    for number, outcome in enumerate(outcomes, 1):
        judgement = judge([sourced.threshold for sourced in thresholds], outcome.total, outcome.series, role.rules)
        if failure is not None and judgement.verdict is not Verdict.FAIL:
            judgement = replace(judgement, verdict=Verdict.FAIL, reason=_why(failure))
        test = parse_nodeid(item.nodeid).test
        nodeid = test if len(outcomes) == 1 else f"{test} load {number}"
        record = scenario_record(nodeid, doc_of(item), outcome, judgement, thresholds, role.registry.catalogue)
        records.append(msgspec.to_builtins(record))
    return records


def raise_verdict(records: Sequence[dict[str, Any]], inconclusive: str) -> None:
    """Fail the running test where a record's verdict says so.

    Parameters
    ----------
    records
        From :func:`judge_loads`.
    inconclusive
        ``fail`` or ``pass``.
    """
    bad = [record for record in records if record["verdict"] == "fail"]
    bad += [record for record in records if record["verdict"] == "inconclusive" and inconclusive == "fail"]
    if bad:
        pytest.fail("\n\n".join(map(_explain, bad)), pytrace=False)


def _explain(record: dict[str, Any]) -> str:
    """Return one sentence, then the evidence."""
    lines = [f"SLA {record['verdict']}: {record['reason']}"]
    lines += [
        f"  {threshold['verdict']:<12} {threshold['sentence']}"
        for threshold in record["thresholds"]
        if threshold["sentence"] != record["reason"]
    ]
    lines += [f"  note         {note}" for note in record["notes"]]
    lines += [f"  call {call['id']}: {call['why']}" for call in record["worst_calls"][:3] if call["why"]]
    return "\n".join(lines)


def _why(failure: BaseException) -> str:
    if isinstance(failure, SlaError):
        return f"{_first_line(failure)} (at fault: {failure.culprit})"
    return f"The test itself failed: {_first_line(failure)}"


def _first_line(failure: BaseException) -> str:
    return (str(failure) or type(failure).__name__).strip().splitlines()[0]


def doc_of(item: pytest.Item) -> str:
    """Return the first paragraph of a test's docstring, as one line."""
    doc = inspect.getdoc(getattr(item, "obj", None)) or ""
    return doc.split("\n\n")[0].replace("\n", " ")
