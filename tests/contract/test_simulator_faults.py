"""Each fault of the simulator is seen from outside, and gone when it is cleared."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.contract.raw_ari import RawAri, tell
from tests.contract.rtp_endpoint import SAMPLES, RtpEndpoint, pattern

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.contract.api_description import ApiDescription
    from tests.contract.raw_ari import EventLog

    NewId = Callable[[str], str]
    NewRtp = Callable[[], RtpEndpoint]

_WHOLE_WAY_IN = ["Dial", "ChannelStateChange Up", "Dial ANSWER", "ChannelVarset STASISSTATUS=", "StasisStart"]


@pytest.fixture
def faulty(simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """Return a simulator whose faults are cleared after the test."""
    yield simulator
    simulator.clear_faults()


@pytest.fixture
async def ari(faulty: SimulatorProcess, descriptions: dict[str, ApiDescription]) -> AsyncIterator[RawAri]:
    """Return a client of the simulator."""
    async with aiohttp.ClientSession(headers={"Authorization": faulty.endpoint.authorization}) as session:
        client = RawAri(session, faulty.endpoint, descriptions["simulator"], 22)
        yield client
        faulty.clear_faults()
        await client.hang_up_everything()
        await client.close()


async def in_echo(ari: RawAri, log: EventLog, channel: str, leg: RtpEndpoint) -> None:
    """Put a leg into Echo()."""
    await leg.call(ari, channel, log)
    await ari.post(f"/channels/{channel}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("ChannelDialplan", channel, count=2)
    await asyncio.sleep(0.05)


async def test_slow_requests(ari: RawAri, faulty: SimulatorProcess) -> None:
    """Answers come late, and in time again afterwards."""
    faulty.set_faults(slow_request_ratio=1.0, slow_request_s=0.3)
    started_s = time.monotonic()
    assert (await ari.get("/asterisk/ping")).status == 200
    assert time.monotonic() - started_s >= 0.3
    faulty.clear_faults()
    started_s = time.monotonic()
    await ari.get("/asterisk/ping")
    assert time.monotonic() - started_s < 0.3


async def test_failing_requests(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """Requests fail, and are not carried out."""
    faulty.set_faults(failed_request_ratio=1.0, failed_request_status=503)
    reply = await ari.post("/bridges", bridgeId=new_id("bridge"))
    assert reply.error == (503, "A fault of the simulator")
    faulty.clear_faults()
    assert (await ari.get("/bridges")).body == []


async def test_lost_events(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """No event arrives, though the channel lives."""
    log, channel = await ari.listen(), new_id("chan")
    faulty.set_faults(lost_event_ratio=1.0)
    await ari.external_media(channel)
    assert await log.settle() == []
    assert (await ari.get(f"/channels/{channel}")).body["state"] == "Up"


async def test_the_same_seed_loses_the_same_events(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """What is lost is a matter of the seed, not of chance."""
    stories = []
    for seed in (5, 5, 6, 5):
        log = await ari.listen()
        faulty.clear_faults()
        faulty.set_faults(lost_event_ratio=0.4, seed=seed)
        for _ in range(3):
            await ari.external_media(new_id("chan"))
            await asyncio.sleep(0.02)
        stories.append([tell(event) for event in await log.settle()])
        await log.socket.close()
        await log.settle()
    assert stories[0] == stories[1] == stories[3] != stories[2]


async def test_delayed_events(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """Events come late, in order; their time stamps say when they happened."""
    log, channel = await ari.listen(), new_id("chan")
    faulty.set_faults(delayed_event_ratio=1.0, delayed_event_s=0.1)
    started_s = time.monotonic()
    await ari.external_media(channel)
    await log.wait_for("StasisStart", channel)
    assert time.monotonic() - started_s >= 0.1 * len(_WHOLE_WAY_IN)
    assert await log.story(channel) == _WHOLE_WAY_IN


async def test_reordered_events(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """Every other event swaps places with the next."""
    log, channel = await ari.listen(), new_id("chan")
    faulty.set_faults(reordered_event_ratio=1.0)
    await ari.external_media(channel)
    await log.wait_for("Dial", channel, count=2)
    assert (await log.story(channel))[:4] == [_WHOLE_WAY_IN[number] for number in (1, 0, 3, 2)]


async def test_a_websocket_that_closes(ari: RawAri, faulty: SimulatorProcess) -> None:
    """The event socket is closed by the server; the application is gone with it."""
    faulty.set_faults(websocket_close_after_s=0.2)
    log = await ari.listen()
    await asyncio.sleep(0.5)
    assert log.closed == aiohttp.WSCloseCode.INTERNAL_ERROR
    assert not await ari.has_applications(["contract"])


async def test_a_websocket_that_hangs(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """The event socket stays open and says nothing more."""
    faulty.set_faults(websocket_hang_after_s=0.1)
    log, channel = await ari.listen(), new_id("chan")
    await asyncio.sleep(0.3)
    await ari.external_media(channel)
    assert await log.settle() == []
    assert log.closed is None


async def test_stuck_channels(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """DELETE is answered as if all were well, and the channel lives on."""
    log, channel = await ari.listen(), new_id("chan")
    await ari.external_media(channel, log)
    faulty.set_faults(stuck_channel_ratio=1.0)
    assert (await ari.delete(f"/channels/{channel}")).status == 204
    assert await log.settle() == []
    assert (await ari.get(f"/channels/{channel}")).status == 200


async def test_port_exhaustion(ari: RawAri, faulty: SimulatorProcess, new_id: NewId) -> None:
    """One channel more than there are ports for is refused; one that ends makes room."""
    log, channels = await ari.listen(), [new_id("chan") for _ in range(3)]
    faulty.set_faults(max_media_channels=2)
    for channel in channels[:2]:
        await ari.external_media(channel, log)
    options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw"}
    assert (await ari.post("/channels/externalMedia", channelId=channels[2], **options)).status == 500
    await ari.delete(f"/channels/{channels[0]}")
    await log.wait_for("ChannelDestroyed", channels[0])
    assert (await ari.post("/channels/externalMedia", channelId=channels[2], **options)).status == 200


@pytest.mark.parametrize(("ratio", "copies"), [("rtp_loss_ratio", 0), ("rtp_duplicate_ratio", 2)])
async def test_lost_and_doubled_packets(
    ari: RawAri, faulty: SimulatorProcess, new_id: NewId, new_rtp: NewRtp, ratio: str, copies: int
) -> None:
    """Packets do not come back, or come back twice."""
    log, leg = await ari.listen(), new_rtp()
    await in_echo(ari, log, new_id("echo"), leg)
    faulty.set_faults(**{ratio: 1.0})
    await leg.stream(range(5))
    assert len(await leg.collect()) == 5 * copies


async def test_delayed_packets(ari: RawAri, faulty: SimulatorProcess, new_id: NewId, new_rtp: NewRtp) -> None:
    """Packets come back late, and complete."""
    log, leg = await ari.listen(), new_rtp()
    await in_echo(ari, log, new_id("echo"), leg)
    faulty.set_faults(rtp_delay_s=0.3)
    leg.send(0, 0, pattern(0))
    assert await leg.collect(0.2) == []
    assert len(await leg.collect(0.3)) == 1


async def test_reordered_packets(ari: RawAri, faulty: SimulatorProcess, new_id: NewId, new_rtp: NewRtp) -> None:
    """Some packets come after those that were sent after them."""
    log, leg = await ari.listen(), new_rtp()
    await in_echo(ari, log, new_id("echo"), leg)
    faulty.set_faults(rtp_reorder_ratio=0.3, seed=1)
    await leg.stream(range(30))
    packets = await leg.collect()
    assert len(packets) == 30
    assert any(after.timestamp - before.timestamp < SAMPLES for before, after in pairwise(packets))


async def test_a_crash() -> None:
    """The process dies at the time that was asked for, with a status of its own."""
    simulator = SimulatorProcess(faults={"crash_after_s": 0.3})
    simulator.start()
    deadline_s = time.monotonic() + 5.0
    while simulator.alive:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
    simulator.stop()


async def test_unknown_faults_are_refused(ari: RawAri, faulty: SimulatorProcess) -> None:
    """By name, before anything is sent, and by the server as well."""
    with pytest.raises(UsageError, match="no fault 'nonsense'"):
        faulty.set_faults(nonsense=1)
    address = faulty.url.removesuffix("/ari") + "/simulator/faults"
    async with ari.session.put(address, json={"nonsense": 1}) as response:
        assert response.status == 400
        assert "no fault 'nonsense'" in (await response.json())["message"]
    async with ari.session.post(address, json={}) as response:
        assert response.status == 405
    async with ari.session.get(address) as response:
        assert (await response.json())["lost_event_ratio"] == 0.0
