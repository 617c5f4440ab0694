"""The catalogue of metrics: one table of what can be measured.

What the core measures stands in ``metrics/core/``; each tracker brings its own metrics along (``Tracker.metrics``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.metrics.core.callers import CALLER_METRICS
from pytest_ari_sla.metrics.core.calls import CALL_METRICS
from pytest_ari_sla.metrics.core.generator import GENERATOR_METRICS
from pytest_ari_sla.metrics.core.signalling import SIGNALLING_METRICS
from pytest_ari_sla.metrics.core.target import TARGET_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_ari_sla.metrics.metric import Metric, Place

__all__ = ["CORE_METRICS", "Catalogue", "core_catalogue"]

CORE_METRICS: tuple[Metric, ...] = (
    *CALL_METRICS,
    *SIGNALLING_METRICS,
    *CALLER_METRICS,
    *TARGET_METRICS,
    *GENERATOR_METRICS,
)
"""What is measured whatever trackers there are."""


class Catalogue:
    """All metrics that are known in a session, and who declared them.

    Iteration is by name; :meth:`lookup` and :meth:`owner` know exact names only.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._owners: dict[str, str] = {}

    def register(self, metrics: Iterable[Metric], owner: str) -> None:
        """Add metrics that ``owner`` (a tracker, a plug-in) measures: all of them, or none when one is refused.

        Raises
        ------
        UsageError
            When a name is taken, naming both owners, or when a ratio names a count that is not there.
        """
        added: dict[str, Metric] = {}
        for metric in metrics:
            if metric.name in self._metrics or metric.name in added:
                other = self._owners.get(metric.name, owner)
                message = f"metric {metric.name!r} is declared twice: by {other} and by {owner}"
                raise UsageError(message)
            added[metric.name] = metric
        known = self._metrics | added
        for metric in added.values():
            _check_parts(metric, known)
        self._metrics = known
        self._owners |= dict.fromkeys(added, owner)

    def lookup(self, name: str) -> Metric:
        """Return the metric of that name.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        try:
            return self._metrics[name]
        except KeyError:
            raise UnknownName("metric", name, self._metrics) from None

    def owner(self, name: str) -> str:
        """Return who declared the metric.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        return self._owners[self.lookup(name).name]

    def prominent(self, place: Place | None = None) -> list[Metric]:
        """Return the prominent metrics, or those of them that a place shows, in the order in which they are shown."""
        chosen = (metric for metric in self if (metric.prominent if place is None else metric.is_shown(place)))
        return sorted(chosen, key=lambda metric: metric.rank)

    def __contains__(self, name: object) -> bool:
        return name in self._metrics

    def __iter__(self) -> Iterator[Metric]:
        return (self._metrics[name] for name in sorted(self._metrics))

    def __len__(self) -> int:
        return len(self._metrics)


def _check_parts(metric: Metric, known: dict[str, Metric]) -> None:
    """Refuse a ratio whose parts are not counts of the catalogue."""
    for part in filter(None, (metric.numerator, metric.denominator)):
        # Only counts add up over shards, and a ratio is taken after merging.
        if part not in known or known[part].kind != "count":
            message = f"ratio {metric.name!r} is made of {part!r}, which is not a count of the catalogue"
            raise UsageError(message)


def core_catalogue() -> Catalogue:
    """Return a new catalogue that holds what the core measures."""
    catalogue = Catalogue()
    catalogue.register(CORE_METRICS, "pytest-ari-sla")
    return catalogue
