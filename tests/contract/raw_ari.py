"""A plain ARI client for tests: no convenience, nothing hidden, everything checked against Asterisk's description."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from tests.contract.api_description import ApiDescription

_PATIENCE_S = 20.0
_QUIET_S = 0.15
_CLOSING_S = 1.0


@dataclass(frozen=True)
class Reply:
    """What ARI answered: ``body`` is parsed JSON, None without a body, text if it is no JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> tuple[int, str]:
        """Status and message of an error."""
        return self.status, self.body["message"]

    @property
    def as_queued(self) -> tuple[int, Any]:
        """Status and body, with the state at first: another thread may have begun before Asterisk writes its answer."""
        has_begun = self.body["state"] in ("playing", "recording")
        return self.status, {**self.body, "state": "queued"} if has_begun else self.body


def tell(event: dict[str, Any]) -> str:
    """Say an event in few words, so that a whole life reads as a list."""
    match event["type"]:
        case "Dial":
            return f"Dial {event['dialstatus']}".strip()
        case "ChannelStateChange":
            return f"ChannelStateChange {event['channel']['state']}"
        case "ChannelVarset" if event["variable"] == "BRIDGEPEER":
            return "ChannelVarset BRIDGEPEER" + ("=…" if event["value"] else "=")
        case "ChannelVarset":
            return f"ChannelVarset {event['variable']}={event['value']}"
        case "ChannelDialplan":
            return f"ChannelDialplan {event['dialplan_app']}"
        case "ChannelHangupRequest":
            return f"ChannelHangupRequest {event.get('cause', '')} {'soft' if event.get('soft') else 'hard'}"
        case "ChannelDestroyed":
            return f"ChannelDestroyed {event['cause']}"
        case "PlaybackStarted" | "PlaybackContinuing" | "PlaybackFinished":
            return f"{event['type']} {event['playback']['state']}"
        case "RecordingStarted" | "RecordingFinished" | "RecordingFailed":
            return f"{event['type']} {event['recording']['state']}"
        case other:
            return str(other)


def subjects(event: dict[str, Any]) -> set[str]:
    """Return the ids that an event is about."""
    things = [event.get(key) for key in ("channel", "peer", "bridge", "playback")]
    targets = [event.get(key, {}).get("target_uri", "") for key in ("playback", "recording")]
    return {thing["id"] for thing in things if thing} | {uri.partition(":")[2] for uri in targets if uri}


