"""The loads of a session with their verdicts, in line with what pytest says of the tests that made them.

A load is judged when its test's own code is over. pytest may know better later: a teardown that fails, a failed
subtest, an expected failure, another attempt by a plug-in, another shard of the same test. The last attempt decides,
and no verdict is better than what pytest says of the test.

Every session has one: what is heavy is imported with the first load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from pytest_ari_sla.judging.judged_load import JudgedLoad
    from pytest_ari_sla.judging.standing import Told

__all__ = ["JudgedTests"]


class JudgedTests:
    """All tests of a session, by what their reports told."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Told]] = {}

    def hear(self, nodeid: str, told: Told) -> None:
        """Take in what the report of a test, or of one shard of it, tells; the latest counts."""
        from msgspec.structs import replace

        parts = self._told.setdefault(told.test, {})
        if told.loads is None and nodeid in parts:
            told = replace(told, loads=parts[nodeid].loads)
        parts[nodeid] = told

    def knows(self, test: str) -> bool:
        """Tell whether a report of a test has come."""
        return test in self._told

    def loads(self) -> list[JudgedLoad]:
        """Return every load with the verdict that stands, in the order in which their tests began."""
        if not self._told:
            return []
        from pytest_ari_sla.judging.standing import loads_of

        # A copy: a session that has to end on the spot asks in another thread while reports still come in.
        return [load for parts in list(self._told.values()) for load in loads_of(parts)]

    def notes(self) -> list[str]:
        """Return what a reader must know of tests whose loads are not in the report."""
        return [
            f"{told.test} was skipped after it had made {counted(told.standing.unjudged, 'load')}, not judged: "
            f"{told.standing.skipped}"
            for parts in self._told.values()
            for told in parts.values()
            if told.standing.skipped is not None and told.standing.unjudged
        ]
