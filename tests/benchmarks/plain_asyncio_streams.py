"""The usual way to write it in Python, to compare with: a protocol and a task for each AudioSocket or WebSocket call.

Usage: ``python -m tests.benchmarks.plain_asyncio_streams KIND CALLS SECONDS PORT``. One line of JSON comes out.
AudioSocket is taken apart here; WebSockets are aiohttp's.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FRAME_TIME_S = 0.02
LATE_S = 0.005
PORT_FOR_US = 61_800
STAMP = struct.Struct("=d")


class Calls:
    """All calls, as they connect: each sends in its time, and measures the round trip of what comes back."""

    def __init__(self, frames: int) -> None:
        self.counts: Counter[str] = Counter(late=0, sent=0, received=0)
        self.round_trips_s: list[float] = []
        self.start_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.speaking: list[asyncio.Task[None]] = []
        self._frames = frames

    def begin(self, audio: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Let a call speak, as soon as all are there."""
        self.speaking.append(asyncio.create_task(self._speak(len(self.speaking), audio, send)))

    async def _speak(self, number: int, audio: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        due_s = await asyncio.shield(self.start_s) + number % 20 * 1e-3
        for _ in range(self._frames):
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            self.counts["late"] += loop.time() - due_s > LATE_S
            await send(STAMP.pack(time.time()) + audio)
            self.counts["sent"] += 1
            due_s += FRAME_TIME_S

    def hear(self, frame: bytes) -> None:
        """Take a frame back."""
        self.round_trips_s.append(time.time() - STAMP.unpack_from(frame)[0])
        self.counts["received"] += 1


class AudioSocket(asyncio.Protocol):
    """A connection of AudioSocket: a UUID, then frames."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak."""
        self._transport = cast("asyncio.Transport", transport)
        self._calls.begin(bytes(312), self._send)

    async def _send(self, frame: bytes) -> None:
        self._transport.write(b"\x10" + len(frame).to_bytes(2, "big") + frame)

    def data_received(self, data: bytes) -> None:
        """Take whole messages out of what has come."""
        waiting = self._waiting + data
        while len(waiting) >= 3 and len(waiting) >= (end := 3 + int.from_bytes(waiting[1:3], "big")):
            if waiting[0] == 0x10:
                self._calls.hear(waiting[3:end])
            waiting = waiting[end:]
        self._waiting = waiting


async def serve(kind: str, calls: Calls) -> None:
    """Await connections at our port."""

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("media",), compress=False)
        await ws.prepare(request)
        calls.begin(bytes(152), ws.send_bytes)
        async for message in ws:
            if message.type is WSMsgType.BINARY:
                calls.hear(message.data)
        return ws

    if kind == "audiosocket":
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: AudioSocket(calls), "127.0.0.1", PORT_FOR_US, backlog=4096)
        return
    application = web.Application()
    application.router.add_get("/media", websocket)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT_FOR_US, backlog=4096).start()


async def run(kind: str, count: int, seconds: float, port: int) -> dict[str, float]:
    """Make all calls, and return the figures."""
    calls = Calls(int(seconds / FRAME_TIME_S))
    await serve(kind, calls)
    _, orders = await asyncio.open_connection("127.0.0.1", port)
    target = "/media" if kind == "websocket" else "0" * 32
    orders.write(f"{kind} {PORT_FOR_US} {target}\n".encode() * count + b"\n")
    while len(calls.speaking) < count:
        await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    calls.start_s.set_result(loop.time() + 0.2)
    used_before_s = time.process_time()
    await asyncio.sleep(0.2 + seconds)
    used_s = time.process_time() - used_before_s
    await asyncio.sleep(0.5)
    for speaking in calls.speaking:
        speaking.cancel()
    await asyncio.gather(*calls.speaking, return_exceptions=True)
    orders.close()
    return dict(calls.counts) | {"cpu_us_per_call_second": used_s * 1e6 / count / seconds}


if __name__ == "__main__":
    result = asyncio.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
    sys.stdout.write(json.dumps(result) + "\n")
