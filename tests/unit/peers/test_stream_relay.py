"""The relay for streams, as a process, between a peer and the echo server."""

from __future__ import annotations

import asyncio
import re

import aiohttp

from tests.unit.peers.stream_processes import FRAME, WITHIN_S, ended, running

ECHO, RELAY = "echo.echo_server", "relay.relay_worker"


def port_in(greeting: str) -> int:
    """Return the port that a process says it listens at."""
    found = re.search(r"127.0.0.1:(\d+)", greeting)
    assert found is not None, greeting
    return int(found[1])


async def test_frames_of_an_audiosocket_go_to_the_echo_server_and_back() -> None:
    """Under the type that they came with, and those that came before the echo server was reached as well."""
    options = ("--transport", "audiosocket")
    with running(ECHO, *options) as (at_echo, echo):
        with running(RELAY, *options, "--echo", f"127.0.0.1:{port_in(at_echo)}") as (greeting, relay):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_in(greeting))
            sent = 3 * (b"\x12\x01\x40" + FRAME)
            writer.write(b"\x01\x00\x10" + bytes(16) + sent)
            async with asyncio.timeout(WITHIN_S):
                assert await reader.readexactly(len(sent)) == sent
                writer.write(b"\x00\x00\x00")  # hang up, which the echo server is told
                assert await reader.read() == b""
            writer.close()
            said = ended(relay)
        assert "3  frames sent to the echo server" in said
        assert "3  frames returned to Asterisk" in said
        assert "ms to the echo server and back" in said
        assert "0  faults of peers" in ended(echo)


async def test_binary_messages_of_a_websocket_go_to_the_echo_server_and_back() -> None:
    """Texts are not media."""
    options = ("--transport", "websocket")
    with running(ECHO, *options) as (at_echo, _):
        with running(RELAY, *options, "--echo", f"127.0.0.1:{port_in(at_echo)}") as (greeting, relay):
            url = f"ws://127.0.0.1:{port_in(greeting)}/media?leg=7"
            async with asyncio.timeout(WITHIN_S), aiohttp.ClientSession() as session:
                async with session.ws_connect(url, protocols=("media",)) as ws:
                    await ws.send_str("MEDIA_START connection_id:c")
                    await ws.send_bytes(FRAME)
                    assert await ws.receive_bytes() == FRAME
            assert "1  frames returned to Asterisk" in ended(relay)


async def test_a_call_ends_where_the_echo_server_is_not_there() -> None:
    """It hears so at once, and the relay goes on."""
    with running(ECHO, "--transport", "audiosocket") as (at_echo, echo):
        ended(echo)
        nobody = f"127.0.0.1:{port_in(at_echo)}"
        with running(RELAY, "--transport", "audiosocket", "--echo", nobody) as (greeting, relay):
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", port_in(greeting))
                writer.write(b"\x01\x00\x10" + bytes(16))
                async with asyncio.timeout(WITHIN_S):
                    assert await reader.read() in (b"", b"\x00\x00\x00")
                writer.close()
            assert "2  connections" in ended(relay)
