"""The relay for streams, as a process, between a peer and the echo server."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import aiohttp

from pytest_ari_sla.framing.conversations import AudioSocketServer, WebSocketServer
from pytest_ari_sla.peers.echo.stream_echo import StreamEcho
from pytest_ari_sla.peers.ready_loop import ReadyLoop
from pytest_ari_sla.peers.relay.stream_relay import StreamRelay
from tests.unit.peers.stream_processes import FRAME, WITHIN_S, ended, running

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as one:
            other, _ = server.accept()
            with other:
                yield one, other


@contextmanager
def nobody_who_accepts() -> Iterator[tuple[str, int]]:
    """Return an address at which connections are neither taken nor refused: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address: tuple[str, int] = server.getsockname()
        for _ in range(4):  # the kernel takes one or two more than it was told
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address


def test_an_echo_server_that_does_not_accept_holds_up_no_other_call() -> None:
    """The relay goes on at once: the call has a connection on its way, which the kernel gives up after 3 s."""
    with nobody_who_accepts() as echo, tcp_pair() as (asterisk, ours), ReadyLoop() as loop:
        with StreamRelay(loop, echo, "audiosocket") as relay:
            asterisk.sendall(b"\x01\x00\x10" + bytes(16) + 3 * (b"\x12\x01\x40" + FRAME))
            conversation = AudioSocketServer()
            relay.serve(ours.dup(), conversation)
            partners = [connection for connection in relay._open if connection.partner is not None]
            assert [connection.conversation.ended for connection in partners] == ["", ""]
            (under_way,) = (connection for connection in partners if connection.conversation is not conversation)
            assert under_way._tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT) == 1
            assert (relay.forwarded, relay.unreached) == (3, 0)


def test_frames_that_an_echo_server_never_returns_are_not_awaited_for_ever() -> None:
    """Hours of a call would fill the relay's memory."""
    with tcp_pair() as (asterisk, ours), socket.create_server(("127.0.0.1", 0)) as echo, ReadyLoop() as loop:
        with StreamRelay(loop, echo.getsockname(), "audiosocket") as relay:
            conversation = AudioSocketServer()
            relay.serve(ours.dup(), conversation)
            (connection,) = relay._open
            conversation.receive(b"\x01\x00\x10" + bytes(16))
            relay.take(connection)
            assert connection.partner is not None
            for _ in range(20):
                conversation.frames += 400 * [b"."]
                relay.take(connection)
                conversation.frames.clear()
            assert len(relay._sent_ns[connection.partner]) < relay.forwarded == 8000
            asterisk.close()


def test_who_asks_on_and_on_and_does_not_read_is_cut_off() -> None:
    """Each ping wants an answer (RFC 6455, 5.5.2), and nobody's memory is endless."""
    with tcp_pair() as (_, ours), ReadyLoop() as loop, StreamEcho(loop) as echo:
        conversation = WebSocketServer()
        echo.serve(ours.dup(), conversation)
        (connection,) = echo._open
        for _ in range(100):
            conversation.outgoing += bytes(1 << 17)
            connection.flush()
        assert echo.is_idle
        assert "does not read" in conversation.ended


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
            said = ended(relay)
            assert "2  connections" in said
            assert "2  calls for which it was not reached ([Errno 111] Connection refused)" in said
