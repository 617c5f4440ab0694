"""Capacity in the run record: how much the target carried, and the steps that say so."""

from __future__ import annotations

from msgspec import Struct, field

__all__ = ["Capacity", "CapacityStep"]


class CapacityStep(Struct, kw_only=True):
    """One level that was held.

    Attributes
    ----------
    level
        So many calls, or call set-ups a second.
    verdict
        ``pass``, ``fail`` or ``inconclusive``, of the time in which it was held.
    reason
        Why, in one sentence.
    values
        What was measured of each limit, by its expression, in the metric's unit; None where nothing was.
    """

    level: int
    verdict: str
    reason: str = ""
    values: dict[str, float | None] = field(default_factory=dict)


class Capacity(Struct, kw_only=True):
    """How much the target carries, by a search.

    Attributes
    ----------
    per
        What was counted: ``calls`` at a time, or ``call rate``.
    calls
        The highest level that was carried, confirmed by a second step; 0 where none was.
    interval
        That, and the lowest level above it that was not carried; None for that where none was found.
    first_broken
        The limit that was broken there; empty where none was.
    limited_by
        ``target``, ``generator`` (the answer is not known), or ``asked_for``: all that was asked for was carried.
    evidence
        What points at what limits it.
    sentence
        All of this in one.
    steps
        All that were made, in order.
    """

    per: str = "calls"
    calls: int = 0
    interval: tuple[int, int | None]
    first_broken: str = ""
    limited_by: str = ""
    evidence: str = ""
    sentence: str = ""
    steps: list[CapacityStep] = field(default_factory=list)
