"""A proxy in front of a real ARI that does to requests and events what a fault says."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Self

import aiohttp
from aiohttp import web

from pytest_ari_sla.ari.endpoint import AriEndpoint

__all__ = ["CUT", "TRUNCATE", "AriProxy", "Fault"]

CUT, TRUNCATE = "cut", "truncate"


class Fault:
    """What goes wrong; by default nothing does. A fault lives for one session.

    Attributes
    ----------
    after_s, act
        What is done to Asterisk itself so long after the first channel was asked for.
    """

    after_s: float | None = None

    def request(self, method: str, path: str) -> web.Response | str | None:
        """Return an answer of our own, `CUT`, `TRUNCATE`, or None to pass the request on."""

    async def pause(self, method: str, path: str) -> None:
        """Wait as long as a request is to be held; ``/events`` before each event."""

    def event(self, event: dict[str, Any]) -> int:
        """Return how many times an event is passed on; -1 cuts the WebSocket instead."""
        return 1

    def passed(self, text: str) -> list[str] | None:
        """Return what is passed on when an event comes; None cuts the WebSocket."""
        times = self.event(json.loads(text))
        return None if times < 0 else [text] * times

    async def act(self, proxy: AriProxy) -> None:
        """Do something to Asterisk in mid-load, past the proxy: see :meth:`AriProxy.upstream`."""


class AriProxy:
    """Runs in a thread of its own while it is entered.

    Attributes
    ----------
    endpoint
        Where it listens.
    created, media
        The channels that Asterisk has made through it, and where each sends its media.
    """

    def __init__(self, target: AriEndpoint, fault: Fault) -> None:
        self._target = target
        self._fault = fault
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ari-proxy", daemon=True)
        self._acting: asyncio.Task[None] | None = None
        self.endpoint = target
        self._streams: list[asyncio.Transport] = []
        self.created: dict[str, None] = {}
        self.media: dict[str, None] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._http = aiohttp.ClientSession(headers={"Authorization": self._target.authorization})
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.endpoint = AriEndpoint(f"http://127.0.0.1:{port}/ari", self._target.user, self._target.password)

    async def _stop(self) -> None:
        if self._acting is not None:
            self._acting.cancel()
        await self._runner.cleanup()
        ours = asyncio.all_tasks() - {asyncio.current_task()}
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        await self._http.close()

    async def upstream(self, method: str, path: str) -> bytes:
        """Send a request past the fault."""
        async with self._http.request(method, self._target.base_url + path) as response:
            return await response.read()

    async def cut_events(self) -> None:
        """Cut the event WebSockets that are open."""
        for transport in self._streams:
            transport.abort()

    async def _act(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._fault.act(self)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/ari")
        if path == "/events":
            return self._abort(request) if self._fault.request("GET", path) == CUT else await self._events(request)
        if path == "/channels/externalMedia" and self._fault.after_s is not None and self._acting is None:
            self._acting = asyncio.create_task(self._act(self._fault.after_s))
        await self._fault.pause(request.method, path)
        answer = self._fault.request(request.method, path)
        if isinstance(answer, web.Response):
            return answer
        if answer == CUT:
            return self._abort(request)
        body = await request.read()
        async with self._http.request(
            request.method, self._target.base_url + path, params=request.query, data=body or None,
            headers={"Content-Type": request.content_type} if body else {},
        ) as response:  # fmt: skip
            said = await response.read()
            if path == "/channels/externalMedia" and response.ok:
                self.created[request.query["channelId"]] = None
                self.media[request.query["external_host"]] = None
            if answer == TRUNCATE:
                return await self._half(request, said)
            return web.Response(status=response.status, body=said, content_type="application/json")

    def _abort(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _half(self, request: web.Request, said: bytes) -> web.StreamResponse:
        """Send half of what was promised, and cut the connection."""
        response = web.StreamResponse(headers={"Content-Length": str(len(said))})
        await response.prepare(request)
        await response.write(said[: len(said) // 2])
        self._abort(request)
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        downstream = web.WebSocketResponse()
        await downstream.prepare(request)
        assert request.transport is not None
        self._streams.append(request.transport)
        async with self._http.ws_connect(self._target.base_url + "/events", params=request.query) as upstream:
            async for message in upstream:
                await self._fault.pause("WEBSOCKET", path="/events")
                passed = self._fault.passed(message.data)
                if passed is None:
                    self._abort(request)
                    break
                try:
                    for text in passed:
                        await downstream.send_str(text)
                except ConnectionError:  # who listened has gone, or was cut off
                    break
        return downstream
