"""What workers and controller tell each other of a load."""

from __future__ import annotations

from pytest_ari_sla.judging.load_description import LoadDescription
from pytest_ari_sla.judging.thresholds import SourcedThreshold
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.sla.threshold import parse


def test_a_description_comes_back_from_its_bytes() -> None:
    """With its thresholds and all that their metrics are declared with."""
    catalogue = builtin_registry().catalogue
    thresholds = [parse(text, catalogue) for text in ("rtt.p99 < 60ms", "loss.ratio < 1%", "mos.p1 >= 4")]
    description = LoadDescription(
        doc="A load.",
        topology="echo",
        codec="PCMU",
        started_ns=1,
        stages=[("hold", 0, 5)],
        wanted=[(0, 1.5)],
        thresholds=[SourcedThreshold(threshold, "marker") for threshold in thresholds],
        until=thresholds[0],
    )
    assert LoadDescription.from_bytes(description.to_bytes()) == description
