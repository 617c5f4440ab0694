"""A small ARI in this process, which misbehaves when a test tells it to."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Interference = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

USER, PASSWORD = "tester", "s3cret"


async def html_404(_: web.Request) -> web.StreamResponse | None:
    """Answer as Asterisk's HTTP server does without ARI."""
    return web.Response(status=404, text="<html><h1>Not Found</h1></html>", content_type="text/html")


async def hang(_: web.Request) -> web.StreamResponse | None:
    """Never answer."""
    await asyncio.Event().wait()
    return None


async def cut(request: web.Request) -> web.StreamResponse | None:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def refusal(status: int, message: str) -> web.Response:
    """Return an error as ARI words it."""
    return web.json_response({"message": message}, status=status)


class FakeAri:
    """An ARI with channels, bridges and an event WebSocket.

    Attributes
    ----------
    channels, bridges
        What exists, by id.
    sections
        What was written by dynamic configuration: attributes and values, by id.
    requests
        Method and path of every request so far, with its query.
    interfere
        Is asked before every request; its answer, if it gives one, is sent instead.
    before_answer
        Is awaited after a channel was made and its events were sent, before the answer goes out.
    starts_channels
        Whether a new channel enters the application at once.
    ends_channels
        Whether a channel that is hung up ends at once, with its events.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.channels: dict[str, dict[str, Any]] = {}
        self.bridges: dict[str, dict[str, Any]] = {}
        self.recordings: set[str] = set()
        self.sections: dict[str, dict[str, str]] = {}
        self.variables = {"UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1", "UNICASTRTP_LOCAL_PORT": "4000"}
        self.shows_channelvars = True
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.interfere: Interference | None = None
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        self.starts_channels = True
        self.ends_channels = True
        self.socket_opened = asyncio.Event()
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """ARI's URL, without credentials."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        application = web.Application(middlewares=[self._gate])
        routes = application.router
        routes.add_get("/ari/events", self._events)
        routes.add_get("/ari/asterisk/info", self._info)
        routes.add_get("/ari/asterisk/ping", self._ping)
        routes.add_get("/ari/applications/{name}", self._application)
        routes.add_get("/ari/channels", self._list_channels)
        routes.add_post("/ari/channels", self._make_channel)
        routes.add_post("/ari/channels/create", self._make_channel)
        routes.add_post("/ari/channels/externalMedia", self._make_channel)
        routes.add_get("/ari/channels/{id}", self._get_channel)
        routes.add_delete("/ari/channels/{id}", self._hang_up)
        routes.add_post("/ari/channels/{id}/snoop/{snoop}", self._make_channel)
        routes.add_post("/ari/channels/{id}/play/{playback}", self._play)
        routes.add_post("/ari/channels/{id}/record", self._record)
        routes.add_get("/ari/channels/{id}/variable", self._variable)
        routes.add_route("*", "/ari/channels/{id}/{verb}", self._verb)
        routes.add_get("/ari/bridges", self._list_bridges)
        routes.add_post("/ari/bridges", self._make_bridge)
        routes.add_get("/ari/bridges/{id}", self._get_bridge)
        routes.add_delete("/ari/bridges/{id}", self._remove_bridge)
        routes.add_post("/ari/bridges/{id}/{verb}", self._verb)
        routes.add_put("/ari/asterisk/config/dynamic/{class}/{type}/{id}", self._write_section)
        routes.add_delete("/ari/asterisk/config/dynamic/{class}/{type}/{id}", self._remove_section)
        routes.add_get("/ari/recordings/stored", self._list_recordings)
        routes.add_delete("/ari/recordings/stored/{id}", self._remove_recording)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut_sockets()
        assert self._runner is not None
        await self._runner.cleanup()

    def seen(self, method: str, path: str) -> int:
        """Return how many such requests came."""
        return sum((method, path) == request[:2] for request in self.requests)

    # --- events ---

    async def tell(self, kind: str, channel_id: str, **members: Any) -> None:
        """Send an event about a channel."""
        channel = self.channels.get(channel_id, {"id": channel_id})
        await self.send({"type": kind, "timestamp": "2026-11-22T13:57:05.760+0000", "channel": channel, **members})

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event to every open WebSocket."""
        for socket in self.sockets:
            if not socket.closed:
                await socket.send_json(event)

    def cut_sockets(self) -> None:
        """Cut the WebSockets off without a closing handshake, as Asterisk does to a slow reader."""
        for socket in self.sockets:
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        self.sockets.clear()

    # --- requests ---

    @web.middleware
    async def _gate(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append((request.method, request.path, dict(request.query)))
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return refusal(401, "Authentication required")
        if self.interfere is not None:
            answer = await self.interfere(request)
            if answer is not None:
                return answer
        return await handler(request)

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        self.socket_opened.set()
        async for _ in socket:
            pass
        return socket

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"system": {"version": "22.0.0", "entity_id": "00:00"}})

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({"ping": "pong"})

    async def _application(self, request: web.Request) -> web.Response:
        return web.json_response({"name": request.match_info["name"], "channel_ids": list(self.channels)})

    async def _write_section(self, request: web.Request) -> web.Response:
        fields = (await request.json())["fields"]
        self.sections[request.match_info["id"]] = {field["attribute"]: field["value"] for field in fields}
        return web.json_response(fields)

    async def _remove_section(self, request: web.Request) -> web.Response:
        if self.sections.pop(request.match_info["id"], None) is None:
            return refusal(404, f"Object with id '{request.match_info['id']}' not found")
        return web.Response(status=204)

    async def _list_channels(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.channels.values()))

    async def _make_channel(self, request: web.Request) -> web.Response:
        identity = request.match_info.get("snoop") or request.query["channelId"]
        channel: dict[str, Any] = {"id": identity, "name": "UnicastRTP/x", "state": "Down"}
        self.channels[identity] = channel
        if self.shows_channelvars and request.path.endswith("externalMedia"):
            channel["channelvars"] = self.variables
        await self.tell("ChannelVarset", identity, variable="STASISSTATUS", value="")
        if self.starts_channels:
            await self.start(identity)
        if self.before_answer is not None:
            await self.before_answer()
        return web.json_response(channel)

    async def start(self, identity: str) -> None:
        """Let a channel enter the application."""
        self.channels[identity] |= {"state": "Up", "dialplan": {"app_name": "Stasis", "app_data": "app"}}
        await self.tell("StasisStart", identity, args=[])

    async def end(self, identity: str) -> None:
        """End a channel."""
        await self.tell("StasisEnd", identity)
        await self.tell("ChannelDestroyed", identity, cause=16, cause_txt="Normal Clearing")
        del self.channels[identity]

    async def _get_channel(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["id"])
        return refusal(404, "Channel not found") if channel is None else web.json_response(channel)

    async def _hang_up(self, request: web.Request) -> web.Response:
        identity = request.match_info["id"]
        if identity not in self.channels:
            return refusal(404, "Channel not found")
        if self.ends_channels:
            await self.end(identity)
        return web.Response(status=204)

    async def _variable(self, request: web.Request) -> web.Response:
        value = self.variables.get(request.query["variable"])
        return refusal(404, "Variable not found") if value is None else web.json_response({"value": value})

    async def _play(self, request: web.Request) -> web.Response:
        identity = request.match_info["playback"]
        return web.json_response({"id": identity, "media_uri": request.query["media"], "state": "queued"}, status=201)

    async def _record(self, request: web.Request) -> web.Response:
        self.recordings.add(request.query["name"])
        return web.json_response({"name": request.query["name"], "state": "queued"}, status=201)

    async def _verb(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _list_bridges(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.bridges.values()))

    async def _make_bridge(self, request: web.Request) -> web.Response:
        bridge = {"id": request.query["bridgeId"], "bridge_type": request.query["type"]}
        self.bridges[bridge["id"]] = bridge
        return web.json_response(bridge)

    async def _get_bridge(self, request: web.Request) -> web.Response:
        return web.json_response(self.bridges[request.match_info["id"]])

    async def _remove_bridge(self, request: web.Request) -> web.Response:
        existed = self.bridges.pop(request.match_info["id"], None)
        return refusal(404, "Bridge not found") if existed is None else web.Response(status=204)

    async def _list_recordings(self, _: web.Request) -> web.Response:
        return web.json_response([{"name": name, "format": "wav"} for name in self.recordings])

    async def _remove_recording(self, request: web.Request) -> web.Response:
        self.recordings.discard(request.match_info["id"])
        return web.Response(status=204)
