"""What the tests of judging share: a catalogue, and measurements made up from a few numbers."""

from collections.abc import Iterable

import numpy as np

from pytest_ari_sla.metrics.catalogue import Catalogue, core_catalogue
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.sla.threshold import Threshold, parse

SECOND = 10**9
MS = 10**6

RTT = Metric("rtt", "distribution", "s", "Round trip")
MOS = Metric("mos", "distribution", "mos", "Voice quality", better="higher", resolution=1e-3)
LOST = Metric("loss.lost", "count", "count", "Packets lost", judges_loss=True)
RATIO = Metric("loss.ratio", "ratio", "ratio", "Loss", numerator="loss.lost", denominator="loss.sent", judges_loss=True)


def catalogue() -> Catalogue:
    """Return the core's catalogue with a few metrics of trackers."""
    known = core_catalogue()
    others = [
        Metric("loss.sent", "count", "count", "Packets sent"),
        Metric("clock.drift", "distribution", "ppm", "Drift", resolution=1e-3),
        Metric("asterisk.memory", "distribution", "B", "Memory", resolution=1),
    ]
    known.register([RTT, MOS, LOST, RATIO, *others], "tests")
    return known


def threshold(expression: str) -> Threshold:
    """Read an expression with that catalogue."""
    return parse(expression, catalogue())


def histogram(values: Iterable[int]) -> Histogram:
    """Record values."""
    recorded = Histogram()
    recorded.record(np.array([*values], np.int64))
    return recorded


def per_second(*snapshots: Snapshot) -> TimeSeries:
    """Return a series of one interval a second."""
    series = TimeSeries()
    for second, snapshot in enumerate(snapshots):
        series.add(second * SECOND, snapshot)
    return series


def rtts_ms(*milliseconds: float) -> Snapshot:
    """Return a snapshot of round trips."""
    return Snapshot({"rtt": histogram(round(value * MS) for value in milliseconds)})
