"""What happened when: a snapshot for each interval of a run, on a time axis that begins with the load.

Memory is bounded: once more than ``limit`` intervals are held, neighbours are merged and the interval doubles. Eight
hours at 900 intervals end up with 32 s each. Since which intervals exist decides about the doubling, and nothing else,
series of several shards merge to exactly the series that one recorder would have made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_ari_sla.errors import UnknownName
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_ari_sla.metrics.metric import Metric

__all__ = ["Interval", "Stage", "TimeSeries"]

_PLAIN_VERSION = 1
_SECOND_NS = 10**9

# A snapshot whose histograms hold small arrays of their filled buckets only: some KiB instead of some hundred.
_Packed = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A named part of the load: its name, and where it begins and ends, in ns since the load's beginning."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Interval:
    """What happened from ``start_ns`` until before ``end_ns`` (ns since the load's beginning)."""

    start_ns: int
    end_ns: int
    values: Snapshot


class TimeSeries:
    """Snapshots of consecutive intervals, and the stages of the load.

    Parameters
    ----------
    base_interval_ns
        Length of an interval at the beginning.
    limit
        How many intervals are held at most.

    Attributes
    ----------
    interval_ns
        Length of an interval now: ``base_interval_ns`` times a power of two.
    """

    def __init__(self, base_interval_ns: int = _SECOND_NS, limit: int = 900) -> None:
        if base_interval_ns < 1 or limit < 1:
            message = f"a series needs an interval and a limit of at least 1, not {base_interval_ns} and {limit}"
            raise ValueError(message)
        self.base_interval_ns = base_interval_ns
        self.limit = limit
        self.interval_ns = base_interval_ns
        self._intervals: dict[int, _Packed] = {}
        self._stages: dict[str, Stage] = {}

    def add(self, time_ns: int, values: Snapshot) -> None:
        """Add what happened in the interval that holds ``time_ns`` (ns since the load's beginning)."""
        self._add_at(time_ns // self.interval_ns, values)
        self._keep_limit()

    def mark_stage(self, name: str, start_ns: int, end_ns: int) -> None:
        """Remember where a stage lies.

        Raises
        ------
        ValueError
            When the name is taken, or the stage ends before it begins.
        """
        if name in self._stages or end_ns < start_ns:
            message = f"stage {name!r} from {start_ns} to {end_ns} ns: marked before, or it ends before it begins"
            raise ValueError(message)
        self._stages[name] = Stage(name, start_ns, end_ns)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, in order of time."""
        return tuple(sorted(self._stages.values(), key=lambda stage: (stage.start_ns, stage.end_ns, stage.name)))

    def stage(self, name: str) -> Stage:
        """Return the stage of that name.

        Raises
        ------
        UnknownName
            With the nearest known names.
        """
        try:
            return self._stages[name]
        except KeyError:
            raise UnknownName("stage", name, self._stages) from None

    def __len__(self) -> int:
        return len(self._intervals)

    def intervals(self, names: Iterable[str] | None = None) -> Iterator[Interval]:
        """Yield all intervals in order of time, with the values of ``names`` only, or all of them."""
        wanted = None if names is None else frozenset(names)
        for index in sorted(self._intervals):
            start_ns = index * self.interval_ns
            yield Interval(start_ns, start_ns + self.interval_ns, _unpack(self._intervals[index], wanted))

    def copy(self) -> Self:
        """Return a copy, which can be read while this one grows."""
        copied = type(self)(self.base_interval_ns, self.limit)
        copied.interval_ns = self.interval_ns
        copied._intervals = dict(self._intervals)  # what is packed is replaced, never changed
        copied._stages = dict(self._stages)
        return copied

    def total(self) -> Snapshot:
        """Return everything, merged."""
        return Snapshot.sum_of(interval.values for interval in self.intervals())

    def between(self, start_ns: int, end_ns: int, names: Iterable[str] | None = None) -> Snapshot:
        """Merge the intervals whose middle lies from ``start_ns`` until before ``end_ns``.

        Spans that follow each other therefore share no interval and leave none out.
        """
        return Snapshot.sum_of(
            interval.values
            for interval in self.intervals(names)
            if start_ns <= interval.start_ns + self.interval_ns // 2 < end_ns
        )

    def windows(self, length_ns: int, names: Iterable[str] | None = None) -> Iterator[Interval]:
        """Yield each window of ``length_ns`` that lies within the series, moved on interval by interval.

        The length is rounded up to whole intervals. A series that is shorter than the window is one window.
        """
        held = list(self.intervals(names))
        if not held:
            return
        width_ns = -(-length_ns // self.interval_ns) * self.interval_ns
        end_ns = held[-1].end_ns
        last_start_ns = max(end_ns - width_ns, held[0].start_ns)
        first = 0
        for start_ns in range(held[0].start_ns, last_start_ns + 1, self.interval_ns):
            # What lies before one window lies before all later ones.
            while held[first].start_ns < start_ns:
                first += 1
            inside = _begun_before(held, first, start_ns + width_ns)
            yield Interval(start_ns, min(start_ns + width_ns, end_ns), Snapshot.sum_of(inside))

    def values(self, metric: Metric, stat: str | None = None) -> list[tuple[int, float | None]]:
        """Return one figure over time: (start of the interval in ns, value or None) for each interval."""
        return [(part.start_ns, part.values.value(metric, stat)) for part in self.intervals(metric.names)]

    def __add__(self, other: TimeSeries) -> TimeSeries:
        """Merge two series aligned by time, at the coarser interval of both.

        A stage of both reaches from its earlier beginning to its later end.

        Raises
        ------
        ValueError
            When the series began with different intervals, or have different limits.
        """
        return TimeSeries.sum_of((self, other))

    @classmethod
    def sum_of(cls, series: Iterable[TimeSeries]) -> Self:
        """Merge any number of series; none of them gives an empty one."""
        parts = list(series)
        settings = {(part.base_interval_ns, part.limit) for part in parts}
        if len(settings) > 1:
            message = f"series with different intervals and limits cannot be merged: {sorted(settings)}"
            raise ValueError(message)
        merged = cls(*(settings or {(_SECOND_NS, 900)}).pop())
        # All are the base times powers of two: the borders of the coarsest are borders of all.
        merged.interval_ns = max((part.interval_ns for part in parts), default=merged.interval_ns)
        for part in parts:
            for interval in part.intervals():
                merged._add_at(interval.start_ns // merged.interval_ns, interval.values)
            for stage in part.stages:
                merged._widen_stage(stage)
        merged._keep_limit()
        return merged

    def _add_at(self, index: int, values: Snapshot) -> None:
        held = self._intervals.get(index)
        self._intervals[index] = _pack(values if held is None else _unpack(held) + values)

    def _keep_limit(self) -> None:
        """Merge neighbours until no more than ``limit`` intervals are held."""
        while len(self._intervals) > self.limit:
            finer = self._intervals
            self._intervals = {}
            self.interval_ns *= 2
            for index, packed in finer.items():
                self._add_at(index // 2, _unpack(packed))

    def _widen_stage(self, stage: Stage) -> None:
        held = self._stages.get(stage.name, stage)
        start_ns, end_ns = min(held.start_ns, stage.start_ns), max(held.end_ns, stage.end_ns)
        self._stages[stage.name] = Stage(stage.name, start_ns, end_ns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimeSeries):
            return NotImplemented
        return self._contents() == other._contents()

    # A series grows, so it cannot be a key.
    __hash__ = None  # type: ignore[assignment]

    def _contents(self) -> tuple[Any, ...]:
        return (self.base_interval_ns, self.limit, self.interval_ns, self._stages, list(self.intervals()))

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain built-ins with a version number."""
        return {
            "version": _PLAIN_VERSION,
            "base_interval_ns": self.base_interval_ns,
            "limit": self.limit,
            "interval_ns": self.interval_ns,
            "stages": [[stage.name, stage.start_ns, stage.end_ns] for stage in self.stages],
            "intervals": [[interval.start_ns, interval.values.to_plain()] for interval in self.intervals()],
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild a series from :meth:`to_plain`.

        Raises
        ------
        ValueError
            For another version of the form.
        """
        if plain.get("version") != _PLAIN_VERSION:
            message = f"a time series of version {plain.get('version')!r}; this program reads version {_PLAIN_VERSION}"
            raise ValueError(message)
        series = cls(plain["base_interval_ns"], plain["limit"])
        series.interval_ns = plain["interval_ns"]
        for start_ns, values in plain["intervals"]:
            series.add(start_ns, Snapshot.from_plain(values))
        for name, start_ns, end_ns in plain["stages"]:
            series.mark_stage(name, start_ns, end_ns)
        return series


def _begun_before(held: list[Interval], first: int, end_ns: int) -> Iterator[Snapshot]:
    """Yield the values of ``held[first]`` and the intervals after it that begin before ``end_ns``."""
    for interval in held[first:]:
        if interval.start_ns >= end_ns:
            return
        yield interval.values


def _pack(values: Snapshot) -> _Packed:
    return {name: value.to_compact() if isinstance(value, Histogram) else value for name, value in values.items()}


def _unpack(packed: _Packed, names: frozenset[str] | None = None) -> Snapshot:
    return Snapshot(
        {
            name: value if isinstance(value, int) else Histogram.from_plain(value)
            for name, value in packed.items()
            if names is None or name in names
        }
    )
