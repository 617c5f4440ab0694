"""The loads of a session with their verdicts, in line with what pytest says of the tests that made them.

A load is judged when its test's own code is over. pytest may know better later: a teardown that fails, a failed
subtest, an expected failure, another attempt by a plug-in, another shard of the same test. The last attempt decides,
and no verdict is better than what pytest says of the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pytest_ari_sla.judging.judged_load import JudgedLoad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_ari_sla.reporting.run_record import Scenario

__all__ = ["JudgedTests", "Standing", "Told", "in_line"]


class Standing(msgspec.Struct):
    """What pytest says of a test, as far as it goes beyond its loads' own verdicts.

    Attributes
    ----------
    failed
        Why the test failed, where that is not for a load's verdict; empty: it did not.
    known
        Why it was expected to fail, where it did (``xfail``); None: it was not.
    skipped
        Why it was skipped; None: it was not.
    unjudged
        How many loads it had asked for before it was skipped.
    """

    failed: str = ""
    known: str | None = None
    skipped: str | None = None
    unjudged: int = 0


class Told(msgspec.Struct):
    """What a test's report tells beside pytest's own words.

    Attributes
    ----------
    test
        Node id, without any mention of shards.
    standing
        What pytest says so far.
    loads
        The loads that the test made, and their verdicts; None: as in the report before.
    """

    test: str
    standing: Standing
    loads: list[JudgedLoad] | None = None


class JudgedTests:
    """All tests of a session, by what their reports told."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Told]] = {}

    def hear(self, nodeid: str, told: Told) -> None:
        """Take in what the report of a test, or of one shard of it, tells; the latest counts."""
        parts = self._told.setdefault(told.test, {})
        if told.loads is None and nodeid in parts:
            told = replace(told, loads=parts[nodeid].loads)
        parts[nodeid] = told

    def loads(self) -> list[JudgedLoad]:
        """Return every load with the verdict that stands, in the order in which their tests began."""
        return [load for parts in list(self._told.values()) for load in _loads_of(parts)]

    def notes(self) -> list[str]:
        """Return what a reader must know of tests whose loads are not in the report."""
        return [
            f"{told.test} was skipped after it had made {told.standing.unjudged} loads, which are not judged: "
            f"{told.standing.skipped}"
            for parts in self._told.values()
            for told in parts.values()
            if told.standing.skipped is not None and told.standing.unjudged
        ]


def _loads_of(parts: dict[str, Told]) -> Iterator[JudgedLoad]:
    """Yield the loads of a test; one that failed on any shard has failed."""
    failures = [told.standing.failed for told in list(parts.values()) if told.standing.failed]
    for told in list(parts.values()):
        standing = told.standing
        if failures and not standing.failed:
            standing = replace(standing, failed=failures[0])
        yield from in_line(told.loads or (), standing)


def in_line(loads: Iterable[JudgedLoad], standing: Standing) -> list[JudgedLoad]:
    """Return loads with verdicts that do not contradict pytest; those of a skipped test are left out."""
    if standing.skipped is not None and not standing.failed:
        return []
    return [replace(load, scenario=_in_line(load.scenario, standing)) for load in loads]


def _in_line(scenario: Scenario, standing: Standing) -> Scenario:
    if standing.failed:
        return scenario if scenario.verdict == "fail" else replace(scenario, verdict="fail", reason=standing.failed)
    if standing.known is None or scenario.verdict == "pass":
        return scenario
    expected = f"Known failure ({standing.known})" if standing.known else "Known failure"
    return replace(scenario, verdict="xfail", reason=f"{expected}: {scenario.reason}")
