"""What callers with a script met with: how fast the application answers, and whether scripts came to their end."""

from __future__ import annotations

from pytest_ari_sla.metrics.core.shapes import count, times
from pytest_ari_sla.metrics.metric import Metric

__all__ = ["CALLER_METRICS"]

_BOUND = "5 ms at p99, plus one frame of the application's"
_BOUND_OF_PACKETS = "that of rtt"
_ORACLE = "the log of the application itself, tests/asterisk/test_voice_bot.py"

CALLER_METRICS: tuple[Metric, ...] = (
    Metric(
        "turn",
        "distribution",
        "s",
        "From the end of a caller's speech until the application's next speech begins",
        error_bound=_BOUND,
        oracle=_ORACLE,
        prominent=True,
        places=("console", "summary", "tile", "timeline", "percentiles", "worst calls"),
        rank=6,
        title="Time until the application answers a turn",
        label="Turn",
    ),
    Metric(
        "greeting",
        "distribution",
        "s",
        "From the answer until the first speech of the application, where it speaks first",
        error_bound=_BOUND,
        oracle=_ORACLE,
        prominent=True,
        places=("summary", "tile", "percentiles", "worst calls"),
        rank=7,
        title="Time until the greeting",
        label="Greeting",
    ),
    Metric(
        "barge_in",
        "distribution",
        "s",
        "From the beginning of a caller's speech over the application's until that falls silent",
        error_bound=_BOUND,
        oracle=_ORACLE,
        prominent=True,
        places=("summary", "tile", "percentiles", "worst calls"),
        rank=8,
        title="Time until an interrupted application is silent",
        label="Barge-in",
    ),
    Metric(
        "clipped",
        "distribution",
        "s",
        "What is missing at the beginning of what a caller said, where it hears itself (an echo): of each utterance",
        error_bound="20 ms",
        oracle=_ORACLE,
    ),
    Metric(
        "media_path",
        "distribution",
        "s",
        "Round trip of packets by the way that callers have, of calls to an echo before the load (calibrate=…): the "
        "part of each turn that is not the application's",
        source="RFC 2681",
        error_bound=_BOUND_OF_PACKETS,
        oracle=_ORACLE,
    ),
    times("dead_air", "The longest silence of the application in a call while the caller listened"),
    times("talk_over", "For how long in a call the application spoke while the caller did, but where they barge in"),
    count("script.runs", "Scripts that came to an end, well or badly", "higher"),
    count("script.completed", "Scripts that were followed to their end", "higher"),
    count("script.failed", "Scripts that could not go on"),
    count("script.step_timeouts", "Scripts that could not go on since what they waited for did not come in time"),
    Metric(
        "script.completed_ratio",
        "ratio",
        "ratio",
        "Scripts that were followed to their end",
        better="higher",
        numerator="script.completed",
        denominator="script.runs",
        prominent=True,
        places=("summary", "tile"),
        rank=5,
        title="Scripts completed",
    ),
)
