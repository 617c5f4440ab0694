"""SLA expressions: what may be written in a marker, and what it means.

Grammar::

    threshold  = metric [ "." stat ] [ "[" window "]" ] [ "@" stage ] operator number [ unit ]
    metric     = a name of the catalogue
    stat       = "count" | "min" | "mean" | "max" | "p" 0 … 100 with decimals (for distributions, and needed there)
    window     = a duration such as 10s or 1m30s: no window of that length may break the limit
    stage      = the name of a stage of the load profile: only what happened in it counts
    operator   = "<" | "<=" | ">" | ">=" | "=="
    unit       = ns us ms s for times | % or nothing for ratios | B kB MB GB for bytes | nothing for all others

Reading is exact: the limit of ``rtt.p99 < 60ms`` is the float that a measured 60,000,000 ns converts to.
"""

from __future__ import annotations

import math
import operator
import re
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn

import msgspec

from pytest_ari_sla.errors import ThresholdSyntaxError, UnknownName, UsageError
from pytest_ari_sla.metrics.metric import STATS, Metric, percentile_of
from pytest_ari_sla.metrics.units import UNIT_SUFFIXES, format_duration_ns, parse_duration_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.units import Unit

__all__ = ["OPERATORS", "Threshold", "check_stages", "parse", "samples_needed"]

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}

