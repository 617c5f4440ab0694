from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_ari_sla.media.measuring.calibration import calibrate
from pytest_ari_sla.media.measuring.capacity import PacedRun
from pytest_ari_sla.session.machine import paced_run as paced
from pytest_ari_sla.session.machine.doctor import describe
from pytest_ari_sla.targets.checks.preflight import read_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.media.caller_worker import CallerWorker


def told(carried: PacedRun, cores: float) -> dict[str, str]:
    """Return what is said of a machine that carries so much."""
    return dict(describe(calibrate(), read_machine(), cores, carried, realtime=False))


def to_nobody(worker: CallerWorker, calls: int, addresses: Sequence[Address], packets: int) -> None:
    """Start a load towards a socket that nobody reads."""
    for _ in range(calls):
        (seat,) = worker.take_call()
        worker.start_leg(seat, ("127.0.0.1", 9), packets)


def test_the_figure_is_a_load_that_was_held() -> None:
    """Its cost is told, so that another machine can be compared."""
    assert told(PacedRun(2_400, 0.68, 0.04), cores=1024)["calls"] == (
        "2,400 two-way calls at 20 ms were held by one worker: moving packets took 68% of a core, measuring them 4% "
        "(300 µs for each second of a call). More would keep one of them busy for over 70%, of which the tool warns"
    )


def test_a_busy_machine_is_not_taken_for_a_small_one() -> None:
    """Where a larger load was tried and not held, that is why there are not more, and not what calls cost."""
    late = "the load generator sent late: pacing error p99 12 ms, limit 5 ms"
    told_of = told(PacedRun(522, 0.27, 0.06, why_not_more=late), cores=2)["calls"]
    assert told_of.endswith(f"More were not held just now, a quiet machine may: {late}")


def test_a_load_that_was_not_held_is_no_promise() -> None:
    """Instead, the reason."""
    late = "the load generator sent late: pacing error p99 12 ms, limit 5 ms"
    assert told(PacedRun(300, 0.2, 0.1, late), cores=1)["calls"] == f"fewer than 300 on one core: {late}"


def test_a_quota_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the cores that the host has."""
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    lines = told(PacedRun(800, 0.3, 0.04), cores=0.5)
    assert lines["cores"] == "0.5 of 16, by CPU quota or affinity"
    assert "busy for over 35%" in lines["calls"]


def test_a_load_is_sent_back_and_measured_as_in_every_run() -> None:
    """Against our own peer: every packet comes back to its call, and both processes' time is counted."""
    run = asyncio.run(paced.paced_run(20, seconds=1))
    assert not run.problem
    assert 0 < run.loop_ratio < 1
    assert 0 < run.measuring_ratio < 1


def test_a_peer_that_sends_nothing_back_makes_no_cheap_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not received costs nothing: such a figure would promise too much."""
    monkeypatch.setattr(paced, "_start", to_nobody)
    assert asyncio.run(paced.paced_run(20, seconds=1)).problem.startswith("0 of ")


def test_a_load_that_is_not_held_is_made_smaller_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one tried is the answer."""
    tried: list[int] = []

    async def run(calls: int) -> PacedRun:
        tried.append(calls)
        held = calls < 2_000
        return PacedRun(calls, 0.1 + calls * 250e-6, 0.01, "" if held else "it was late")

    monkeypatch.setattr(paced, "paced_run", run)
    found = asyncio.run(paced.find_capacity(cores=2))
    assert tried == [200, 800, 2399, 1799]
    assert (found.calls, found.problem, found.why_not_more) == (1799, "", "it was late")
