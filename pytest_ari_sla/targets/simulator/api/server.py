"""HTTP and WebSockets in front of the simulated PBX: who may ask, what was asked, and when time goes on."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.framing.upgrade import MEDIA_PROTOCOL, UpgradeReply, UpgradeRequest
from pytest_ari_sla.targets.simulator.api.description import ApiDocs
from pytest_ari_sla.targets.simulator.api.event_socket import EventSocket
from pytest_ari_sla.targets.simulator.api.routes import EVENTS_PATH, ROUTES, answer, check_slash
from pytest_ari_sla.targets.simulator.faults import FAULTS_PATH, Dice, Faults
from pytest_ari_sla.targets.simulator.media.peers import connect_audiosocket, connect_websocket
from pytest_ari_sla.targets.simulator.pbx.reply import NO_CONTENT, Refused, Reply
from pytest_ari_sla.targets.simulator.pbx.state import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.targets.simulator.pbx.pbx import Pbx
    from pytest_ari_sla.targets.simulator.pbx.resources import Channel

__all__ = ["SimulatorServer"]

_ARI = "/ari"
_MEDIA = "/media/"
_API_DOCS = "/api-docs/"
_HEADERS = {"Server": f"Asterisk/{VERSION}", "Cache-Control": "no-cache, no-store"}
# EX_SOFTWARE of sysexits.h: "internal software error".
_CRASH_STATUS = 70


class SimulatorServer:
    """Serves one simulated PBX.

    Parameters
    ----------
    pbx
        What is served.
    user, password
        Who may use it.
    faults
        What goes wrong from the beginning.
    on_faults
        Called with the faults whenever they change.
    """

    def __init__(
        self,
        pbx: Pbx,
        user: str,
        password: str,
        faults: Faults | None = None,
        on_faults: Callable[[Faults], None] = lambda faults: None,
    ) -> None:
        self._pbx = pbx
        self._credentials = f"{user}:{password}"
        self._docs = ApiDocs(ROUTES)
        self._dice = Dice(faults or Faults())
        self._on_faults = on_faults
        self._sockets: dict[int, EventSocket] = {}
        self._dialling: set[asyncio.Task[None]] = set()
        self._taken: dict[str, asyncio.Future[None]] = {}
        self._started_ns = time.monotonic_ns()
        self._wake: asyncio.TimerHandle | None = None
        self._crash: asyncio.TimerHandle | None = None

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application()
        application.router.add_route("*", FAULTS_PATH, self._serve_faults)
        application.router.add_route("*", _ARI + "{path:.*}", self._serve_ari)
        application.router.add_get(_MEDIA + "{id}", self._serve_media)
        application.on_startup.append(self._start)
        application.on_shutdown.append(self._stop)
        return application

    async def _start(self, application: web.Application) -> None:
        del application
        self._apply_faults(self._dice.faults)

    async def _stop(self, application: web.Application) -> None:
        del application
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*(line.close() for line in self._sockets.values()))

    # Requests

    async def _serve_ari(self, request: web.Request) -> web.StreamResponse:
        if not self._may_use(request):
            return _unauthorised()
        if request.match_info["path"] == EVENTS_PATH:
            events = web.WebSocketResponse(protocols=("ari",))
            if events.can_prepare(request).ok:
                return await self._serve_events(request, events)
        faults = self._dice.faults
        if self._dice.hits("slow_request_ratio"):
            await asyncio.sleep(faults.slow_request_s)
        if self._dice.hits("failed_request_ratio"):
            return _response(Reply(faults.failed_request_status, {"message": "A fault of the simulator"}))
        return _response(await self._answer(request))

    async def _answer(self, request: web.Request) -> Reply:
        path = request.match_info["path"]
        query: dict[str, str] = dict(request.query)
        body: dict[str, Any] = {}
        if request.can_read_body:
            try:
                body = await _body(request, query)
            except ValueError:
                return Reply(400, {"message": "Error parsing request body"})
        if path.startswith(_API_DOCS):
            return self._document(path, request)
        reply = self.handle(request.method, path, query, body)
        if (connecting := reply.connecting) is not None:
            # Asterisk connects inside the request (res_audiosocket.c), so the answer waits for it.
            connection = await connect_audiosocket(connecting.remote)
            return self._act(partial(connecting.then, connection))
        return reply

    def handle(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Reply:
        """Carry out a request at the present moment, and send what it leads to."""
        # ``/channels/ID`` itself, not what lies below it.
        stuck = method == "DELETE" and path.count("/") == 2 and path.startswith("/channels/")
        if stuck and self._dice.hits("stuck_channel_ratio"):
            return NO_CONTENT
        return self._act(partial(answer, self._pbx, method, path, query, body))

    def _act(self, action: Callable[[], Reply]) -> Reply:
        """Do something at the present moment, and send what it leads to."""
        self._advance()
        try:
            return action()
        except Refused as refused:
            return refused.reply
        finally:
            self._deliver()

    def _document(self, path: str, request: web.Request) -> Reply:
        if request.method != "GET":
            return Reply(405, {"message": "Unsupported method"})
        try:
            check_slash(path)
            name = path.removeprefix(_API_DOCS)
            return Reply(body=self._docs.document(name, f"{request.scheme}://{request.host}{_ARI}"))
        except Refused as refused:
            return refused.reply

    def _may_use(self, request: web.Request) -> bool:
        # As res_ari.c: the parameter counts only where the header says nothing.
        given = _basic(request.headers.get("Authorization", "")) or request.query.get("api_key", "")
        return hmac.compare_digest(given.encode(), self._credentials.encode())

    # Events

    async def _serve_events(self, request: web.Request, events: web.WebSocketResponse) -> web.StreamResponse:
        names = [name for name in request.query.get("app", "").split(",") if name]
        if not names:
            return web.Response(status=400, headers=_HEADERS, text="HTTP request is missing param: [app]")
        await events.prepare(request)
        transport = request.transport
        line = EventSocket(events, self._dice, lambda: None if transport is None else transport.abort())
        await self._listen(line, names, subscribe_all=request.query.get("subscribeAll", "").lower() == "true")
        return events

    async def _listen(self, line: EventSocket, names: list[str], *, subscribe_all: bool) -> None:
        connection = self._pbx.state.number()
        self._sockets[connection] = line
        self._advance()
        self._pbx.state.connect(names, connection, subscribe_all=subscribe_all)
        self._deliver()
        try:
            await line.serve()
        finally:
            del self._sockets[connection]
            self._pbx.state.disconnect(connection)

    # Media over TCP

    def hear_media(self, word: str, channel_id: str) -> None:
        """Take what the media plane tells of a channel."""
        self._advance()
        self._pbx.streams.hear(word, channel_id)
        self._deliver()

    async def _serve_media(self, request: web.Request) -> web.StreamResponse:
        """Take a WebSocket that a channel awaits: the handshake is ours, what follows is the media plane's."""
        try:
            channel = self._pbx.streams.awaited(request.match_info["id"])
        except Refused as refused:
            return _response(refused.reply)
        upgrade, transport = _upgrade_request(request), request.transport
        if upgrade is None or transport is None:
            return _response(Reply(426, {"message": "Upgrade Required"}))
        # What comes from now on must stay in the kernel, for the media process to read.
        transport.pause_reading()
        transport.write(UpgradeReply.to(upgrade).render())
        # A descriptor of its own: aiohttp closes the other one with the transport.
        connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        gone = self._taken[channel.id] = asyncio.get_running_loop().create_future()
        self._advance()
        self._pbx.streams.connected(channel, connection, b"")
        self._deliver()
        try:
            await gone
        finally:
            self._taken.pop(channel.id, None)
            transport.abort()
        return web.Response()

    async def _dial(self, channel: Channel) -> None:
        """Connect to a channel's peer."""
        if (peer := channel.peer) is None:
            return
        section = self._pbx.state.websocket_clients.get(peer.id)
        made = await connect_websocket(peer.uri, section) if section else None
        self._advance()
        if made is None:
            self._pbx.streams.failed(channel)
        else:
            self._pbx.streams.connected(channel, *made)
        self._deliver()

    # Time

    def _advance(self) -> None:
        """Let the PBX's time be the present."""
        self._pbx.state.scheduler.advance(time.monotonic_ns() - self._started_ns)

    def _deliver(self) -> None:
        """Hand out events, and come back when the PBX has something to do."""
        for connection, event in self._pbx.state.take_events():
            if line := self._sockets.get(connection):
                line.put(event)
        for channel_id, gone in self._taken.items():
            if self._pbx.state.find_channel(channel_id) is None and not gone.done():
                gone.set_result(None)
        for channel in self._pbx.state.take_dials():
            task = asyncio.create_task(self._dial(channel))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
        if self._wake:
            # Set anew each time: what was just done may have added an earlier step.
            self._wake.cancel()
            self._wake = None
        due_ns = self._pbx.state.scheduler.next_due_ns()
        if due_ns is not None:
            delay_s = (due_ns + self._started_ns - time.monotonic_ns()) / 1e9
            self._wake = asyncio.get_running_loop().call_later(max(delay_s, 0.0), self._tick)

    def _tick(self) -> None:
        self._advance()
        self._deliver()

    # Faults

    async def _serve_faults(self, request: web.Request) -> web.StreamResponse:
        if not self._may_use(request):
            return _unauthorised()
        try:
            match request.method:
                case "GET":
                    pass
                case "PUT":
                    self._apply_faults(self._dice.faults.with_values(await request.json()))
                case "DELETE":
                    self._apply_faults(Faults())
                case _:
                    return _response(Reply(405, {"message": "Invalid method"}))
        except (UsageError, ValueError) as error:
            return _response(Reply(400, {"message": str(error)}))
        return _response(Reply(body=self._dice.faults.describe()))

    def _apply_faults(self, faults: Faults) -> None:
        """Let faults take effect; event sockets that are open keep the dice and so meet the new faults too."""
        if faults.seed != self._dice.faults.seed:
            self._dice.reseed()
        self._dice.faults = faults
        self._on_faults(faults)
        if self._crash:
            self._crash.cancel()
            self._crash = None
        if faults.crash_after_s:
            loop = asyncio.get_running_loop()
            # Not by an exception: a crash closes nothing and says nothing.
            self._crash = loop.call_later(faults.crash_after_s, os._exit, _CRASH_STATUS)


