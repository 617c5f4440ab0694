from __future__ import annotations

import numpy as np
import pytest

from pytest_ari_sla.capacity.answer import answer, evidence, why_not_held
from pytest_ari_sla.capacity.search import Bracket
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.reporting.record.record_capacity import CapacityStep

WHY = "rtt.p99@hold is 71 ms, limit 60 ms"
STEPS = [CapacityStep(level=420, verdict="pass"), CapacityStep(level=440, verdict="fail", reason=WHY)]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            Bracket(420, 440, "target"),
            f"420 calls are carried, 440 are not ({WHY}); limited by the target: the cores were busy",
        ),
        (Bracket(2000, None, "asked_for"), "At least 2,000 calls are carried, as many as were asked for"),
        (
            Bracket(420, None, "generator"),
            "420 calls are carried; how many more cannot be told, since the load generator is the limit: "
            "the cores were busy",
        ),
        (
            Bracket(420, 440, "steps"),
            f"420 calls are carried, 440 are not ({WHY}); the search was ended after 2 steps, whose verdicts go on to "
            "differ",
        ),
        (
            Bracket(420, None, "steps"),
            "420 calls are carried; how many more was not found out; the search was ended after 2 steps, whose "
            "verdicts go on to differ",
        ),
        (Bracket(0, 440, "target"), f"Not even 440 calls are carried ({WHY})"),
    ],
)
def test_the_answer_is_one_sentence(found: Bracket, sentence: str) -> None:
    """With what was broken first, and who was the limit."""
    told = answer(found, STEPS, "calls", "the cores were busy")
    assert told.sentence == sentence
    assert (told.calls, told.interval, told.limited_by) == (found.carried, (found.carried, found.broken), found.limit)
    assert told.first_broken == (WHY if found.broken else "")


def test_what_cannot_be_relied_on_is_part_of_it() -> None:
    """Steps that did not agree, and a target that carried more than what it had failed at."""
    told = answer(Bracket(420, 440, "target", (430, 440), is_monotone=False), STEPS, "call rate", "")
    assert told.sentence == (
        f"420 call set-ups/s are carried, 440 are not ({WHY}); limited by the target; "
        "steps did not agree at 430, 440; higher levels passed than one that failed"
    )


def shares(*values: float) -> Histogram:
    """Return shares of cores, second by second."""
    histogram = Histogram()
    for value in values:
        histogram.record_one(round(value * 10_000))
    return histogram


def test_who_was_busy_in_half_of_the_seconds_is_evidence() -> None:
    """One busy second is none."""
    measured = {"harness.host_others": shares(0.97, 0.98, 0.3), "harness.host_ours": shares(0.5, 0.1, 0.1)}
    assert evidence(Snapshot(measured)) == "the target and others took 97 % of the cores that it shares with us"
    assert evidence(Snapshot({"harness.cpu": shares(0.9)})) == "the process that moves packets used 90 % of a core"
    assert evidence(Snapshot()) == ""


@pytest.mark.parametrize(("unsent", "is_held"), [(0, True), (5, True), (6, False)])
def test_a_level_that_we_did_not_put_on_the_target_was_not_held(unsent: int, is_held: bool) -> None:
    """By more than the precision of the answer; then a step says nothing, whatever its limits came to."""
    pacing = Histogram()
    pacing.record(np.zeros(100 - unsent, np.int64))
    words = why_not_held(Snapshot({"harness.pacing_error": pacing, "harness.not_sent": unsent}), 0.05)
    told = f"the level was not held: the load generator left {unsent} % of its packets unsent"
    assert words == ("" if is_held else told)
