"""A metric: what is measured, named in thresholds and written in reports, and how it is shown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.units import Unit

__all__ = ["PLACES", "STATS", "Kind", "Metric", "Place", "Unit", "is_stat", "percentile_of"]

Kind = Literal["distribution", "count", "ratio"]
Place = Literal["console", "summary", "tile", "timeline", "percentiles", "worst calls"]

PLACES: tuple[Place, ...] = get_args(Place)
"""Where a prominent metric can be shown.

The live console; the table of key figures in the terminal's summary; the tiles of HTML and Markdown; the first charts
over time; the percentile curves (of a distribution); and what can make a call one of the worst.
"""

STATS = ("count", "min", "mean", "max")
"""The stats of a distribution besides its percentiles (``p0`` to ``p100``, with decimals: ``p99.9``)."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_PERCENTILE = re.compile(r"p(\d+(\.\d+)?)")


def is_stat(text: str) -> bool:
    """Tell whether ``text`` reads as a stat: ``max``, ``p99.9`` … (a percentile above 100 does as well)."""
    return text in STATS or _PERCENTILE.fullmatch(text) is not None


def percentile_of(stat: str | None) -> float | None:
    """Return the percentile that a stat names, 0 to 100; None for every other stat."""
    match = _PERCENTILE.fullmatch(stat or "")
    return float(match[1]) if match else None


@dataclass(frozen=True)
class Metric:
    """One thing that is measured.

    Attributes
    ----------
    name
        Dotted name: ``rtt``, ``loss.lost``, ``harness.pacing_error``. Its last part is no stat.
    kind
        ``distribution`` (a histogram, has stats such as ``p99``), ``count`` (adds up over shards) or ``ratio`` of two
        counts (taken after merging).
    unit
        Unit of the value as reported and as thresholds read it.
    description
        What it is, in one line for tables.
    better
        Whether a smaller or a larger value is the better one.
    resolution
        What one step of the integers in its histogram means, in ``unit``: 1e-9 for times kept in ns. One, or one
        divided by a whole number.
    numerator, denominator
        For a ratio: names of the counts it is made of.
    judges_loss
        True where receive drops of our own would falsify it.
    lag
        The distribution that tells how much too long this one's samples may be by our own lateness: of a time of ARI's
        requests and events ``harness.setup_lag`` or the like; empty where there is none.
    source
        Where the definition comes from (RFC section, ITU clause); empty for one of our own.
    error_bound
        How far from the true value it may be.
    oracle
        The independent calculation that tests hold it to, with the path of the test.
    prominent
        True where it is one of the figures that reports show first, and that runs are compared by.
    places
        Where a prominent metric is shown: everywhere, unless it says less.
    rank
        Among prominent metrics, those with a smaller one come first.
    title, label
        Its name for people, as the title of a chart and, shorter, on a tile; the latter is the title if not given.
    compared
        The stats of a prominent metric that runs are compared by; for a count or ratio ``("",)`` or nothing. None: its
        median and p99, or its mean where higher is better.
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
    lag: str = ""
    source: str = ""
    error_bound: str = ""
    oracle: str = ""
    prominent: bool = False
    places: tuple[Place, ...] = PLACES
    rank: int = 500
    title: str = ""
    label: str = ""
    compared: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            message = f"metric {self.name!r}: {problem}"
            raise UsageError(message)

    def _problem(self) -> str:
        """Say what is wrong with the declaration; an empty string when nothing is."""
        if not _NAME.fullmatch(self.name):
            return "a name is made of lower-case words (a-z, 0-9, _), joined by dots"
        # In a threshold, rtt.max is a stat of rtt: nothing would tell the two apart.
        if is_stat(self.name.rpartition(".")[2]):
            return "a name must not end like a stat (min, p99 …)"
        if (self.kind == "ratio") != bool(self.numerator and self.denominator):
            return "a ratio, and nothing else, names the two counts that it is made of"
        # in_unit() is exact only where it divides by a whole number.
        if not math.isclose(self.resolution * self.steps_per_unit, 1):
            return f"resolution {self.resolution} is neither 1 nor one divided by a whole number"
        if unknown := set(self.places) - set(PLACES):
            return f"{', '.join(sorted(map(repr, unknown)))} is not a place: {', '.join(PLACES)}"
        if wrong := [stat for stat in self.compared or () if (stat == "") == (self.kind == "distribution")]:
            return f"runs of a {self.kind} cannot be compared by {wrong[0]!r}"
        return ""

    @property
    def steps_per_unit(self) -> int:
        """How many steps of the histogram make one ``unit``."""
        return round(1 / self.resolution)

    @property
    def of_control(self) -> bool:
        """Whether it is a time of ARI's requests and events."""
        return bool(self.lag)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in a snapshot that its value is taken from."""
        return (self.numerator, self.denominator) if self.kind == "ratio" else (self.name,)

    @property
    def definition(self) -> str:
        """What it is, with the source of the definition."""
        return f"{self.description} ({self.source})" if self.source else self.description

    @property
    def compared_stats(self) -> tuple[str | None, ...]:
        """The stats that runs are compared by; None for the value of a count or ratio."""
        if not self.prominent:
            return ()
        if self.compared is not None:
            return tuple(stat or None for stat in self.compared)
        if self.kind != "distribution":
            return (None,)
        return ("p50", "p99") if self.better == "lower" else ("mean",)

    @property
    def call_figures(self) -> tuple[str, ...]:
        """The names of the figures of one call (``rtt.max``) that can make it one of the worst."""
        if not self.is_shown("worst calls"):
            return ()
        stats = () if self.kind != "distribution" else ("max", "p99") if self.better == "lower" else ("min",)
        return (self.name, *(f"{self.name}.{stat}" for stat in stats))

    def is_shown(self, place: Place) -> bool:
        """Tell whether it is shown at a place."""
        return self.prominent and place in self.places

    def in_unit(self, steps: float) -> float:
        """Convert histogram steps to ``unit``.

        Dividing by a whole number gives the float nearest to the exact value: the same one that a limit such as
        ``60ms`` is read as, so that values at a limit compare as equal.
        """
        return steps / self.steps_per_unit