@dataclass(eq=False)
class EventLog:
    """The events of one WebSocket, in order of arrival.

    Attributes
    ----------
    events
        What has arrived.
    closed
        The WebSocket's close code, once it is closed.
    """

    socket: aiohttp.ClientWebSocketResponse
    description: ApiDescription
    events: list[dict[str, Any]] = field(default_factory=list)
    closed: int | None = None
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Collect events until the socket closes."""
        async for message in self.socket:
            self.events.append(json.loads(message.data))
            self._arrived.set()
        self.closed = self.socket.close_code
        self._arrived.set()

    async def wait_for(self, kind: str, subject: str = "", count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th event of a type (about a subject) and return it."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            found = [e for e in self.events if e["type"] == kind and (not subject or subject in subjects(e))]
            if len(found) >= count:
                return found[count - 1]
            self._arrived.clear()
            remaining_s = deadline_s - time.monotonic()
            assert remaining_s > 0, f"no {kind} about {subject!r}; got {[tell(event) for event in self.events]}"
            try:
                await asyncio.wait_for(self._arrived.wait(), remaining_s)
            except TimeoutError:
                continue

    async def settle(self) -> list[dict[str, Any]]:
        """Wait until nothing more arrives; check every event against the description; return all."""
        seen = -1
        while seen != len(self.events):
            seen = len(self.events)
            await asyncio.sleep(_QUIET_S)
        for event in self.events:
            self.description.check_event(event)
        return self.events

    async def story(self, subject: str) -> list[str]:
        """Return everything that happened to a channel, bridge or playback, in few words, once all is quiet."""
        return [tell(event) for event in await self.settle() if subject in subjects(event)]

    async def forget(self) -> None:
        """Forget what has happened until now, also what arrives late of it."""
        await self.settle()
        self.events.clear()


class RawAri:
    """Requests and event sockets of one user at one target."""

    def __init__(
        self, session: aiohttp.ClientSession, endpoint: AriEndpoint, description: ApiDescription, major: int
    ) -> None:
        self.session = session
        self.endpoint = endpoint
        self.description = description
        self.major = major
        self.logs: list[EventLog] = []
        self._readers: list[asyncio.Task[None]] = []

    @property
    def base(self) -> str:
        """ARI's address."""
        return self.endpoint.base_url

    async def request(self, method: str, path: str, body: object = None, **parameters: object) -> Reply:
        """Send one request; check the reply against the description."""
        query = {name: str(value) for name, value in parameters.items()}
        async with self.session.request(method, self.base + path, params=query, json=body) as response:
            raw = await response.read()
            reply = Reply(response.status, _parse(raw, response.content_type), response.headers)
        self.description.check_reply(method, path, reply.status, reply.body)
        return reply

    async def get(self, path: str, **parameters: object) -> Reply:
        """GET."""
        return await self.request("GET", path, **parameters)

    async def post(self, path: str, body: object = None, **parameters: object) -> Reply:
        """POST."""
        return await self.request("POST", path, body, **parameters)

    async def put(self, path: str, body: object = None, **parameters: object) -> Reply:
        """PUT."""
        return await self.request("PUT", path, body, **parameters)

    async def delete(self, path: str, **parameters: object) -> Reply:
        """DELETE."""
        return await self.request("DELETE", path, **parameters)

    async def listen(self, apps: str = "contract", **parameters: str) -> EventLog:
        """Open an event WebSocket for one or more applications (with commas between them)."""
        url = self.base + "/events"
        closing = aiohttp.ClientWSTimeout(ws_close=_CLOSING_S)
        socket = await self.session.ws_connect(url, params={"app": apps, **parameters}, timeout=closing)
        log = EventLog(socket, self.description)
        self.logs.append(log)
        self._readers.append(asyncio.create_task(log.read()))
        # Asterisk registers an application after it has answered the handshake.
        await self.until(lambda: self.has_applications(apps.split(",")))
        return log

    async def has_applications(self, names: list[str]) -> bool:
        """Whether all these applications are registered."""
        registered = {application["name"] for application in (await self.get("/applications")).body}
        return registered.issuperset(names)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until an async condition holds."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not await condition():
            assert time.monotonic() < deadline_s, "the condition did not come true"
            await asyncio.sleep(0.01)

    async def external_media(self, channel_id: str, log: EventLog | None = None, **parameters: object) -> Reply:
        """Create an ExternalMedia channel; with a log, wait until it is in Stasis, and forget how it got there."""
        options = {"app": "contract", "external_host": "127.0.0.1:9", "format": "ulaw", **parameters}
        reply = await self.post("/channels/externalMedia", channelId=channel_id, **options)
        assert reply.status == 200, reply.body
        if log:
            await log.wait_for("StasisStart", channel_id)
            await log.forget()
        return reply

    async def hang_up_everything(self) -> None:
        """Delete all channels and bridges and wait until they are gone."""

        async def gone() -> bool:
            left = False
            for kind in ("channels", "bridges"):
                for thing in (await self.get(f"/{kind}")).body:
                    await self.delete(f"/{kind}/{thing['id']}")
                    left = True
            return not left

        await self.until(gone)

    async def close(self) -> None:
        """Close all event sockets."""
        for log in self.logs:
            await log.socket.close()
        await asyncio.gather(*self._readers)


def _parse(raw: bytes, content_type: str) -> Any:
    if not raw:
        return None
    return json.loads(raw) if content_type == "application/json" else raw.decode("utf-8", "replace")
