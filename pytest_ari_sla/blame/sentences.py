"""Blame in words: of many calls in one sentence, and of an error behind what it says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_ari_sla.blame.rules import Blame

__all__ = ["at_fault", "groups_of", "sentence"]

_GROUPS_TOLD = 4


def at_fault(words: str, side: str) -> str:
    """Return what happened, and who is to blame for it."""
    return f"{words} (at fault: {side})"


def groups_of(blames: Iterable[Blame]) -> list[tuple[Blame, int]]:
    """Return each kind of blame with how many calls it has, most calls first."""
    return Counter(blames).most_common()


def sentence(groups: Sequence[tuple[str, str, int]], calls: int) -> str:
    """Return how many of so many calls are bad, and by whom; empty where none is.

    Parameters
    ----------
    groups
        Side, why and number of calls, most calls first.
    calls
        Calls in all.
    """
    bad = sum(number for *_, number in groups)
    if not bad:
        return ""
    parts = [at_fault(f"{number:,} {why}", side) for side, why, number in groups[:_GROUPS_TOLD]]
    if rest := sum(number for *_, number in groups[_GROUPS_TOLD:]):
        parts.append(f"{rest:,} for other reasons")
    return f"{bad:,} of {counted(calls, 'call')} {'is' if bad == 1 else 'are'} bad: {', '.join(parts)}"
