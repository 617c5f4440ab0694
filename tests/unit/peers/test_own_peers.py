from __future__ import annotations

import asyncio
import os
import signal

import pytest

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.peers import media_process
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.own_peers import OwnPeers
from pytest_ari_sla.peers.ready_loop import STALL_NS
from pytest_ari_sla.peers.relay import relay_client
from pytest_ari_sla.peers.relay.relay_client import RelayProcess

STOPPED_S = 0.8
PORTS = (42_000, 42_099)


async def stop_for_a_while(pid: int | None) -> None:
    """Let a process stand still."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(STOPPED_S)
    os.kill(pid, signal.SIGCONT)


async def test_what_stood_still_is_told_of_each() -> None:
    """What the echo server did before this load is not told again."""
    with EchoServerProcess(realtime=False) as echo:
        await stop_for_a_while(echo.pid)
        with RelayProcess(echo.address, rtp_ports=PORTS, realtime=False) as relay:
            async with await relay.connect() as worker:
                peers = OwnPeers(worker, relay, echo)
                await peers.begin()
                await stop_for_a_while(relay.pid)
                await stop_for_a_while(echo.pid)
                snapshot = await peers.snapshot()
    for name in ("harness.relay_stall", "harness.echo_stall"):
        assert snapshot.histogram(name).count == 1, name
        assert STALL_NS <= snapshot.histogram(name).max


@pytest.mark.parametrize("victim", ["the relay", "the echo server"])
async def test_what_was_stopped_for_good_is_named(victim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not answer; the signal is told."""
    monkeypatch.setattr(media_process, "REPLY_TIMEOUT_S", 0.3)
    with (
        EchoServerProcess(realtime=False) as echo,
        RelayProcess(echo.address, rtp_ports=PORTS, realtime=False) as relay,
    ):
        async with await relay.connect() as worker:
            peers = OwnPeers(worker, relay, echo)
            await peers.begin()
            pid = relay.pid if victim == "the relay" else echo.pid
            assert pid is not None
            monkeypatch.setattr(relay_client, "_REPLY_TIMEOUT_S", 0.3)
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(MediaLoopFailed, match=rf"{victim} did not answer .*; it was stopped by signal 19"):
                await peers.snapshot()


async def test_how_the_relay_ended_is_told() -> None:
    """And not only that its connection has."""
    with (
        EchoServerProcess(realtime=False) as echo,
        RelayProcess(echo.address, rtp_ports=PORTS, realtime=False) as relay,
    ):
        async with await relay.connect() as worker:
            peers = OwnPeers(worker, relay, echo)
            assert relay.pid is not None
            os.kill(relay.pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitid, os.P_PID, relay.pid, os.WEXITED | os.WNOWAIT)
            with pytest.raises(MediaLoopFailed, match=r"the relay was ended by signal 9 \(SIGKILL\)"):
                await peers.snapshot()