def _response(reply: Reply) -> web.Response:
    headers = {**_HEADERS, **reply.headers}
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    if isinstance(reply.body, bytes):
        return web.Response(status=reply.status, headers=headers, body=reply.body)
    text = json.dumps(reply.body, separators=(",", ":"))
    return web.Response(status=reply.status, headers=headers, text=text, content_type="application/json")


def _unauthorised() -> web.Response:
    refusal = {"WWW-Authenticate": 'Basic realm="Asterisk REST Interface"'}
    return _response(Reply(401, {"message": "Authentication required"}, refusal))


def _upgrade_request(request: web.Request) -> UpgradeRequest | None:
    """Return the handshake that a request is; None where it is none for media."""
    key, offered = request.headers.get("Sec-WebSocket-Key"), request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = tuple(word.strip() for word in offered.split(","))
    if not key or MEDIA_PROTOCOL not in protocols:
        return None
    return UpgradeRequest(request.path_qs, key, request.host, protocols)


def _basic(header: str) -> str:
    """Return ``user:password`` of an Authorization header; empty if there is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def _body(request: web.Request, query: dict[str, str]) -> dict[str, Any]:
    """Return the JSON body; a form goes into the query instead."""
    if request.content_type == "application/json":
        parsed = await request.json()
        return parsed if isinstance(parsed, dict) else {}
    for name, value in (await request.post()).items():
        query.setdefault(name, str(value))
    return {}
