"""What Hypothesis makes up for the tests of measuring: values, histograms, snapshots, series."""

import numpy as np
from hypothesis import strategies as st

from pytest_ari_sla.metrics.hdr_layout import HIGHEST
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries

# What a histogram holds without clipping; all orders of magnitude are as likely as each other.
magnitudes = st.integers(0, HIGHEST.bit_length()).flatmap(lambda bits: st.integers(0, min(1 << bits, HIGHEST)))
# What is recorded may exceed both ends.
values = magnitudes | st.integers(-5, 5) | st.integers(HIGHEST - 5, 2 * HIGHEST)
value_lists = st.lists(values, max_size=40)


def histogram_of(numbers: list[int]) -> Histogram:
    """Record numbers in one batch."""
    histogram = Histogram()
    histogram.record(np.array(numbers, np.int64))
    return histogram


histograms = value_lists.map(histogram_of)


def _snapshot(parts: tuple[dict[str, Histogram], dict[str, int]]) -> Snapshot:
    return Snapshot({**parts[0], **parts[1]})


snapshots = st.tuples(
    st.dictionaries(st.sampled_from(["rtt", "setup"]), histograms),
    st.dictionaries(st.sampled_from(["loss.sent", "loss.lost"]), st.integers(0, 10**6)),
).map(_snapshot)

# Small ones: what a series does depends on when something happened, not on how much.
_moments = st.one_of(
    st.integers(0, 9).map(lambda count: Snapshot({"loss.sent": count})),
    st.lists(values, max_size=3).map(lambda numbers: Snapshot({"rtt": histogram_of(numbers)})),
)
additions = st.lists(st.tuples(st.integers(0, 60), _moments), max_size=8)


def series_of(parts: list[tuple[int, Snapshot]], limit: int = 4) -> TimeSeries:
    """Add snapshots at times to a series that is coarsened soon."""
    series = TimeSeries(base_interval_ns=1, limit=limit)
    for time_ns, snapshot in parts:
        series.add(time_ns, snapshot)
    return series
