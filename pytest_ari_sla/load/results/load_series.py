"""What has happened in a load, entered into its series: each thing at its own time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_ari_sla.load.planning.profile import LoadProfile

__all__ = ["LoadSeries"]

_SECOND_NS = 1_000_000_000
_ESTABLISHED = "calls.established"


class LoadSeries:
    """The series of one load, made from totals that grow.

    Attributes
    ----------
    series
        What was entered so far.
    seen
        The totals that have been entered.
    """

    def __init__(self) -> None:
        self.series = TimeSeries()
        self.seen = Snapshot()
        self._media: set[str] = set()

    def mark_stages(self, profile: LoadProfile) -> None:
        """Note when each stage begins and ends."""
        for name, start_ns, end_ns in profile.boundaries():
            self.series.mark_stage(name, start_ns, end_ns)

    def enter(
        self, at_ns: int, total: Snapshot, media: Iterable[tuple[int, Snapshot]], established_ns: Iterable[int]
    ) -> Snapshot:
        """Enter what has happened since the last time, and return it.

        Parameters
        ----------
        at_ns
            When that was, for all that has no time of its own; ns since the load's beginning, like all times here.
        total
            Everything so far.
        media
            What was measured, by the time that it belongs to.
        established_ns
            When those calls were asked for that have been established: each of them is one of those.
        """
        # What a tracker measured is gone when the tracker has failed.
        recent = total - self.seen.only(total)
        self.seen = total
        dated = [(max(0, when_ns), values) for when_ns, values in media]
        self._media |= {name for _, values in dated for name in values}
        dated += [(when_ns, Snapshot({_ESTABLISHED: 1})) for when_ns in established_ns]
        elsewhere = self._media | {_ESTABLISHED}
        here = Snapshot({name: value for name, value in recent.items() if name not in elsewhere})
        for second_ns, values in _by_second([*dated, (at_ns, here)]):
            self.series.add(second_ns, values)
        return recent


def _by_second(dated: Iterable[tuple[int, Snapshot]]) -> Iterator[tuple[int, Snapshot]]:
    """Merge what belongs to the same second; yield the seconds' beginnings in order."""
    seconds: dict[int, list[Snapshot]] = defaultdict(list)
    for when_ns, values in dated:
        seconds[when_ns // _SECOND_NS * _SECOND_NS].append(values)
    for second_ns in sorted(seconds):
        yield second_ns, Snapshot.sum_of(seconds[second_ns])
