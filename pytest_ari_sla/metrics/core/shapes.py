"""The three shapes that most metrics of the core have."""

from __future__ import annotations

from typing import Literal

from pytest_ari_sla.metrics.metric import Metric

__all__ = ["count", "shares", "times"]


def times(name: str, description: str) -> Metric:
    """Return a distribution of times, in s."""
    return Metric(name, "distribution", "s", description)


def count(name: str, description: str, better: Literal["lower", "higher"] = "lower") -> Metric:
    """Return a count, which adds up over shards."""
    return Metric(name, "count", "count", description, better)


def shares(name: str, description: str) -> Metric:
    """Return a distribution of shares, one for each second."""
    # 0.01 %: what a watch costs is a few of these
    return Metric(name, "distribution", "ratio", f"{description}, second by second", resolution=1e-4)
