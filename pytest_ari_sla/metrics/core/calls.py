"""What came of calls, and when their media began."""

from __future__ import annotations

from pytest_ari_sla.metrics.core.shapes import count
from pytest_ari_sla.metrics.metric import Metric

__all__ = ["CALL_METRICS"]

CALL_METRICS: tuple[Metric, ...] = (
    count("calls.requested", "Calls that the load profile asked for and that were started", "higher"),
    count("calls.established", "Calls whose media path was completed", "higher"),
    count("calls.failed", "Calls that never became established"),
    count("calls.ended", "Established calls that ended as they were told to", "higher"),
    count("calls.dropped", "Established calls that ended before they were told to"),
    count("calls.deaf", "Established calls that never heard a packet, on any leg or on one that should have"),
    count("calls.not_started", "Calls that this generator could not start in time: its own fault"),
    count("calls.leaked", "Calls of which Asterisk still lists a channel or bridge after the load's end"),
    count("calls.left_unknown", "Calls of which it could not be asked whether anything is left"),
    Metric(
        "calls.success_ratio",
        "ratio",
        "ratio",
        "Established calls of those requested",
        better="higher",
        numerator="calls.established",
        denominator="calls.requested",
        prominent=True,
        places=(),
        rank=120,
        title="Calls that succeeded",
    ),
    Metric(
        "first_packet",
        "distribution",
        "s",
        "From when Asterisk could have sent it (ours was due; before that: the call was up) until a call's first RTP "
        "packet came, on its slowest leg; never (1 h) where none did",
        judges_loss=True,
        error_bound="50 us, and as late as ours left then (harness.pacing_error)",
        oracle="a capture of the same load, tests/oracles/test_media.py",
        prominent=True,
        places=("console", "summary", "percentiles"),
        rank=20,
        title="Time until the first packet",
    ),
)
