"""What pytest says of a test beside the verdicts of its loads, and the verdicts brought in line with that.

pytest may know better later: a teardown that fails, a failed subtest, an expected failure. No verdict is better than
what pytest says of the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pytest_ari_sla.judging.judged_load import JudgedLoad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_ari_sla.reporting.record.run_record import Scenario

__all__ = ["Standing", "Told", "in_line", "loads_of"]


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


def loads_of(parts: dict[str, Told]) -> Iterator[JudgedLoad]:
    """Yield the loads of a test; one that failed on any shard has failed."""
    # Copies, as another thread may be asking while the next report comes in.
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
        # A load that failed itself says more than pytest can: the limit, and the value.
        return scenario if scenario.verdict == "fail" else replace(scenario, verdict="fail", reason=standing.failed)
    if standing.known is None or scenario.verdict == "pass":
        return scenario
    expected = f"Known failure ({standing.known})" if standing.known else "Known failure"
    return replace(scenario, verdict="xfail", reason=f"{expected}: {scenario.reason}")
