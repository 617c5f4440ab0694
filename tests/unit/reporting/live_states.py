"""States of a running load, for the live views."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_ari_sla.reporting.live.live_state import (
    LiveEvent,
    LiveFigure,
    LiveShard,
    LiveStage,
    LiveState,
    LiveThreshold,
)


def live_state(**changes: Any) -> LiveState:
    """Return a load in the middle of its second stage, with one threshold broken."""
    state = LiveState(
        scenario="scenarios/test_ramp.py::test_ramp",
        elapsed_s=83,
        total_s=300,
        stages=(LiveStage("ramp", 0, 60), LiveStage("hold", 60, 280), LiveStage("end", 280, 300)),
        calls_now=998,
        calls_wanted=1_000,
        established=1_012,
        failed=2,
        dropped=1,
        figures=(
            LiveFigure("setup", "s", 0.0123, 0.0456, 0.0101, 0.0512),
            LiveFigure("rtt", "s", 0.0008, 0.0312, 0.0007, 0.0184),
        ),
        loss_recent=0.0004,
        loss_whole=0.00012,
        mos=4.32,
        shards=(LiveShard(1, 500, 0.00021, 0, 0.43), LiveShard(2, 498, 0.0071, 12, 0.81)),
        thresholds=(
            LiveThreshold("setup.p99 < 500ms", 0.0512, "s", True),
            LiveThreshold("rtt.p99 < 15ms", 0.0184, "s", False),
            LiveThreshold("mos.p1 >= 4.0", None, "mos", None),
        ),
        events=(LiveEvent(61.2, "2 calls failed: ARI answered 500"), LiveEvent(75, "rtt.p99 broke its limit")),
    )
    return replace(state, **changes)
