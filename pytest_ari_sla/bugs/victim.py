"""An Asterisk, or a simulator, that may be broken: started for one try, asked without mercy, and thrown away."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import aiohttp

from pytest_ari_sla.bugs.split_probe import SplitProbe
from pytest_ari_sla.errors import SlaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_ari_sla.targets.started_target import StartedTarget

__all__ = ["Answer", "Victim"]

APP = "ari-sla-bugs"
REQUEST_S = 10.0
SINK = ("127.0.0.1", 9)  # the discard port: nobody listens, and nobody minds


class Answer(NamedTuple):
    """What ARI answered: HTTP status, and the body (None where there is none); status 0 where nothing came in time."""

    status: int
    body: Any


class Victim:
    """One target, its ARI, and the events of an application there; an asynchronous context manager.

    Parameters
    ----------
    process
        The target, not started yet.
    """

    def __init__(self, process: StartedTarget) -> None:
        self.process = process
        self._stack = AsyncExitStack()
        self._numbers = count(1)
        self._events: list[dict[str, Any]] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        # Before the start: one that fails halfway may leave a process.
        self._stack.push_async_callback(asyncio.to_thread, self.process.stop)
        try:
            await asyncio.to_thread(self.process.start)
            endpoint = self.process.endpoint
            # Nothing waits for anything else here: as many connections as there are requests.
            self._http = await self._stack.enter_async_context(
                aiohttp.ClientSession(
                    headers={"Authorization": endpoint.authorization},
                    connector=aiohttp.TCPConnector(limit=0),
                    timeout=aiohttp.ClientTimeout(total=REQUEST_S),
                )
            )
            websocket = await self._http.ws_connect(
                f"{endpoint.base_url}/events",
                # Also of channels that never reach the application.
                params={"app": APP, "subscribeAll": "true"},
                timeout=aiohttp.ClientWSTimeout(),
            )
            reading = asyncio.create_task(self._read(websocket), name="events of the victim")
            self._stack.callback(reading.cancel)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    async def _read(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in websocket:
            if message.type is aiohttp.WSMsgType.TEXT:
                async with self._news:
                    self._events.append(message.json())
                    self._news.notify_all()

    @property
    def app(self) -> str:
        """The application whose events are read."""
        return APP

    @property
    def http(self) -> aiohttp.ClientSession:
        """For what is not a plain request; ARI's credentials go along."""
        return self._http

    @property
    def has_ended(self) -> str:
        """How its process ended, in words; empty while it runs."""
        try:
            self.process.ensure_alive()
        except SlaError as crash:
            return str(crash).splitlines()[0]
        return ""

    def new_id(self, prefix: str = "bug") -> str:
        """Return an id that no other begins with: all are of one width."""
        return f"{prefix}-{next(self._numbers):06d}."

    async def request(self, method: str, path: str, **params: str) -> Answer:
        """Ask ARI once.

        Returns
        -------
        The answer; status 0 where the connection broke, or nothing came in time.
        """
        url = f"{self.process.endpoint.base_url}{path}"
        try:
            async with (
                asyncio.timeout(REQUEST_S),
                self._http.request(method, url, params=params) as response,
            ):
                return Answer(response.status, await _body(response))
        except (aiohttp.ClientError, TimeoutError):
            return Answer(0, None)

    async def event(self, kind: str, channel: str, timeout_s: float = REQUEST_S) -> dict[str, Any] | None:
        """Return the first event of this kind that names this channel; None where none comes in time."""

        def seen() -> dict[str, Any] | None:
            of_kind = (event for event in self._events if event.get("type") == kind)
            return next((event for event in of_kind if event.get("channel", {}).get("id") == channel), None)

        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(lambda: seen() is not None)
        except TimeoutError:
            return None
        return seen()

    async def external_media(self, channel: str, host: str = "", audio_format: str = "ulaw", **params: str) -> Answer:
        """Ask for an ExternalMedia channel; to the discard port unless told otherwise."""
        return await self.request(
            "POST",
            "/channels/externalMedia",
            app=APP,
            channelId=channel,
            external_host=host or f"{SINK[0]}:{SINK[1]}",
            format=audio_format,
            **params,
        )

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[SplitProbe]:
        """Look for stalls of channel requests while this lasts."""
        async with SplitProbe(self.process.endpoint, time.monotonic_ns) as probe:
            yield probe


async def _body(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    return await response.json(content_type=None) if text else None
