"""The echo server for streams, as a process, spoken to by other libraries."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import web

from pytest_ari_sla.framing.conversations import WebSocketClient
from tests.unit.peers.stream_processes import FRAME, WITHIN_S, ended, running


async def test_frames_of_an_audiosocket_come_back_as_they_went_in_any_pieces() -> None:
    """Under the type that they came with: wide-band ones."""
    with running("echo.echo_server", "--transport", "audiosocket") as (greeting, process):
        found = re.search(r"at 127.0.0.1:(\d+)", greeting)
        assert found is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
        sent = 2 * (b"\x12\x01\x40" + FRAME)
        for piece in (b"\x01\x00\x10" + bytes(16), sent[:2], sent[2:400], sent[400:]):
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(WITHIN_S):
            assert await reader.readexactly(len(sent)) == sent
        writer.close()
        assert "2  frames sent back" in ended(process)


async def test_faults_of_connections_that_are_still_open_are_told_at_the_end() -> None:
    """A message of an unknown type does not end a call, so that Ctrl-C finds it open."""
    with running("echo.echo_server", "--transport", "audiosocket") as (greeting, process):
        found = re.search(r"at 127.0.0.1:(\d+)", greeting)
        assert found is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
        sent = b"\x10\x01\x40" + FRAME
        writer.write(b"\x01\x00\x10" + bytes(16) + b"\x55\x00\x00" + sent)
        async with asyncio.timeout(WITHIN_S):
            assert await reader.readexactly(len(sent)) == sent
        assert "1  faults of peers" in ended(process)
        writer.close()


async def test_binary_messages_of_a_websocket_come_back_and_a_ping_is_answered() -> None:
    """Texts are not media."""
    with running("echo.echo_server", "--transport", "websocket") as (greeting, _):
        url = greeting.split()[-1]
        async with asyncio.timeout(WITHIN_S), aiohttp.ClientSession() as session:
            async with session.ws_connect(url, protocols=("media",)) as ws:
                assert ws.protocol == "media"
                await ws.send_str("MEDIA_START connection_id:c")
                await ws.send_bytes(FRAME)
                assert await ws.receive_bytes() == FRAME


async def test_the_answer_to_a_handshake_precedes_a_frame_that_came_with_it() -> None:
    """A peer whose first frame follows at once would take the frame for the answer, and close."""
    peer = WebSocketClient("/?leg=7", "127.0.0.1")
    with running("echo.echo_server", "--transport", "websocket") as (greeting, _):
        found = re.search(r":(\d+)/", greeting)
        assert found is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
        writer.write(bytes(peer.outgoing) + peer.frame(FRAME, 0))
        async with asyncio.timeout(WITHIN_S):
            while not peer.frames and not peer.ended:
                peer.receive(await reader.read(1024))
        assert (peer.ended, peer.frames) == ("", [FRAME])
        writer.close()


async def test_it_connects_to_asterisks_websocket_and_ends_with_it() -> None:
    """As its server side wants it."""
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("media",))
        await ws.prepare(request)
        await ws.send_bytes(FRAME)
        came.put_nowait(await ws.receive_bytes())
        await ws.close()
        return ws

    application = web.Application()
    application.router.add_get("/media/{id}", take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/media/7"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest_ari_sla.peers.echo.echo_server"),
        *("--transport", "websocket-server", "--connect", url),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        assert await came.get() == FRAME
        said, _ = await process.communicate()
    await runner.cleanup()
    assert process.returncode == 0
    assert b"1  frames sent back" in said


@pytest.mark.parametrize(
    "options", [["--transport", "websocket-server"], ["--transport", "audiosocket", "--connect", "ws://h/media/1"]]
)
def test_who_connects_is_said_in_one_way(options: list[str]) -> None:
    """A wrong command line is a sentence."""
    command = [sys.executable, "-m", "pytest_ari_sla.peers.echo.echo_server", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--connect goes with --transport websocket-server" in done.stderr
