"""What ``await load(…)`` gives to a test: every metric as an attribute."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UnknownName
from pytest_ari_sla.metrics.metric import is_stat
from pytest_ari_sla.metrics.units import counted

if TYPE_CHECKING:
    from pytest_ari_sla.load.results.outcome import LoadOutcome
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.metrics.snapshot import Snapshot

__all__ = ["Distribution", "LoadResult", "MetricGroup"]


class Distribution:
    """The stats of one metric, in its unit: ``count``, ``min``, ``mean``, ``max``, ``p99`` or ``percentile(99.9)``.

    A stat of no samples is NaN, which is neither below nor above any limit.
    """

    def __init__(self, metric: Metric, measured: Snapshot) -> None:
        self._metric = metric
        self._measured = measured

    def percentile(self, percent: float) -> float:
        """Return a percentile, from 0 to 100, in the metric's unit."""
        return _figure(self._metric, self._measured, f"p{percent:g}")

    def __getattr__(self, stat: str) -> float:
        named = _with_point(stat)
        if not is_stat(named):
            raise AttributeError(f"{self._metric.name} has no stat {stat!r}: count, min, mean, max, p0 to p100, p99_9")
        return _figure(self._metric, self._measured, named)

    def __repr__(self) -> str:
        samples = counted(self.count, "sample")
        return f"<{self._metric.name}: {samples}, p50 {self.p50:g}, p99 {self.p99:g} {self._metric.unit}>"


def _with_point(stat: str) -> str:
    """Return ``p99.9`` for ``p99_9`` and for ``p999``, which is its key in report.json."""
    return re.sub(r"^p(\d+_|99)(\d+)$", lambda found: f"p{found[1].rstrip('_')}.{found[2]}", stat)


class MetricGroup:
    """The metrics whose names begin alike: ``result.loss.ratio`` is the metric ``loss.ratio``."""

    def __init__(self, prefix: str, catalogue: Catalogue, measured: Snapshot) -> None:
        self._prefix = prefix
        self._catalogue = catalogue
        self._measured = measured

    def __getattr__(self, part: str) -> Distribution | MetricGroup | float:
        if part.startswith("__"):  # copy, pickle and debuggers ask for such names
            raise AttributeError(part)
        return _look_up(f"{self._prefix}{part}", self._catalogue, self._measured)


class LoadResult(MetricGroup):
    """The metrics of a whole load, over the whole fleet: ``result.rtt.p99``, ``result.calls.failed``.

    Attributes
    ----------
    outcome
        Everything behind them: time series, calls one by one, the generators' health, notes.
    """

    def __init__(self, outcome: LoadOutcome, catalogue: Catalogue) -> None:
        super().__init__("", catalogue, outcome.total)
        self.outcome = outcome

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know besides the figures."""
        return self.outcome.notes


def _look_up(name: str, catalogue: Catalogue, measured: Snapshot) -> Distribution | MetricGroup | float:
    if name in catalogue:
        metric = catalogue.lookup(name)
        return Distribution(metric, measured) if metric.kind == "distribution" else _figure(metric, measured, None)
    names = [metric.name for metric in catalogue]
    if any(known.startswith(f"{name}.") for known in names):
        return MetricGroup(f"{name}.", catalogue, measured)
    raise AttributeError(str(UnknownName("metric", name, names)))


def _figure(metric: Metric, measured: Snapshot, stat: str | None) -> float:
    value = measured.value(metric, stat)
    return math.nan if value is None else value
