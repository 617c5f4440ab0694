"""Asterisks for stream media: they connect, or are connected to, and send every frame back; written with aiohttp."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp
from aiohttp import web

from pytest_ari_sla.ari.endpoint import AriEndpoint
from pytest_ari_sla.ari.resources import Channel, ExternalMedia
from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.codecs.l16 import l16_narrowband
from pytest_ari_sla.codecs.speech import frames
from pytest_ari_sla.hookspecs.codec import Voice
from pytest_ari_sla.media.call_media import CallMedia, MediaPlan
from pytest_ari_sla.media.caller_worker import CallerWorker
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.stream_media.transport import StreamEndpoint
from pytest_ari_sla.udp.port_leases import PortManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.media.measuring.measurer import LegReport

__all__ = ["OtherSide", "caller_on", "finish", "plan_for"]

CODECS: dict[str, Callable[[], Codec]] = {"audiosocket": l16_narrowband, "websocket": pcmu, "websocket-server": pcmu}


@dataclass
class OtherSide:
    """Plays Asterisk for one transport.

    Attributes
    ----------
    transport
        Its name.
    echoes
        Whether frames go back.
    texts
        What was said beside the media.
    answer
        What is said to a text; empty for nothing.
    base_url
        Of the ARI that has the WebSockets, while :meth:`serving` is entered.
    listens_at, is_called
        Its address, and what its URL calls it where that is not the same.
    asked_for
        The Host of each request for a WebSocket.
    """

    transport: str
    echoes: bool = True
    texts: list[str] = field(default_factory=list)
    answer: Callable[[str], str] = lambda text: ""
    base_url: str = "http://127.0.0.1:9/ari"
    listens_at: str = "127.0.0.1"
    is_called: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    connected: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[OtherSide]:
        """Be there, until the end."""
        application = web.Application()
        application.router.add_get("/media/{id}", self._take)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, self.listens_at, 0).start()
        self.base_url = f"http://{self.is_called or self.listens_at}:{runner.addresses[0][1]}/ari"
        try:
            yield self
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await asyncio.sleep(0)  # lets closed connections go
            for ws in self.connected:
                await ws.close()
            for session in self.sessions:
                await session.close()
            await runner.cleanup()

    async def meet(self, endpoint: StreamEndpoint) -> ExternalMedia:
        """Do what Asterisk does for an offer, and return what it answers."""
        offer = endpoint.offer
        if self.transport == "audiosocket":
            host, _, port = offer.external_host.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"\x01\x00\x10" + UUID(offer.data).bytes)
            self._begin(self._echo_stream(reader, writer))
        elif self.transport == "websocket":
            assert offer.transport_data is not None
            query = offer.transport_data.removeprefix("v(").removesuffix(")")
            session = aiohttp.ClientSession()
            self.sessions.append(session)
            # Who was told to stop does not answer a farewell.
            at_once = aiohttp.ClientWSTimeout(ws_close=0.1)
            ws = await session.ws_connect(f"{offer.websocket_uri}?{query}", protocols=("media",), timeout=at_once)
            self.connected.append(ws)
            assert ws.protocol == "media"
            self._begin(self._converse(ws))
        return ExternalMedia(Channel("c", channelvars={"MEDIA_WEBSOCKET_CONNECTION_ID": f"id-{endpoint.leg}"}), ("", 0))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(asyncio.create_task(work))

    async def _echo_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                if self.echoes:
                    writer.write(data)
        finally:
            writer.close()

    async def _take(self, request: web.Request) -> web.WebSocketResponse:
        self.asked_for.append(request.headers["Host"])
        ws = web.WebSocketResponse(protocols=("media",))
        await ws.prepare(request)
        await self._converse(ws)
        return ws

    async def _converse(self, ws: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str("MEDIA_START connection_id:media channel:WebSocket/media/0x1 format:ulaw")
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.texts.append(message.data)
                answer = self.answer(message.data)
                if answer:
                    await ws.send_str(answer)
            elif self.echoes:
                await ws.send_bytes(message.data)


def plan_for(transport: str, calls: int, ari: AriEndpoint | None = None) -> MediaPlan:
    """Return a plan of so many calls, of one echoed leg each."""
    codec = CODECS[transport]()
    return MediaPlan(calls, CallMedia((0,), (Voice(codec, frames(codec, 20)),)), 20, ari=ari)


@asynccontextmanager
async def caller_on(far: OtherSide, calls: int) -> AsyncIterator[CallerWorker]:
    """Run a caller with all built-in trackers, whose media goes to this peer."""
    registry = builtin_registry()
    plan = plan_for(far.transport, calls, AriEndpoint(far.base_url))
    with PortManager(host="127.0.0.1") as ports:
        site = MediaSite("127.0.0.1", ports)
        media = registry.transport(far.transport)
        async with CallerWorker(plan, media, site, registry.trackers.values()) as caller:
            yield caller


async def establish(far: OtherSide, caller: CallerWorker) -> tuple[StreamEndpoint, object]:
    """Set a call of one leg up."""
    endpoint = caller.take_call()[0]
    assert isinstance(endpoint, StreamEndpoint)
    return endpoint, caller.remote_of(endpoint, await far.meet(endpoint))


async def finish(caller: CallerWorker, endpoints: Iterable[StreamEndpoint], frames_sent: int) -> list[LegReport]:
    """Wait until all frames have had their turn, and have come back; return the legs' reports."""
    legs = list(endpoints)
    async with asyncio.timeout(60):
        while not caller.have_ended(legs, frames_sent):
            await asyncio.sleep(0.02)
        for leg in legs:
            await caller.stop_leg(leg)
        while caller.outstanding(legs):
            await asyncio.sleep(0.02)
    return [report for leg in legs for report in await caller.retire_legs([leg])]


def connect_to(offer_host: str) -> socket.socket:
    """Connect to where an AudioSocket offer says."""
    host, _, port = offer_host.rpartition(":")
    return socket.create_connection((host, int(port)))
