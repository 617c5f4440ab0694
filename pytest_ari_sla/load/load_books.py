"""The figures of one load: their totals, and the same over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.load.meters.own_memory import OwnMemory
from pytest_ari_sla.load.results.load_series import LoadSeries
from pytest_ari_sla.media.measuring.calibration import clock_floor
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_ari_sla.load.calls.call_table import CallTable
    from pytest_ari_sla.load.meters.host_share import HostShare
    from pytest_ari_sla.load.planning.profile import LoadProfile
    from pytest_ari_sla.metrics.histogram import Histogram
    from pytest_ari_sla.metrics.time_series import TimeSeries

__all__ = ["LoadBooks", "Meter"]


class Meter(Protocol):
    """What measures a part of a load."""

    def values(self) -> Mapping[str, Histogram | int]:
        """Return all values since the beginning, by metric name."""


class LoadBooks:
    """Adds up what all meters of a load say, and enters it into a series.

    Parameters
    ----------
    calls
        Where the load's calls are counted.
    control
        What measures its control plane.

    Attributes
    ----------
    relayed
        What a relay has measured so far.
    """

    def __init__(self, calls: CallTable, control: Meter) -> None:
        self._calls = calls
        self._memory = OwnMemory()
        self._share: HostShare | None = None
        self._meters: list[Meter] = [control, self._memory]
        self._series = LoadSeries()
        # Read once, before the load: in mid-load it would be that of a busy machine.
        self._floor = Snapshot({"harness.clock_floor": clock_floor()})
        self.relayed = Snapshot()

    def begin(self, profile: LoadProfile, share: HostShare | None) -> None:
        """Let the load begin now; ``share``: what we take from the target's machine, None where that is another one."""
        self._series.mark_stages(profile)
        self._share = share
        if share is not None:
            self.add(share)

    def add(self, meter: Meter) -> None:
        """Let a meter's values be among the figures from now on."""
        self._meters.append(meter)

    def read(self) -> None:
        """Take a reading of this process and its machine; once a second."""
        self._memory.read()
        if self._share is not None:
            self._share.read()

    def total(self, media: Snapshot, not_started: int) -> Snapshot:
        """Return all figures so far.

        Parameters
        ----------
        media
            What was measured of media.
        not_started
            Calls that could not be started in time.
        """
        own: dict[str, Histogram | int] = {"calls.not_started": not_started}
        for meter in self._meters:
            own.update(meter.values())
        return media + Snapshot(own) + self._calls.snapshot() + self._floor + self.relayed

    def enter(self, at_ns: int, total: Snapshot, dated: Iterable[tuple[int, Snapshot]]) -> Snapshot:
        """Enter what has happened since the last time into the series, and return it.

        Parameters
        ----------
        at_ns
            When that was, for all that has no time of its own; ns since the load's beginning, like all times here.
        total
            Everything so far.
        dated
            What has a time of its own.
        """
        return self._series.enter(at_ns, total, dated, self._calls.take_established())

    @property
    def series(self) -> TimeSeries:
        """All that was entered."""
        return self._series.series

    @property
    def entered(self) -> Snapshot:
        """The totals that have been entered."""
        return self._series.seen
