"""AudioSocket: TCP from Asterisk to a peer, with a type, a length and a payload in each message. Since Asterisk 18."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pytest

from pytest_ari_sla.codecs.g711 import mulaw_to_linear
from pytest_ari_sla.framing.audiosocket import Kind
from tests.contract.rtp_endpoint import RtpEndpoint, pattern
from tests.contract.stream_peers import AudioSocketConnection, AudioSocketPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.contract.raw_ari import EventLog, RawAri, Reply

    NewId = Callable[[str], str]

CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"
FRAME = pattern(1, 320)
_INTERNAL = "An internal error prevented this request from being handled"


@pytest.fixture(params=["simulator", "asterisk-22"])
def target_name(request: pytest.FixtureRequest) -> str:
    """Run the test once for each target that has AudioSocket."""
    return str(request.param)


@pytest.fixture
async def peer() -> AsyncIterator[AudioSocketPeer]:
    """Return a server that Asterisk can connect to."""
    async with AudioSocketPeer() as server:
        yield server


async def ask(ari: RawAri, channel: str, host: str, **changes: object) -> Reply:
    """Ask for an AudioSocket channel."""
    options: dict[str, object] = {
        "app": "contract",
        "external_host": host,
        "format": "slin",
        "encapsulation": "audiosocket",
        "transport": "tcp",
        "data": CALL,
        **changes,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return await ari.post("/channels/externalMedia", channelId=channel, **given)


async def call(
    ari: RawAri, log: EventLog, channel: str, peer: AudioSocketPeer, **changes: object
) -> AudioSocketConnection:
    """Make a channel, and wait until it is in Stasis; return its connection."""
    number = len(peer.connections)
    assert (await ask(ari, channel, peer.address, **changes)).status == 200
    await log.wait_for("StasisStart", channel)
    return await peer.connection(number)


async def echo(ari: RawAri, log: EventLog, channel: str) -> None:
    """Send a channel to Echo()."""
    await ari.post(f"/channels/{channel}/continue", context="default", extension="echo")
    await log.wait_for("StasisEnd", channel)


async def test_the_reply_proves_that_the_peer_answers(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer) -> None:
    """The connection is made inside the request; the first message says whose call it is."""
    await raw_ari.listen()
    channel = new_id("chan")
    body = (await ask(raw_ari, channel, peer.address)).body
    assert body["name"] == f"AudioSocket/{peer.address}-{CALL}"
    assert body["state"] == "Down"
    variables = body["channelvars"]
    assert variables["AUDIOSOCKET_UUID"] == CALL
    assert variables["AUDIOSOCKET_SERVICE"] == peer.address
    connection = await peer.connection()
    assert connection.messages[0] == (Kind.UUID, UUID(CALL).bytes)


async def test_it_is_answered_at_once_and_enters_stasis(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer) -> None:
    """Its UUID is an argument of the application."""
    log, channel = await raw_ari.listen(), new_id("chan")
    await ask(raw_ari, channel, peer.address)
    started = await log.wait_for("StasisStart", channel)
    assert await log.story(channel) == [
        "Dial",
        "ChannelStateChange Up",
        "Dial ANSWER",
        "ChannelVarset STASISSTATUS=",
        "StasisStart",
    ]
    assert started["args"] == [CALL]
    assert {event["dialstring"] for event in log.events if event["type"] == "Dial"} == {f"{peer.address}/{CALL}"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"data": None}, (400, "data can not be empty")),
        ({"data": "no-uuid"}, (500, _INTERNAL)),
        ({"transport": None}, (400, "transport must be 'tcp' for audiosocket encapsulation")),
        (
            {"connection_type": "server"},
            (400, "'server' connection_type can only be used with the websocket transport"),
        ),
        (
            {"external_host": "nohost"},
            (400, "external_host must be <host>:<port> for all transports other than websocket"),
        ),
        ({"direction": "sideways"}, (400, "Invalid direction specified")),
    ],
)
async def test_impossible_requests(
    raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer, changes: dict[str, Any], error: tuple[int, str]
) -> None:
    """None of them reaches the peer."""
    await raw_ari.listen()
    reply = await ask(raw_ari, new_id("chan"), peer.address, **changes)
    assert reply.error == error
    assert peer.connections == []


async def test_a_peer_that_is_not_there_is_an_internal_error(raw_ari: RawAri, new_id: NewId) -> None:
    """Asterisk tells no reason; no channel is left."""
    await raw_ari.listen()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        reply = await ask(raw_ari, new_id("chan"), f"127.0.0.1:{held.getsockname()[1]}")
    assert reply.error == (500, _INTERNAL)
    assert (await raw_ari.get("/channels")).body == []


@pytest.mark.parametrize("size", [320, 160, 2])
async def test_echo_sends_each_message_back_untouched(
    raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer, size: int
) -> None:
    """A message is a frame of the core, whatever its size: nothing is cut or joined."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await echo(raw_ari, log, channel)
    sent = [pattern(number, size) for number in range(3)]
    for payload in sent:
        connection.send(Kind.SLIN, payload)
    await connection.until(lambda: len(connection.audio()) >= 3)
    assert connection.audio()[-3:] == sent


