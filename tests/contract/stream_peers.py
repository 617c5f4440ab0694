"""Peers of media over TCP for tests: what a voice bot is to Asterisk. WebSockets are aiohttp's, not ours."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from aiohttp import web

from pytest_ari_sla.framing.audiosocket import AudioSocketMessage, AudioSocketParser, encode

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 20.0
_CLOSING_S = 1.0
T = TypeVar("T")


class _Awaiting:
    """Something that changes, and can be waited for."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Let those who wait look again."""
        self._changed.set()

    async def until(self, look: Callable[[], T | None]) -> T:
        """Wait until there is something to see, and return it."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := look()):
                self._changed.clear()
                await self._changed.wait()
        return found


class AudioSocketConnection(_Awaiting):
    """One call's connection.

    Attributes
    ----------
    messages
        What has come, in order.
    is_over
        Whether Asterisk has closed it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self.messages: list[AudioSocketMessage] = []
        self.is_over = False
        self._reader = reader
        self.writer = writer

    async def read(self) -> None:
        """Collect messages until the connection ends."""
        parser = AudioSocketParser()
        with suppress(ConnectionError):
            while data := await self._reader.read(65_536):
                self.messages += parser.feed(data)
                self.tell()
        self.is_over = True
        self.tell()

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send one message."""
        self.writer.write(encode(kind, payload))

    def audio(self, kind: int = 0x10) -> list[bytes]:
        """Return the payloads of audio that have come."""
        return [message.payload for message in self.messages if message.kind == kind]

    async def heard(self, payload: bytes, kind: int = 0x10) -> None:
        """Wait until a payload has come."""
        await self.until(lambda: payload in self.audio(kind))

    async def over(self) -> None:
        """Wait until the connection is closed."""
        await self.until(lambda: self.is_over)


class AudioSocketPeer(_Awaiting):
    """A server that Asterisk connects to; use it as an asynchronous context manager."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: list[AudioSocketConnection] = []
        self._reading: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> AudioSocketPeer:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self.connections:
            connection.writer.close()
        await asyncio.gather(*self._reading)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = AudioSocketConnection(reader, writer)
        self.connections.append(connection)
        self._reading.append(asyncio.create_task(connection.read()))
        self.tell()

    async def connection(self, number: int = 0) -> AudioSocketConnection:
        """Wait for a connection that has said whose it is."""
        await self.until(lambda: len(self.connections) > number)
        found = self.connections[number]
        await found.until(lambda: found.messages)
        return found


class MediaConnection(_Awaiting):
    """One call's WebSocket, from whichever side it was made.

    Attributes
    ----------
    texts
        Control messages that have come.
    media
        Media messages that have come.
    close_code
        How it was closed; None before.
    path
        Path and query that Asterisk asked for.
    """

    def __init__(self, socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse, path: str = "") -> None:
        super().__init__()
        self.socket = socket
        self.path = path
        self.texts: list[str] = []
        self.media: list[bytes] = []
        self.close_code: int | None = None

    async def read(self) -> None:
        """Collect messages until the connection ends."""
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.texts.append(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.media.append(message.data)
            self.tell()
        self.close_code = self.socket.close_code or 0
        self.tell()

    async def said(self, word: str, count: int = 1) -> str:
        """Wait for the ``count``-th control message that holds a word."""
        found = await self.until(lambda: [text for text in self.texts if word in text][count - 1 :])
        return found[0]

    async def event(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th event of a name, in JSON."""
        decoded: dict[str, Any] = json.loads(await self.said(f'"event":"{name}"', count))
        return decoded

    async def heard(self, payload: bytes) -> None:
        """Wait until a media message has come."""
        await self.until(lambda: payload in self.media)

    async def command(self, name: str, **members: str) -> None:
        """Send a command in JSON."""
        await self.socket.send_str(json.dumps({"command": name, **members}))

    async def over(self) -> int:
        """Wait until the connection is closed; return the code."""
        await self.until(lambda: [self.close_code] if self.close_code is not None else None)
        return self.close_code or 0


class MediaPeer(_Awaiting):
    """A WebSocket server that Asterisk connects to; use it as an asynchronous context manager.

    Attributes
    ----------
    refuses
        Whether it answers 503.
    requests
        How many handshakes have come.
    """

    def __init__(self) -> None:
        super().__init__()
        self.connections: list[MediaConnection] = []
        self.refuses = False
        self.requests = 0

    async def __aenter__(self) -> MediaPeer:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.uri = f"ws://127.0.0.1:{self._runner.addresses[0][1]}/bot"
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(connection.socket.close() for connection in self.connections))
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.tell()
        if self.refuses:
            return web.Response(status=503)
        socket = web.WebSocketResponse(protocols=("media",), max_msg_size=0, timeout=_CLOSING_S)
        await socket.prepare(request)
        connection = MediaConnection(socket, request.path_qs)
        self.connections.append(connection)
        self.tell()
        await connection.read()
        return socket

    async def connection(self, number: int = 0) -> MediaConnection:
        """Wait for a connection."""
        await self.until(lambda: len(self.connections) > number)
        return self.connections[number]