# These two take what looks like a name or a comparison: a wrong one is then named whole, with the nearest right ones.
_NAME = re.compile(r"[^\s\[\]@<>=!]+")
_OPERATOR = re.compile(r"[<>=!]+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_UNIT = re.compile(r"\S*")
_STAT_SUFFIX = re.compile(r"\.(count|min|mean|max|p\d+(\.\d+)?)$")
_STAGE = re.compile(r"[\w-]+")
_OPERATOR_HINTS = {"=": "==", "=<": "<=", "=>": ">=", "!=": "", "<>": ""}


class Threshold(msgspec.Struct, frozen=True):
    """One SLA condition, parsed once: this is what travels, to other processes as well.

    ``str()`` gives its canonical form, which parses back to an equal threshold.

    Attributes
    ----------
    metric
        What is judged.
    stat
        Which figure of a distribution: ``max``, ``p99.9`` …; None for counts and ratios.
    operator
        ``<``, ``<=``, ``>``, ``>=`` or ``==``: the value must stand in this relation to the limit.
    limit
        The limit, in the metric's unit (or plain for the stat ``count``).
    limit_text
        The limit as it was written, normalised: ``60ms``, ``0.1%``.
    window_ns
        Length of the sliding window; None for the whole load or stage.
    stage
        Name of the stage that is judged; None for the whole load.
    """

    metric: Metric
    stat: str | None
    operator: str
    limit: float
    limit_text: str
    window_ns: int | None = None
    stage: str | None = None

    @property
    def figure(self) -> str:
        """What is judged, as it is written: ``rtt.p99[10s]@hold``."""
        stat = f".{self.stat}" if self.stat else ""
        window = f"[{format_duration_ns(self.window_ns)}]" if self.window_ns else ""
        stage = f"@{self.stage}" if self.stage else ""
        return f"{self.metric.name}{stat}{window}{stage}"

    @property
    def percentile(self) -> float | None:
        """The percentile that is judged, 0 to 100; None for another stat."""
        return percentile_of(self.stat)

    @property
    def wants_low(self) -> bool:
        """Whether smaller values are better for this condition."""
        return self.operator in ("<", "<=")

    @property
    def wants_high(self) -> bool:
        """Whether larger values are better for this condition."""
        return self.operator in (">", ">=")

    @property
    def unit(self) -> Unit:
        """Unit of the limit: the metric's own, but for the number of samples."""
        return "count" if self.stat == "count" else self.metric.unit

    @property
    def adds_up(self) -> bool:
        """Whether the value of a whole is the sum of its parts' values."""
        return self.metric.kind == "count" or self.stat == "count"

    def holds(self, value: float) -> bool:
        """Tell whether a value (in ``unit``) meets the condition."""
        return OPERATORS[self.operator](value, self.limit)

    def margin(self, value: float) -> float:
        """Return how far a value is on the right side of the limit; negative on the wrong side."""
        if self.wants_low:
            return self.limit - value
        return value - self.limit if self.wants_high else -abs(value - self.limit)

    def samples_needed(self, tail_samples: float) -> int:
        """Return how many samples it takes for ``tail_samples`` of them to be expected beyond the percentile."""
        return samples_needed(self.percentile, tail_samples)

    def __str__(self) -> str:
        return f"{self.figure} {self.operator} {self.limit_text}"


def samples_needed(percentile: float | None, tail_samples: float) -> int:
    """Return how many samples it takes for ``tail_samples`` of them to be expected beyond a percentile.

    None are needed for other stats, nor for the extremes p0 and p100.
    """
    if percentile is None or percentile in (0, 100):
        return 0
    # As decimal numbers: 100 - 99.9 is not quite 0.1 in binary.
    share = Decimal(str(percentile))
    return math.ceil(Decimal(str(tail_samples)) / (min(share, 100 - share) / 100))


def parse(expression: str, catalogue: Catalogue) -> Threshold:
    """Read an SLA expression.

    Raises
    ------
    ThresholdSyntaxError
        When it cannot be read: with the place, what is wrong there, and the nearest known names.
    """
    return _Parser(expression, catalogue).threshold()


def check_stages(thresholds: Iterable[Threshold], stages: Iterable[str]) -> None:
    """Refuse thresholds on stages that the load does not have.

    Raises
    ------
    ThresholdSyntaxError
        With the nearest names of stages.
    """
    known = list(stages)
    for threshold in thresholds:
        if threshold.stage is not None and threshold.stage not in known:
            expression = str(threshold)
            problem = str(UnknownName("stage", threshold.stage, known)) if known else "this load has no stages"
            raise ThresholdSyntaxError(expression, expression.index("@") + 1, problem)  # no name before it holds an @


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, expression: str, catalogue: Catalogue) -> None:
        self._text = expression
        self._at = 0
        self._catalogue = catalogue

    def threshold(self) -> Threshold:
        metric, stat = self._figure()
        window_ns = self._window()
        stage = self._stage()
        comparison = self._operator()
        limit, limit_text = self._limit(metric, stat)
        self._skip_blanks()
        if self._at < len(self._text):
            self._fail(self._at, "the expression should end here")
        return Threshold(metric, stat, comparison, limit, limit_text, window_ns, stage)

    def _figure(self) -> tuple[Metric, str | None]:
        start, name = self._take(_NAME, "a metric, such as rtt.p99, is missing")
        match = _STAT_SUFFIX.search(name)
        metric_name = name[: match.start()] if match else name
        if metric_name not in self._catalogue:
            self._fail_at_unknown(start, metric_name)
        metric = self._catalogue.lookup(metric_name)
        self._check_stat(metric, match, start)
        return metric, _canonical_stat(match[1]) if match else None

    def _fail_at_unknown(self, start: int, name: str) -> NoReturn:
        """Blame the stat when what stands before it is a metric, the metric otherwise."""
        metric_name, _, stat = name.rpartition(".")
        if metric_name in self._catalogue and self._catalogue.lookup(metric_name).kind == "distribution":
            problem = UnknownName("stat", stat, (*STATS, "p50", "p90", "p95", "p99", "p99.9"))
            self._fail(start + len(metric_name) + 1, str(problem))
        self._fail(start, str(UnknownName("metric", name, (metric.name for metric in self._catalogue))))

    def _check_stat(self, metric: Metric, match: re.Match[str] | None, start: int) -> None:
        if metric.kind == "distribution" and match is None:
            self._fail(self._at, f"{metric.name} is a distribution: add a stat, such as {metric.name}.p99")
        if match is None:
            return
        place = start + match.start() + 1
        if metric.kind != "distribution":
            self._fail(place, f"{metric.name} is a {metric.kind} and has no stats")
        if match[1].startswith("p") and Decimal(match[1][1:]) > 100:
            self._fail(place, "a percentile lies between p0 and p100")

    def _window(self) -> int | None:
        if not self._skip("["):
            return None
        start = self._at
        end = self._text.find("]", start)
        if end < 0:
            self._fail(start, "the window's closing ] is missing")
        try:
            window_ns = parse_duration_ns(self._text[start:end])
        except UsageError as error:
            raise ThresholdSyntaxError(self._text, start, str(error)) from error
        if not window_ns:
            self._fail(start, "a window is longer than nothing")
        self._at = end + 1
        return window_ns

    def _stage(self) -> str | None:
        if not self._skip("@"):
            return None
        _, stage = self._take(_STAGE, "the name of a stage is missing")
        if self._skip("["):
            self._fail(self._at - 1, "the window comes before the stage: rtt.p99[10s]@hold")
        return stage

    def _operator(self) -> str:
        expected = f"a comparison is missing: {' '.join(OPERATORS)}"
        start, text = self._take(_OPERATOR, expected)
        if text in OPERATORS:
            return text
        hint = _OPERATOR_HINTS.get(text)
        self._fail(
            start, f"{text!r} is not a comparison; " + (f"write {hint}" if hint else f"use {' '.join(OPERATORS)}")
        )

    def _limit(self, metric: Metric, stat: str | None) -> tuple[float, str]:
        _, number = self._take(_NUMBER, "a number is missing")
        value = Decimal(number)
        unit: Unit = "count" if stat == "count" else metric.unit
        start, suffix = self._take(_UNIT, "")
        known = UNIT_SUFFIXES[unit]
        if suffix not in known:
            self._fail(
                start,
                _unit_problem(
                    f"{metric.name}.{stat}" if stat else metric.name, suffix, [name for name in known if name]
                ),
            )
        return float(value * known[suffix]), f"{_plain_number(value)}{suffix}"

    def _take(self, pattern: re.Pattern[str], missing: str) -> tuple[int, str]:
        """Skip blanks and return where the next token begins, and the token."""
        self._skip_blanks()
        match = pattern.match(self._text, self._at)
        if match is None:
            self._fail(self._at, missing)
        self._at = match.end()
        return match.start(), match[0]

    def _skip(self, character: str) -> bool:
        """Step over a character if it comes next."""
        self._skip_blanks()
        found = self._text.startswith(character, self._at)
        self._at += found
        return found

    def _skip_blanks(self) -> None:
        self._at = len(self._text) - len(self._text[self._at :].lstrip())

    def _fail(self, position: int, problem: str) -> NoReturn:
        raise ThresholdSyntaxError(self._text, position, problem)


def _canonical_stat(stat: str) -> str:
    """Write percentiles in one way only: ``p99.90`` and ``p099.9`` are ``p99.9``."""
    return stat if stat in STATS else f"p{_plain_number(Decimal(stat[1:]))}"


def _plain_number(value: Decimal) -> str:
    """Write a number without exponent, leading plus or trailing zeros."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text  # two texts of one limit would be two thresholds


def _unit_problem(figure: str, suffix: str, known: list[str]) -> str:
    """Say what is wrong with a unit, and which are right."""
    if not known:
        return f"{suffix!r} is too much: {figure} has no unit"
    units = ", ".join(known)
    if not suffix:
        return f"{figure} needs a unit: {units}"
    nearest = get_close_matches(suffix, known, n=1, cutoff=0.3)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"unknown unit {suffix!r} for {figure}{hint} (known: {units})"
