"""Media servers that misbehave in one way each, for Asterisk to connect to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["BadPeer", "half_header", "never_answers", "never_sends", "slow_header", "whole_header"]

HEADER = b"\x10\x01\x40"  # AudioSocket: slin at 8 kHz, 320 bytes (20 ms)
SILENCE = bytes(320)
FRAME_S = 0.02
PIECE_S = 0.003
BRIDGED_S = 1.5


class BadPeer:
    """A TCP server on loopback; an asynchronous context manager.

    Parameters
    ----------
    behaviour
        What it does with each connection; when that returns, the connection is closed.

    Attributes
    ----------
    address
        ``host:port``.
    """

    def __init__(self, behaviour: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self._behaviour = behaviour
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        self.hang_up()
        if self._connections:
            await asyncio.wait(self._connections)

    def hang_up(self) -> None:
        """Close all connections."""
        for task in self._connections:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):  # both are how calls end here
                await self._behaviour(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()


async def never_sends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read all, and say nothing."""
    while await reader.read(4096):
        pass


async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the connection and do nothing with it."""
    await asyncio.Event().wait()


async def half_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send two of the three bytes of an AudioSocket header when the call is surely in its bridge, never the third."""
    await asyncio.sleep(BRIDGED_S)
    writer.write(HEADER[:2])
    await writer.drain()
    await never_sends(reader, writer)


async def whole_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send frames as one should: header and payload in one piece."""
    await _send_frames(reader, writer, [HEADER + SILENCE])


async def slow_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send frames whose header comes in three pieces, 3 ms apart; the last with the payload.

    Asterisk waits for a header as long as it takes, and hangs up where the payload comes 5 ms later.
    """
    await _send_frames(reader, writer, [HEADER[:1], HEADER[1:2], HEADER[2:] + SILENCE])


async def _send_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[bytes]) -> None:
    reading = asyncio.create_task(never_sends(reader, writer))
    try:
        while not reading.done():
            for piece in pieces[:-1]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(PIECE_S)
            writer.write(pieces[-1])
            await asyncio.sleep(FRAME_S - PIECE_S * (len(pieces) - 1))
    finally:
        reading.cancel()