async def test_wide_band_audio_has_a_type_of_its_own(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer) -> None:
    """16 kHz: 640 bytes are 20 ms."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer, format="slin16")
    await echo(raw_ari, log, channel)
    connection.send(Kind.SLIN16, pattern(1, 640))
    await connection.heard(pattern(1, 640), Kind.SLIN16)


async def test_nothing_paces_what_a_peer_sends(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer) -> None:
    """A burst of two seconds is back long before two seconds are over: by then all of a marker's wait would show."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await echo(raw_ari, log, channel)
    connection.writer.write(b"".join(bytes([0x10, 1, 64]) + pattern(number, 320) for number in range(100)))
    connection.send(Kind.SLIN, b"\1\2")
    await connection.heard(b"\1\2")
    assert connection.audio()[:-1] == [pattern(number, 320) for number in range(100)]


async def test_a_header_may_come_in_pieces(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer) -> None:
    """Asterisk waits for the rest of a header as long as it takes, since 22.9."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await echo(raw_ari, log, channel)
    for piece in (b"\x10", b"\x01"):
        connection.writer.write(piece)
        await connection.writer.drain()
        await asyncio.sleep(0.05)
    connection.writer.write(b"\x40" + FRAME)
    await connection.heard(FRAME)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\0\0\0", id="hang-up"),
        pytest.param(b"\x10\0\0", id="zero length"),
        pytest.param(b"\x01\0\x10" + UUID(CALL).bytes, id="a UUID"),
        pytest.param(b"\x03\0\x015", id="a digit"),
        pytest.param(b"\x99\0\x01x", id="unknown type"),
        pytest.param(b"\x10\x01\x40" + FRAME[:10], id="a payload that does not come"),
        pytest.param(b"", id="nothing, and the connection is closed"),
    ],
)
async def test_what_ends_a_call(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer, data: bytes) -> None:
    """All of it with the same cause: Asterisk does not tell a hang-up from nonsense."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await log.forget()
    connection.writer.write(data)
    if not data:
        connection.writer.write_eof()
    await log.wait_for("ChannelDestroyed", channel)
    await connection.over()
    assert await log.story(channel) == [
        "StasisEnd",
        "ChannelVarset STASISSTATUS=SUCCESS",
        "ChannelDestroyed 0",
    ]


async def test_a_channel_that_is_hung_up_closes_its_connection(
    raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer
) -> None:
    """There is no farewell."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await raw_ari.delete(f"/channels/{channel}")
    await connection.over()
    assert [message.kind for message in connection.messages] == [Kind.UUID]


async def test_a_digit_is_told_at_its_end(raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer) -> None:
    """One ASCII character, without a duration."""
    log, channel = await raw_ari.listen(), new_id("chan")
    connection = await call(raw_ari, log, channel, peer)
    await raw_ari.post(f"/channels/{channel}/dtmf", dtmf="5")
    await connection.until(lambda: (Kind.DTMF, b"5") in connection.messages)


async def test_it_is_bridged_with_rtp(
    raw_ari: RawAri, new_id: NewId, peer: AudioSocketPeer, new_rtp: Callable[[], RtpEndpoint]
) -> None:
    """Each hears the other, in its own codec: little-endian samples here, mu-law there."""
    log, rtp = await raw_ari.listen(), new_rtp()
    ours, theirs, bridge = new_id("chan"), new_id("chan"), new_id("bridge")
    connection = await call(raw_ari, log, ours, peer)
    await rtp.call(raw_ari, theirs, log)
    await raw_ari.post("/bridges", bridgeId=bridge, type="mixing")
    await raw_ari.post(f"/bridges/{bridge}/addChannel", channel=f"{ours},{theirs}")
    await log.wait_for("ChannelEnteredBridge", ours)
    await log.wait_for("ChannelEnteredBridge", theirs)
    coded = b"\x9f" * 160
    linear = mulaw_to_linear(np.frombuffer(coded, np.uint8)).astype("<i2").tobytes()

    async def talk() -> None:
        for number in range(1000):
            connection.send(Kind.SLIN, linear)
            rtp.send(number, number * 160, coded)
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    try:
        await connection.heard(linear)
        heard: set[bytes] = set()
        while coded not in heard:
            heard |= {packet.payload for packet in await rtp.collect()}
    finally:
        talking.cancel()
