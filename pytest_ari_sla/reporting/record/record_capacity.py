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
    broken
        The first limit that it broke, as its threshold is written; empty where it broke none.
    values
        What was measured of each limit, by its expression, in the metric's unit; None where nothing was.
    figures
        Median and 99th percentile of each distribution that has a limit, while the level was held: ``rtt.p99``.
    """

    level: int
    verdict: str
    reason: str = ""
    broken: str = ""
    values: dict[str, float | None] = field(default_factory=dict)
    figures: dict[str, float | None] = field(default_factory=dict)


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
        What was broken there, in a sentence; empty where nothing was.
    broken
        The limit that was broken there, as its threshold is written; empty where none was.
    limited_by
        ``target``, ``generator`` (the answer is not known), ``network``, ``asked_for``: all that was asked for was
        carried, or ``steps``: so many were made that the search was ended.
    died_at
        The level at which a load broke off, since the target died or was lost; None where none did.
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
    broken: str = ""
    limited_by: str = ""
    died_at: int | None = None
    evidence: str = ""
    sentence: str = ""
    steps: list[CapacityStep] = field(default_factory=list)
