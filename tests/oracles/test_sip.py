"""Callers by SIP against SIPp, which knows nothing of us: what it expects in its scenarios it has got."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.errors import CallNotAnswered
from pytest_ari_sla.signalling.sip import SipCaller
from pytest_ari_sla.signalling.sip_account import SipAccount
from pytest_ari_sla.signalling.sip_agent import SipAgent
from pytest_ari_sla.sip.destination import SipDestination
from pytest_ari_sla.sip.dialog import CallState
from tests.oracles.rtp_wire import percentile
from tests.oracles.sip_wire import sip_calls
from tests.oracles.wire import captured, packets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pytest_ari_sla.signalling.sip import SipCall
    from pytest_ari_sla.sip.dialog import OutgoingCall

SCENARIOS = Path(__file__).parent / "sipp"
CALLS = int(os.environ.get("SIP_CALLS", "10"))
PER_SECOND = 20
CLOCK_S = 1e-6
HISTOGRAM = 1.001
DEADLINE_S = 60 + CALLS / PER_SECOND


def free_port(kind: socket.SocketKind) -> int:
    """Return a port that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Sipp:
    """A SIPp that plays a scenario for a number of calls."""

    def __init__(self, folder: Path, scenario: str, calls: int, protocol: str, *more: str) -> None:
        self.port = free_port(socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
        command = ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(self.port)]
        limits = ["-m", str(calls), "-t", {"udp": "u1", "tcp": "t1"}[protocol], "-nostdin", "-trace_err", *more]
        self._folder = folder
        self._process = subprocess.Popen([*command, *limits], cwd=folder, stdout=subprocess.DEVNULL)

    async def listens(self, protocol: str) -> None:
        """Wait until it can be called."""
        table = Path(f"/proc/net/{protocol}")
        async with asyncio.timeout(DEADLINE_S):
            while f":{self.port:04X} " not in await asyncio.to_thread(table.read_text):
                await asyncio.sleep(0.02)

    async def ended_well(self) -> None:
        """Wait until it has had its calls; each of them must have gone as the scenario says."""
        code = await asyncio.to_thread(self._process.wait, DEADLINE_S)
        assert code == 0, "".join(path.read_text()[-2000:] for path in self._folder.glob("*errors.log"))

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()


async def call_all(caller: SipCaller, one: Callable[[SipCaller, int], Coroutine[None, None, None]]) -> None:
    """Begin so many calls a second."""
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        for number in range(CALLS):
            tasks.create_task(one(caller, number))
            await asyncio.sleep(1 / PER_SECOND)


async def dial(caller: SipCaller, protocol: str, number: int) -> SipCall:
    """Send an INVITE."""
    to = f"bot{number};transport={protocol}"
    return await caller.call(to, ("127.0.0.1", 20_000), pcmu(), 20, changed=lambda: None)


def is_held(call: OutgoingCall) -> bool:
    """Whether the other side has put the call on hold, and has acknowledged our answer: nothing is resent any more."""
    return call.theirs is not None and call.theirs.direction == "sendonly" and call.deadline_ns == 1 << 62


@pytest.fixture(params=["udp", "tcp"])
def protocol(request: pytest.FixtureRequest) -> str:
    """SIP over datagrams, and over a stream."""
    name: str = request.param
    return name


async def play(
    folder: Path, scenario: str, protocol: str, one: Callable[[SipCaller, int], Coroutine[None, None, None]]
) -> list[CallState]:
    """Make all calls to a SIPp; return the states that dialogs of ours are in when both sides are done."""
    sipp = Sipp(folder, scenario, CALLS, protocol)
    caller = SipCaller(SipAccount("127.0.0.1", sipp.port, "alice", "secret"))
    try:
        await sipp.listens(protocol)
        await call_all(caller, one)
        await sipp.ended_well()
        agents = [await opening for opening in caller._agents.values()]
        return [held.call.state for agent in agents for held in agent._calls.values()]
    finally:
        sipp.kill()
        await caller.aclose()


async def test_calls_are_authorized_answered_held_and_ended(tmp_path: Path, protocol: str) -> None:
    """Digest, 180, 200, ACK, a re-INVITE that is answered recvonly, BYE: by SIPp's own checks."""

    async def one(caller: SipCaller, number: int) -> None:
        call = await dial(caller, protocol, number)
        remote, _ = await caller.answered(call, lambda there: None)
        assert remote == ("127.0.0.1", 16_000)
        await call.held.until(is_held)
        await call.hang_up()

    states = await play(tmp_path, "answers", protocol, one)
    assert states == [CallState.ENDED] * CALLS


async def test_calls_are_cancelled_while_they_ring(tmp_path: Path, protocol: str) -> None:
    """SIPp sees CANCEL, and an ACK for its 487."""

    async def one(caller: SipCaller, number: int) -> None:
        call = await dial(caller, protocol, number)
        await call.held.until(lambda it: it.provisional_ns is not None)
        await call.hang_up()

    states = await play(tmp_path, "rings", protocol, one)
    assert states == [CallState.ENDED] * CALLS


