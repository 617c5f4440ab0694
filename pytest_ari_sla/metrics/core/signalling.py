"""How long Asterisk takes over signalling: ARI's requests and events, and SIP."""

from __future__ import annotations

from pytest_ari_sla.metrics.core.shapes import count, times
from pytest_ari_sla.metrics.metric import Metric

__all__ = ["SIGNALLING_METRICS"]

_CONTROL_ORACLE = "a capture of the ARI connection, tests/oracles/test_control_plane.py"
_CONTROL_BOUND = "0.3 ms or 20 % at p50 with 30 calls at once, 1 ms at p99 with 50 calls a second"

SIGNALLING_METRICS: tuple[Metric, ...] = (
    times("sip.pdd", "From an INVITE until the first response that tells of progress (180, 183), or the answer"),
    times("sip.setup", "From an INVITE until the call was answered"),
    count("sip.failed", "INVITEs that were refused, or that nobody responded to"),
    Metric(
        "setup",
        "distribution",
        "s",
        "From the POST that creates a channel until its StasisStart",
        lag="harness.setup_lag",
        error_bound=_CONTROL_BOUND,
        oracle=_CONTROL_ORACLE,
        prominent=True,
        places=("console", "summary", "tile", "timeline", "percentiles"),
        rank=10,
        title="Set-up time",
        label="Set-up",
    ),
    Metric(
        "ari.request",
        "distribution",
        "s",
        "From the last byte of a call's request until the last byte of its answer",
        lag="harness.request_lag",
        error_bound=_CONTROL_BOUND,
        oracle=_CONTROL_ORACLE,
        prominent=True,
        places=("summary", "timeline", "percentiles"),
        rank=90,
        title="ARI request time",
        compared=("p50",),
    ),
    count("ari.errors", "ARI requests that failed: an error status, a time-out, a broken connection"),
    Metric(
        "ari.event_lag",
        "distribution",
        "s",
        "From the time stamp of a call's event until it arrived",
        lag="harness.event_lag",
        error_bound=f"{_CONTROL_BOUND}; Asterisk's stamps are of whole milliseconds",
        oracle=_CONTROL_ORACLE,
        title="Lateness of ARI events",
    ),
)
