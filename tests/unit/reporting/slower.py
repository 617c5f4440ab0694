"""The same run, but slower: what a comparison has to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from pytest_ari_sla.metrics.hdr_layout import bucket_middles
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.reporting.record.run_record import BlockHistograms

if TYPE_CHECKING:
    from pytest_ari_sla.reporting.record.run_record import Scenario

__all__ = ["slower"]


def slower(scenario: Scenario, factor: float, metric: str = "rtt") -> Scenario:
    """Return a scenario in which every value of a metric is larger by a factor, in every block of time."""
    blocks = scenario.blocks
    assert blocks is not None
    stretched = [_stretched(text, factor) for text in blocks.histograms[metric]]
    return replace(
        scenario, blocks=BlockHistograms(block_s=blocks.block_s, histograms=blocks.histograms | {metric: stretched})
    )


def _stretched(text: str, factor: float) -> str:
    buckets, counts = Histogram.decode(text).buckets()
    values = bucket_middles(buckets)
    histogram = Histogram()
    histogram.record(np.repeat(np.rint(values * factor).astype(np.int64), counts))
    return histogram.encode()
