"""What the generator does wrong is told as its own fault: real media processes, sockets and verdicts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.media import caller_worker
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.sla.threshold import parse
from pytest_ari_sla.sla.verdict import Verdict, judge
from pytest_ari_sla.udp.port_leases import PortManager
from tests.unit.media.callers import begin, finish, make_caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.sla.verdict import Judgement

MS = 1_000_000
PACKETS = 40


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[PortManager]:
    """Ports of this test's own."""
    with PortManager(45_000, 45_999, "127.0.0.1", lock_folder=tmp_path / "locks") as manager:
        yield manager


@pytest.fixture(autouse=True)
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a packet be lost after 0.8 s, so that no test has to wait for three."""
    monkeypatch.setattr(caller_worker, "LOSS_LIMIT_NS", 800 * MS)


async def stream(caller: CallerWorker, echo: EchoServerProcess, stall_ms: int = 0) -> Snapshot:
    """Stream from one leg, with a stall of the media loop in the middle of it, and return the final numbers."""
    async with caller:
        seats = begin(caller, [echo.address], PACKETS)
        await asyncio.sleep(0.5)
        if stall_ms:
            caller.stall(stall_ms * MS)
        async with asyncio.timeout(10):
            while not caller.have_ended(seats, PACKETS):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.9)
        await finish(caller, seats)
    return caller.snapshot()


def judged(measured: Snapshot, *expressions: str) -> Judgement:
    """Judge these numbers."""
    catalogue = builtin_registry().catalogue
    return judge([parse(expression, catalogue) for expression in expressions], measured, TimeSeries())


async def test_a_stall_of_the_generator_shows_as_its_own_lateness(ports: PortManager) -> None:
    """50 ms in which nothing was sent: pacing error and unsent packets, no loss, and no verdict on Asterisk."""
    with EchoServerProcess() as echo:
        measured = await stream(make_caller(ports), echo, stall_ms=50)
    pacing = measured.histogram("harness.pacing_error")
    # One packet was sent late; of those more than a packet time late none was sent.
    assert pacing.max >= 5 * MS
    assert measured.count("harness.not_sent") > 0
    assert pacing.count + measured.count("harness.not_sent") == PACKETS
    assert measured.count("loss.lost") == 0
    judgement = judged(measured, "loss.ratio < 1%", "rtt.max < 10s")
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "load generator" in judgement.reason
    for outcome in judgement.outcomes:
        assert outcome.verdict is Verdict.INCONCLUSIVE
    # What was sent late has a longer way from the intended time than from the real one.
    assert measured.histogram("rtt_intended").max > measured.histogram("rtt").max


async def test_a_receive_buffer_that_is_too_small_shows_as_our_own_drops(ports: PortManager) -> None:
    """What came back and found no room is told apart from what the network lost, to the packet.

    The echo comes 400 ms later, so that what was sent before a stall of 300 ms arrives while nobody drains the socket.
    """
    with EchoServerProcess(impairment=Impairment(delay_ns=400 * MS, loss=0.2, seed=11)) as echo:
        measured = await stream(make_caller(ports, receive_buffer_bytes=2304), echo, stall_ms=300)
        lost_by_network = echo.snapshot().count("echo.dropped")
    drops = measured.count("harness.receive_drops")
    assert drops > 0
    assert measured.count("loss.dropped_here") == drops
    assert measured.count("loss.lost") == lost_by_network > 0
    assert measured.count("loss.received") == measured.count("loss.sent") - drops - lost_by_network
    assert measured.count("loss.sent") == PACKETS - measured.count("harness.not_sent")
    (outcome,) = judged(measured, "loss.ratio < 90%").outcomes
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert f"{drops} packets dropped in our own receive buffers" in outcome.sentence


async def test_what_the_network_drops_is_loss_and_a_failure(ports: PortManager) -> None:
    """Nothing of it is set down to the generator, and the verdict is one."""
    with EchoServerProcess(impairment=Impairment(loss=0.3, seed=5)) as echo:
        measured = await stream(make_caller(ports), echo)
        lost_by_network = echo.snapshot().count("echo.dropped")
    assert measured.count("loss.lost") == lost_by_network > 0
    assert measured.count("harness.receive_drops") == measured.count("loss.dropped_here") == 0
    # A busy machine's stalls would make this inconclusive, rightly; they are not what is tested here.
    apart = measured.only(name for name in measured if not name.startswith("harness."))
    assert judged(apart, "loss.ratio < 1%").verdict is Verdict.FAIL
