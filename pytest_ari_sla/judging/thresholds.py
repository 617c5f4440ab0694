"""Where thresholds come from, and which one wins.

The command line, a test's own markers, the nearest ``sla.toml`` and ini each may set thresholds. They add up; two for
the same figure and the same direction (``rtt.p99 < …`` twice) are one condition said twice, and the stronger source
replaces the weaker: ``--sla``, then the marker, then ``sla.toml``, then ini. Of two markers the one nearer to the test
is the stronger, and of two tables of ``sla.toml`` the later one. What one source says twice holds twice: ``<= 2%``
beside ``< 2%`` is both. What was replaced is shown in the report.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.judging.sla_file import FILE_NAME, tables_for
from pytest_ari_sla.metrics.units import parse_duration_ns
from pytest_ari_sla.sla.threshold import Threshold, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.settings import Settings

__all__ = ["MARKER", "SourcedThreshold", "thresholds_of"]

MARKER = "sla"
COMMAND_LINE = "--sla"
INI = "ini"


class SourcedThreshold(msgspec.Struct, frozen=True):
    """A threshold, and where it was set.

    Attributes
    ----------
    threshold
        The condition.
    source
        ``--sla``, ``marker``, ``sla.toml`` or ``ini``.
    overrides
        Weaker sources' conditions for the same figure.
    abort_after_ns
        Ends the load when the condition is still broken this long after the load's beginning; None: never.
    """

    threshold: Threshold
    source: str
    overrides: tuple[str, ...] = ()
    abort_after_ns: int | None = None


def thresholds_of(item: pytest.Item, settings: Settings, catalogue: Catalogue) -> list[SourcedThreshold]:
    """Return the thresholds of a test, those of the strongest source first.

    Parameters
    ----------
    item
        The test; its ``sla`` markers are read, and the ``sla.toml`` nearest to its file.
    settings
        Thresholds of the command line and of ini.
    catalogue
        What can be measured.

    Raises
    ------
    UsageError
        An expression cannot be read, or a marker or file is wrong; the place is named.
    """
    return _strongest(_found(item, settings, catalogue))


def _found(item: pytest.Item, settings: Settings, catalogue: Catalogue) -> Iterator[list[SourcedThreshold]]:
    """Yield what each source says, the strongest first."""
    yield _read(settings.sla, None, COMMAND_LINE, COMMAND_LINE, catalogue)
    # Decorators of one function are one source, whatever their number; so are those of its class, and of its module.
    for _, marked in groupby(item.iter_markers_with_node(MARKER), key=itemgetter(0)):
        yield [sourced for _, marker in marked for sourced in _of_marker(marker, item.nodeid, catalogue)]
    for table in tables_for(item):
        yield _read(table.thresholds, table.abort_after, FILE_NAME, table.place, catalogue)
    yield _read(settings.sla_ini, None, INI, f"sla in {item.config.inipath or INI}", catalogue)


def _of_marker(marker: pytest.Mark, nodeid: str, catalogue: Catalogue) -> list[SourcedThreshold]:
    place = f"{nodeid}: mark.sla"
    _check_marker(marker, place)
    return _read(marker.args, marker.kwargs.get("abort_after"), "marker", place, catalogue)


def _check_marker(marker: pytest.Mark, place: str) -> None:
    # pytest takes any argument of a marker: a misspelt one would do nothing, in silence.
    unknown = marker.kwargs.keys() - {"abort_after"}
    if unknown or not marker.args:
        problem = f"unknown argument {', '.join(sorted(unknown))}" if unknown else "no expression"
        raise UsageError(f"{place} has {problem}; write mark.sla('rtt.p99 < 60ms', abort_after='10s')")


def _read(
    expressions: Iterable[object], abort_after: object, source: str, place: str, catalogue: Catalogue
) -> list[SourcedThreshold]:
    try:
        after_ns = None if abort_after is None else parse_duration_ns(str(abort_after))
        return [SourcedThreshold(parse(str(text), catalogue), source, (), after_ns) for text in expressions]
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _strongest(sources: Iterable[list[SourcedThreshold]]) -> list[SourcedThreshold]:
    """Keep for each figure and direction what the strongest source says of it, with what that takes the place of."""
    kept: dict[tuple[str, bool, bool], list[SourcedThreshold]] = {}
    for source in sources:
        said: dict[tuple[str, bool, bool], list[SourcedThreshold]] = {}
        for sourced in source:
            threshold = sourced.threshold
            same = said.setdefault((threshold.figure, threshold.wants_low, threshold.wants_high), [])
            if threshold not in [other.threshold for other in same]:
                same.append(sourced)
        for key, conditions in said.items():
            kept[key] = _overriding(kept[key], conditions) if key in kept else conditions
    return [sourced for conditions in kept.values() for sourced in conditions]


def _overriding(winners: Iterable[SourcedThreshold], losers: Iterable[SourcedThreshold]) -> list[SourcedThreshold]:
    replaced = tuple(f"{loser.threshold} ({loser.source})" for loser in losers)
    return [replace(winner, overrides=(*winner.overrides, *replaced)) for winner in winners]
