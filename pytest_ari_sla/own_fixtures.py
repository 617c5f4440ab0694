"""Which of a test's fixtures are this tool's: ``load`` and ``target`` are names that users give to theirs as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

__all__ = ["own_fixtures"]

_PACKAGE = __name__.partition(".")[0]


def own_fixtures(item: pytest.Item) -> frozenset[str]:
    """Return the names of this tool's fixtures that a test gets, itself or by way of others.

    A user's fixture or parameter of the same name hides ours, unless it takes ours as its argument.
    """
    # pytest tells the names of a test's fixtures in public, but not whose they are.
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.items() if info is not None else ()
    return frozenset(name for name, definitions in found if _is_own(name, definitions))


def _is_own(name: str, definitions: Sequence[pytest.FixtureDef[object]]) -> bool:
    for definition in reversed(definitions):  # the nearest to the test comes last
        if definition.func.__module__.partition(".")[0] == _PACKAGE:
            return True
        if name not in definition.argnames:
            return False
    return False
