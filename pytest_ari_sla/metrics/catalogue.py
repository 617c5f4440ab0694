"""The catalogue of metrics: one table of what can be measured, named in thresholds and written in reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Metric"]

Kind = Literal["distribution", "count", "ratio"]
Unit = Literal["s", "ratio", "count", "mos", "ppm", "B"]


@dataclass(frozen=True)
class Metric:
    """One thing that is measured.

    Attributes
    ----------
    name
        Dotted name: ``rtt``, ``loss.lost``, ``harness.pacing_error``.
    kind
        ``distribution`` (a histogram, has stats such as ``p99``), ``count`` (adds up over shards) or ``ratio`` of two
        counts (taken after merging).
    unit
        Unit of the value as reported and as thresholds read it.
    description
        One line for tables, with the source of the definition (RFC section, ITU clause).
    better
        Whether a smaller or a larger value is the better one.
    resolution
        What one step of the integers in its histogram means, in ``unit``: 1e-9 for times kept in ns.
    numerator, denominator
        For a ratio: names of the counts it is made of.
    judges_loss
        True where receive drops of our own would falsify it.
    """

    name: str
    kind: Kind
    unit: Unit
    description: str
    better: Literal["lower", "higher"] = "lower"
    resolution: float = 1e-9
    numerator: str = ""
    denominator: str = ""
    judges_loss: bool = False
