"""Connections to the peers of media over TCP, made as Asterisk makes them; who moves their media is told afterwards."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_ari_sla.framing.upgrade import HeadReader, UpgradeReply, UpgradeRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["connect_audiosocket", "connect_websocket"]

_AUDIOSOCKET_TIMEOUT_S = 2.0
_READ_BYTES = 65_536


async def connect_audiosocket(remote: tuple[str, int]) -> socket.socket | None:
    """Return a connection; None where none comes up within two seconds."""
    try:
        async with asyncio.timeout(_AUDIOSOCKET_TIMEOUT_S):
            return await _connect(*remote)
    except OSError:  # TimeoutError too
        return None


async def connect_websocket(uri: str, section: Mapping[str, str]) -> tuple[socket.socket, bytes] | None:
    """Return a WebSocket after its handshake, and what followed that; None where no attempt succeeds.

    Parameters
    ----------
    uri
        ``ws://host:port/path``.
    section
        Of websocket_client.conf: how often to try, for how long, and after which pause.
    """
    timeout_s, pause_s = int(section["connection_timeout"]) / 1000, int(section["reconnect_interval"]) / 1000
    for attempt in range(int(section["reconnect_attempts"])):
        await asyncio.sleep(pause_s if attempt else 0)
        try:
            return await _shake_hands(uri, section["protocols"], timeout_s)
        except OSError:
            continue
    return None


async def _connect(host: str, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (host, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _shake_hands(uri: str, protocols: str, timeout_s: float) -> tuple[socket.socket, bytes]:
    """Connect and ask for a WebSocket; the time-out is for connecting, as Asterisk's."""
    parts = urlsplit(uri)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    offered = tuple(filter(None, map(str.strip, protocols.split(","))))
    request = UpgradeRequest(target, host=parts.netloc, protocols=offered)
    async with asyncio.timeout(timeout_s):
        connection = await _connect(parts.hostname or "", parts.port or 80)
    try:
        # Without a limit: 22.10.1 waits for the answer as long as the peer stays (asterisk#1979).
        head, received = await _exchange(connection, request.render())
        if fault := UpgradeReply.parse(head).fault(request):
            raise ConnectionError(fault)
    except BaseException:
        connection.close()
        raise
    return connection, received


async def _exchange(connection: socket.socket, request: bytes) -> tuple[bytes, bytes]:
    loop, reader = asyncio.get_running_loop(), HeadReader()
    await loop.sock_sendall(connection, request)
    while data := await loop.sock_recv(connection, _READ_BYTES):
        if (found := reader.feed(data)) is not None:
            return found
        if reader.fault:
            raise ConnectionError(reader.fault)
    raise ConnectionError("the server closed the connection")
