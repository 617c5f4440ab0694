"""Where thresholds come from, and which one wins.

A test's own marker, the command line and ini each may set thresholds. They add up; two for the same figure and the
same direction (``rtt.p99 < …`` twice) are one condition said twice, and the stronger source replaces the weaker:
``--sla``, then the marker, then ini. What was replaced is shown in the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.units import parse_duration_ns
from pytest_ari_sla.sla.threshold import Threshold, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

    from pytest_ari_sla.metrics.catalogue import Catalogue

__all__ = ["SourcedThreshold", "thresholds_of"]

MARKER = "sla"
_STRENGTH = ("ini", "marker", "--sla")


@dataclass(frozen=True)
class SourcedThreshold:
    """A threshold, and where it was set.

    Attributes
    ----------
    threshold
        The condition.
    source
        ``marker``, ``--sla`` or ``ini``.
    overrides
        Weaker sources' conditions for the same figure.
    abort_after_ns
        Ends the load when the condition is still broken this long after the load's beginning; None: never.
    """

    threshold: Threshold
    source: str
    overrides: tuple[str, ...] = ()
    abort_after_ns: int | None = None


def thresholds_of(item: pytest.Item, given: Sequence[str], catalogue: Catalogue) -> list[SourcedThreshold]:
    """Return the thresholds of a test.

    Parameters
    ----------
    item
        The test; its ``sla`` markers are read.
    given
        Expressions for every test, from the command line or ini.
    catalogue
        What can be measured.

    Raises
    ------
    UsageError
        An expression cannot be read, or a marker is wrong; the test is named.
    """
    found = [SourcedThreshold(parse(text, catalogue), "--sla") for text in given]
    for marker in item.iter_markers(MARKER):
        found += _of_marker(marker, item, catalogue)
    return _strongest(found)


def _of_marker(marker: pytest.Mark, item: pytest.Item, catalogue: Catalogue) -> Iterable[SourcedThreshold]:
    unknown = marker.kwargs.keys() - {"abort_after"}
    if unknown or not marker.args:
        problem = f"unknown argument {', '.join(sorted(unknown))}" if unknown else "no expression"
        raise UsageError(f"{item.nodeid}: mark.sla has {problem}; write mark.sla('rtt.p99 < 60ms', abort_after='10s')")
    after = marker.kwargs.get("abort_after")
    try:
        after_ns = None if after is None else parse_duration_ns(str(after))
        return [SourcedThreshold(parse(str(text), catalogue), "marker", (), after_ns) for text in marker.args]
    except UsageError as error:
        raise UsageError(f"{item.nodeid}: mark.sla: {error}") from error


def _strongest(found: Iterable[SourcedThreshold]) -> list[SourcedThreshold]:
    """Keep one threshold for each figure and direction: the strongest source's, and of those the first."""
    kept: dict[tuple[str, bool, bool], SourcedThreshold] = {}
    for sourced in sorted(found, key=lambda sourced: -_STRENGTH.index(sourced.source)):
        threshold = sourced.threshold
        key = (threshold.figure, threshold.wants_low, threshold.wants_high)
        if key not in kept:
            kept[key] = sourced
        elif sourced.source != kept[key].source:
            winner = kept[key]
            overrides = (*winner.overrides, f"{threshold} ({sourced.source})")
            kept[key] = SourcedThreshold(winner.threshold, winner.source, overrides, winner.abort_after_ns)
    return list(kept.values())
