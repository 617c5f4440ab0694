"""One load of one test, from the request to the outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import AsteriskStalled
from pytest_ari_sla.judging.load_description import LoadDescription

if TYPE_CHECKING:
    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.errors import SlaError
    from pytest_ari_sla.judging.thresholds import SourcedThreshold
    from pytest_ari_sla.load.planning.plan import LoadPlan
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.load.run import LoadRun
    from pytest_ari_sla.reporting.record.record_capacity import Capacity
    from pytest_ari_sla.sla.threshold import Threshold

__all__ = ["LoadJob", "Turns"]


@dataclass(eq=False)
class LoadJob:
    """What a test asked for, and how it goes.

    Attributes
    ----------
    test
        Node id, without the shard: the same in every fleet.
    doc
        First paragraph of the test's docstring.
    number
        From 1: which load of the test.
    plan
        What load to make.
    thresholds
        What it has to keep.
    until
        The condition that ends it in good order; None: none.
    run
        The load while it runs.
    notes
        What is to be known before it begins, and why it ended early.
    problem
        What the test has to hear although there is an outcome: a shard was lost, the target died.
    outcome
        What came of it, over all shards; None as long as it is not over, and where it was not made to its end.
    clock
        The time.
    step
        Which part of something larger it is, in words: a step of a search, a turn on another target.
    capacity
        What a search came to that this load stands for; its own limits are the ones that count then.
    is_orphaned
        Whether the target has died in mid-load.
    turns
        All loads that two targets are compared by; None where there is one target, or the last turn is not over.
    is_over
        Whether it has ended, well or badly: one that was not awaited never does.
    calibration
        A load that is made first, and of which only the media path's round trip counts; None where there is none.
    is_calibration
        Whether this is one of these.
    """

    test: str
    doc: str
    number: int
    plan: LoadPlan
    thresholds: list[SourcedThreshold]
    until: Threshold | None = None
    run: LoadRun | None = None
    notes: list[str] = field(default_factory=list)
    problem: Exception | None = None
    outcome: LoadOutcome | None = None
    clock: Clock = time
    step: str = ""
    capacity: Capacity | None = None
    is_orphaned: bool = False
    turns: Turns | None = None
    is_over: bool = False
    calibration: LoadJob | None = None
    is_calibration: bool = False

    @property
    def is_cut_short(self) -> bool:
        """Whether its problem ended it before its time; that Asterisk stood still is found when it is over."""
        return self.problem is not None and not isinstance(self.problem, AsteriskStalled)

    def end_early(self, reason: str, *, hurried: bool = False) -> None:
        """End the load before its time, and remember why."""
        if reason not in self.notes:
            self.notes.append(reason)
        if self.run is not None:
            self.run.end_early(hurried=hurried)

    def target_died(self, crash: SlaError) -> None:
        """End the load, since there is nothing any more that it could be put on."""
        self.problem = crash
        self.is_orphaned = True
        self.end_early(str(crash).splitlines()[0], hurried=True)
        if self.run is not None:
            self.run.lose_target(crash)

    def interrupt(self, reason: str) -> None:
        """End the load, and then pytest, as it does alone at Ctrl-C."""
        self.problem = self.problem or pytest.exit.Exception(reason)  # what went wrong first is the cause
        self.end_early(f"The load was cut off: {reason}", hurried=True)

    def take_over(self, broken_by: Exception | None) -> None:
        """Let the test hear of what broke its load, once the outcome is known; the death of the target says more."""
        if broken_by is not None and self.problem is None:
            self.problem = broken_by
            self.end_early(f"The load was cut off: {str(broken_by).splitlines()[0]}")

    def raise_problem(self) -> None:
        """Raise what the test has to hear."""
        if self.problem is not None:
            raise self.problem

    def describe(self) -> LoadDescription:
        """Return what others need to know of a load that begins now."""
        profile = self.plan.profile
        boundaries = profile.boundaries()
        return LoadDescription(
            doc=self.doc,
            topology=self.plan.topology.name,
            codec=self.plan.codec.name,
            started_ns=self.clock.time_ns(),
            stages=boundaries,
            wanted=[(at, profile.target_calls(at)) for at in profile.corners()],
            thresholds=self.thresholds,
            until=self.until,
            notes=list(self.notes),
            step=self.step,
            is_scripted=self.plan.script is not None,
        )


@dataclass
class Turns:
    """One load in all its turns.

    Attributes
    ----------
    before
        Those on the other target, which it is compared against.
    after
        Those on the session's own.
    """

    before: list[LoadJob] = field(default_factory=list)
    after: list[LoadJob] = field(default_factory=list)
