"""All numbers at one instant, or of one span of time: mergeable, and the only form in which they travel.

This is the one place where numbers leave NumPy: execnet and JSON take plain built-ins only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from pytest_ari_sla.metrics.hdr_layout import HIGHEST
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import percentile_of

if TYPE_CHECKING:
    from pytest_ari_sla.metrics.metric import Metric

__all__ = ["Snapshot"]

_PLAIN_VERSION = 1


class Snapshot(Mapping[str, Histogram | int]):
    """An immutable mapping of metric names to histograms and counts.

    Adding two snapshots merges them: names are united, histograms merged, counts added. Subtracting an earlier
    snapshot of the same counters gives what happened since. The empty snapshot is neutral.

    Parameters
    ----------
    values
        Histograms are copied, so that their owner can go on recording.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Histogram | int] | None = None) -> None:
        self._values: dict[str, Histogram | int] = {
            # int(): NumPy's integers are nothing that execnet and JSON take.
            name: value.copy().freeze() if isinstance(value, Histogram) else int(value)
            for name, value in (values or {}).items()
        }

    @classmethod
    def _of(cls, values: dict[str, Histogram | int]) -> Self:
        """Take over values that nobody else holds."""
        snapshot = cls()
        snapshot._values = values
        for value in values.values():
            if isinstance(value, Histogram):
                value.freeze()
        return snapshot

    @classmethod
    def sum_of(cls, snapshots: Iterable[Snapshot]) -> Self:
        """Merge any number of snapshots into one."""
        values: dict[str, Histogram | int] = {}
        for snapshot in snapshots:
            for name, value in snapshot._values.items():
                values[name] = _merged(name, values.get(name), value)
        return cls._of(values)

    def __getitem__(self, name: str) -> Histogram | int:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __add__(self, other: Snapshot) -> Snapshot:
        """Merge two snapshots.

        Raises
        ------
        ValueError
            When a name is a histogram in one and a count in the other.
        """
        return Snapshot.sum_of((self, other))

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        """Return what happened between ``earlier`` and this snapshot of the same counters.

        Raises
        ------
        ValueError
            When a histogram had values that are gone, or a name has vanished.
        """
        gone = earlier._values.keys() - self._values.keys()
        if gone:
            message = f"the later snapshot lacks {', '.join(sorted(gone))}"
            raise ValueError(message)
        values: dict[str, Histogram | int] = {}
        for name, value in self._values.items():
            # What was first measured later has begun at nothing.
            before = earlier._values.get(name, Histogram() if isinstance(value, Histogram) else 0)
            if isinstance(value, Histogram) and isinstance(before, Histogram):
                values[name] = value - before
            elif isinstance(value, int) and isinstance(before, int):
                values[name] = value - before
            else:
                raise _kinds_differ(name)
        return Snapshot._of(values)

    def only(self, names: Iterable[str]) -> Snapshot:
        """Return the part with these names; names that are not there are left out."""
        snapshot = Snapshot()
        # Not copied: frozen histograms can be shared.
        snapshot._values = {name: self._values[name] for name in names if name in self._values}
        return snapshot

    def value(self, metric: Metric, stat: str | None = None) -> float | None:
        """Return one figure, in the metric's unit.

        Parameters
        ----------
        metric
            What to look up; for a ratio, the counts that it names.
        stat
            For a distribution: ``count``, ``min``, ``mean``, ``max`` or a percentile such as ``p99.9``; else None.

        Returns
        -------
        The figure, or None where there is nothing to take it from: no sample, no such count, a denominator of zero.
        The ``count`` of a distribution is always known.
        """
        if metric.kind == "ratio":
            return self._ratio(metric)
        if metric.kind == "count":
            count = self._values.get(metric.name)
            return None if count is None else self.count(metric.name)
        return _stat_of(self.histogram(metric.name), metric, stat)

    def samples(self, metric: Metric) -> int | None:
        """Return how many samples stand behind a figure: values of a distribution, or a ratio's denominator."""
        if metric.kind == "count":
            return None
        return self.count(metric.denominator) if metric.kind == "ratio" else self.histogram(metric.name).count

    def histogram(self, name: str) -> Histogram:
        """Return a distribution; an empty one where there is none.

        Raises
        ------
        ValueError
            When that name is a count.
        """
        value = self._values.get(name, _EMPTY)
        if not isinstance(value, Histogram):
            raise _kinds_differ(name)
        return value

    def count(self, name: str) -> int:
        """Return a count; 0 where there is none.

        Raises
        ------
        ValueError
            When that name is a distribution.
        """
        value = self._values.get(name, 0)
        if not isinstance(value, int):
            raise _kinds_differ(name)
        return value

    def _ratio(self, metric: Metric) -> float | None:
        denominator = self.count(metric.denominator)
        # A count that nobody made is unknown, not 0: a tracker may have failed.
        if not denominator or metric.numerator not in self._values:
            return None
        return self.count(metric.numerator) / denominator

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain built-ins with a version number."""
        values = {
            name: value.to_plain() if isinstance(value, Histogram) else value for name, value in self._values.items()
        }
        return {"version": _PLAIN_VERSION, "values": values}

    def to_compact(self) -> dict[str, Any]:
        """Return the same with arrays for lists: what takes little memory to keep, and :meth:`from_plain` reads."""
        values = {
            name: value.to_compact() if isinstance(value, Histogram) else value for name, value in self._values.items()
        }
        return {"version": _PLAIN_VERSION, "values": values}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild a snapshot from :meth:`to_plain`.

        Raises
        ------
        ValueError
            For another version of the form.
        """
        if plain.get("version") != _PLAIN_VERSION:
            message = f"a snapshot of version {plain.get('version')!r}; this program reads version {_PLAIN_VERSION}"
            raise ValueError(message)
        return cls._of(
            {
                name: value if isinstance(value, int) else Histogram.from_plain(value)
                for name, value in plain["values"].items()
            }
        )

    def __repr__(self) -> str:
        return f"Snapshot({self._values!r})"


_EMPTY = Histogram().freeze()


def _merged(name: str, held: Histogram | int | None, value: Histogram | int) -> Histogram | int:
    """Return the sum of two values; a histogram that is held is added to in place."""
    if held is None:
        return value.copy() if isinstance(value, Histogram) else value
    if isinstance(held, Histogram) and isinstance(value, Histogram):
        held.merge(value)
        return held
    if isinstance(held, int) and isinstance(value, int):
        return held + value
    raise _kinds_differ(name)


def _stat_of(histogram: Histogram, metric: Metric, stat: str | None) -> float | None:
    """Return one stat of a distribution in the metric's unit; None without samples."""
    if stat is None:
        message = f"{metric.name} is a distribution: name a stat of it, such as p99"
        raise ValueError(message)
    if stat == "count":
        return histogram.count
    if not histogram.count:
        return None
    percentile = percentile_of(stat)
    if stat == "mean" and histogram.saturated:
        # What takes for ever does so in the mean as well.
        return metric.in_unit(HIGHEST)
    steps: float = getattr(histogram, stat) if percentile is None else histogram.percentile(percentile)
    return metric.in_unit(steps)


def _kinds_differ(name: str) -> ValueError:
    return ValueError(f"{name} is a count at one place and a distribution at another")
