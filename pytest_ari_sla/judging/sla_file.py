"""``sla.toml``: thresholds of a folder of scenarios, kept beside them.

The nearest file counts, from the test's own folder upwards to pytest's root folder; files are not merged. It says what
all tests have to keep, and what some have to keep besides, by a pattern for their names::

    [sla]
    thresholds = ["calls.success_ratio >= 99.9%", "rtt.p99 < 60ms"]

    [sla.tests."test_relay*"]
    thresholds = ["rtt.p99 < 90ms"]
    abort_after = "10s"

A pattern is matched against the test's name (``test_relay[PCMU]``) and against its file and name as seen from the
folder of ``sla.toml`` (``voice/test_relay.py::test_relay``). Where two say the same thing, the later table in the file
is the stronger one, and each is stronger than what holds for all tests.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.shard_names import parse_nodeid, shard_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

__all__ = ["FILE_NAME", "ThresholdTable", "nearest_file", "tables_for"]

FILE_NAME = "sla.toml"


# A misspelt key would otherwise be a limit that nobody judges.
class _Conditions(msgspec.Struct, forbid_unknown_fields=True):
    thresholds: list[str] = []
    abort_after: str | None = None


class _Sla(_Conditions, forbid_unknown_fields=True):
    tests: dict[str, _Conditions] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    sla: _Sla


@dataclass(frozen=True)
class ThresholdTable:
    """One table that applies to a test.

    Attributes
    ----------
    place
        File and table, for messages: ``scenarios/sla.toml: [sla]``.
    thresholds
        Expressions, not read yet.
    abort_after
        How long one of them may be broken before it ends the load; None: it does not end it.
    """

    place: str
    thresholds: tuple[str, ...]
    abort_after: str | None


def nearest_file(folder: Path, root: Path) -> Path | None:
    """Return the ``sla.toml`` of a folder or of the nearest one above it, up to ``root``; None where there is none.

    Outside of ``root`` the folder alone is looked at.
    """
    upwards = [folder, *folder.parents] if folder.is_relative_to(root) else [folder]
    for candidate in upwards:
        if (file := candidate / FILE_NAME).is_file():
            return file
        if candidate == root:
            break
    return None


def tables_for(item: pytest.Item) -> list[ThresholdTable]:
    """Return the tables that apply to a test, the strongest first.

    Raises
    ------
    UsageError
        The file cannot be read.
    """
    root = item.config.rootpath
    file = nearest_file(item.path.parent, root)
    if file is None:
        return []
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    content = _read(file, str(shown))
    tables = [_table(f"{shown}: [sla]", content)]
    for pattern, conditions in content.tests.items():
        # A name with parameters in brackets would be a pattern that does not match itself.
        # fnmatchcase(): fnmatch() ignores case on some systems, and a limit must hold for the same tests everywhere.
        if any(pattern == name or fnmatchcase(name, pattern) for name in _names(item, file.parent)):
            tables.append(_table(f'{shown}: [sla.tests."{pattern}"]', conditions))
    return tables[::-1]


def _names(item: pytest.Item, folder: Path) -> Iterator[str]:
    """Yield the names that patterns are matched against."""
    name = shard_name(item)
    yield parse_nodeid(item.name).test if name.shard else item.name
    if item.path.is_relative_to(folder):
        _, _, within = name.test.partition("::")
        yield f"{item.path.relative_to(folder).as_posix()}::{within}"


def _table(place: str, conditions: _Conditions) -> ThresholdTable:
    return ThresholdTable(place, tuple(conditions.thresholds), conditions.abort_after)


def _read(file: Path, shown: str) -> _Sla:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File).sla
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{shown} cannot be used: {error}") from error