async def test_a_wrong_password_is_named(tmp_path: Path) -> None:
    """SIPp refuses with 403 then, which is what the failure says."""
    sipp = Sipp(tmp_path, "rings", 1, "udp")
    caller = SipCaller(SipAccount("127.0.0.1", sipp.port, "alice", "wrong"))
    try:
        await sipp.listens("udp")
        call = await dial(caller, "udp", 1)
        with pytest.raises(CallNotAnswered, match="403 Forbidden"):
            await caller.answered(call, lambda there: None)
        await sipp.ended_well()
        assert caller.meter.values()["sip.failed"] == 1
        assert caller.meter.remarks() == ["SIP calls that were not answered: 1 time 403 Forbidden"]
    finally:
        sipp.kill()
        await caller.aclose()


async def test_a_call_that_nobody_responds_to_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes datagrams and says nothing, as one that a firewall hides: counted, and told with the others."""
    monkeypatch.setattr("pytest_ari_sla.signalling.sip.RESPONSE_TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        caller = SipCaller(SipAccount("127.0.0.1", silent.getsockname()[1], "", ""))
        try:
            call = await dial(caller, "udp", 1)
            with pytest.raises(CallNotAnswered, match="nobody responds to SIP"):
                await caller.answered(call, lambda there: None)
            assert caller.meter.values()["sip.failed"] == 1
            assert caller.meter.remarks() == ["SIP calls that were not answered: 1 time nobody responded to INVITE"]
        finally:
            await caller.aclose()


async def test_whoever_calls_us_is_refused(tmp_path: Path) -> None:
    """SIPp is the caller: INVITE, 480, ACK."""
    agent = SipAgent(SipDestination("", "127.0.0.1", 9))
    await agent.open()
    sipp = Sipp(tmp_path, "calls", CALLS, "udp", "-r", str(PER_SECOND), f"127.0.0.1:{agent.local[1]}")
    try:
        await sipp.ended_well()
    finally:
        sipp.kill()
        await agent.aclose()


async def test_garbage_on_the_socket_does_not_disturb_calls(tmp_path: Path) -> None:
    """It is counted, and that is all."""
    sipp = Sipp(tmp_path, "answers", 1, "udp")
    caller = SipCaller(SipAccount("127.0.0.1", sipp.port, "alice", "secret"))
    try:
        await sipp.listens("udp")
        call = await dial(caller, "udp", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for garbage in (b"", b"\0" * 1400, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", os.urandom(500)):
                stranger.sendto(garbage, call.agent.local)
            await caller.answered(call, lambda there: None)
        await call.held.until(is_held)
        await call.hang_up()
        await sipp.ended_well()
        assert call.agent.ignored == 5
        meter = caller.meter
        assert (meter.pdd.count, meter.setup.count, meter.failed.total()) == (1, 1, 0)
        assert 0 < meter.pdd.max <= meter.setup.max
    finally:
        sipp.kill()
        await caller.aclose()


# --- what is measured, against a capture ---


async def measured(folder: Path, password: str) -> tuple[SipCaller, int, list[float]]:
    """Call a SIPp that knows one password; return what was measured, SIPp's port, and how long answers took for us."""
    sipp = Sipp(folder, "answers", CALLS, "udp")
    caller = SipCaller(SipAccount("127.0.0.1", sipp.port, "alice", password))
    seen_s: list[float] = []

    async def one(caller: SipCaller, number: int) -> None:
        began_s = time.perf_counter()
        call = await dial(caller, "udp", number)
        try:
            await caller.answered(call, lambda there: None)
        except CallNotAnswered:
            return
        seen_s.append(time.perf_counter() - began_s)
        await call.held.until(is_held)
        await call.hang_up()

    try:
        await sipp.listens("udp")
        with captured(folder / "sip.pcapng", f"udp port {sipp.port}"):
            await call_all(caller, one)
            await sipp.ended_well()
    finally:
        sipp.kill()
        await caller.aclose()
    return caller, sipp.port, seen_s


async def test_times_of_calls_are_those_of_the_wire(tmp_path: Path) -> None:
    """Until it rang, and until it was answered: no less than on the wire, no more than for whoever waited for it."""
    caller, port, seen_s = await measured(tmp_path, "secret")
    calls = sip_calls(packets(tmp_path / "sip.pcapng")[1], port)
    values = caller.meter.values()
    assert values["sip.failed"] == sum(call.refused is not None for call in calls) == 0
    wire_s = {"sip.pdd": [call.post_dial_delay_s for call in calls], "sip.setup": [call.setup_s for call in calls]}
    for name, found_s in wire_s.items():
        known_s = [it for it in found_s if it is not None]
        reported = values[name]
        assert not isinstance(reported, int)
        assert reported.count == len(known_s) == len(seen_s) == CALLS
        for percent in (0, 50, 100):
            value_s = reported.percentile(percent) / 1e9
            assert percentile(known_s, percent) - CLOCK_S <= value_s <= percentile(seen_s, percent) * HISTOGRAM


async def test_calls_that_are_refused_are_those_of_the_wire(tmp_path: Path) -> None:
    """None of them rang, and none has a time."""
    caller, port, _ = await measured(tmp_path, "wrong")
    calls = sip_calls(packets(tmp_path / "sip.pcapng")[1], port)
    assert caller.meter.failed == {"403 Forbidden": sum(call.refused == 403 for call in calls)}
    assert len(calls) == CALLS
    assert (caller.meter.pdd.count, caller.meter.setup.count) == (0, 0)
    assert not any(call.progress_ns or call.answered_ns for call in calls)
