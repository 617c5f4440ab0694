"""What a load enters into its series, second by second."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_ari_sla.capture.kept_packets import NO_CAPTURE
from pytest_ari_sla.load.run import LoadProgress, LoadRun
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.snapshot import Snapshot


class CountingRelay:
    """A relay that has seen one more packet each time it is asked."""

    def __init__(self) -> None:
        self.rtt = Histogram()

    async def snapshot(self) -> Snapshot:
        """Return all so far."""
        self.rtt.record_one(1_000_000)
        return Snapshot({"relay_rtt": self.rtt.copy()})


@pytest.mark.asyncio
async def test_what_a_relay_measures_is_entered_when_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of it at the end: a stage or a window has its own samples."""
    monkeypatch.setattr("pytest_ari_sla.load.run.TICK_S", 0.01)
    told: list[LoadProgress] = []
    enough = asyncio.Event()

    def tell(progress: LoadProgress) -> None:
        told.append(progress)
        if len(told) == 3:
            enough.set()

    tools: Any = SimpleNamespace(capture=NO_CAPTURE, ranked_by=(), clock=time)
    caller: Any = SimpleNamespace(snapshot=Snapshot, take_dated=list)
    driver: Any = SimpleNamespace(not_started=0, look=lambda: None, give_up=lambda error: pytest.fail(repr(error)))
    plan: Any = None
    relay: Any = CountingRelay()
    run = LoadRun(plan, tools, tell)
    run._began_ns, run._began_at_ns = time.monotonic_ns(), time.time_ns()
    ticking = asyncio.create_task(run._tick(caller, driver, relay))
    await enough.wait()
    ticking.cancel()
    assert [progress.recent.histogram("relay_rtt").count for progress in told[:3]] == [1, 1, 1]
    assert told[2].total.histogram("relay_rtt").count == 3
