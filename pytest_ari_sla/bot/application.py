"""The bot as an ARI application: takes calls that come in, and joins them with a stream of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import aiohttp

from pytest_ari_sla.bot.conversation import Conversation, Manners
from pytest_ari_sla.bot.echo import Echo
from pytest_ari_sla.bot.media import BotMedia

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pytest_ari_sla.bot.media import BotStream, Talker

__all__ = ["BotCrashed", "BotPlan", "VoiceBot"]


_TRIES = 50


class BotCrashed(Exception):
    """The bot was told to die, and does."""


@dataclass(frozen=True)
class BotPlan:
    """What the bot is to do.

    Attributes
    ----------
    url, user, password
        ARI, up to and with ``/ari``.
    app
        The Stasis application that it is.
    manners
        How it talks.
    hang_up_after_s
        Hang up so long after the answer; None: wait for the caller to do it.
    leaks
        Leave channels and bridges of its own behind.
    crashes_after
        Die with this call, counted from 1; 0: never.
    host
        Where its media ends.
    transport
        What its media travels by: one of `~pytest_ari_sla.bot.media.TRANSPORTS`.
    echoes
        Send back what is heard, instead of talking.
    clips_ns
        How much of the beginning of what callers say an echo swallows.
    """

    url: str
    user: str
    password: str = field(repr=False)
    app: str = "bot"
    manners: Manners = field(default_factory=Manners)
    hang_up_after_s: float | None = None
    leaks: bool = False
    crashes_after: int = 0
    host: str = "127.0.0.1"
    transport: str = "rtp"
    echoes: bool = False
    clips_ns: int = 0


@dataclass
class _Call:
    """One caller, and what is made for it: a channel for our media, a bridge, a stream; and whether that is done."""

    caller: str
    media: str
    bridge: str
    stream: BotStream | None = None
    made: asyncio.Event = field(default_factory=asyncio.Event)


class VoiceBot:
    """Serves its application until it is cancelled, or the connection to Asterisk ends.

    Parameters
    ----------
    plan
        What to do.
    log
        Where it tells what happened, a JSON object a line: ``call`` (the caller's channel), ``what``, ``at_ns``.
    """

    def __init__(self, plan: BotPlan, log: TextIO) -> None:
        self._plan = plan
        self._log = log
        self._media = BotMedia(plan.transport, plan.host, plan.url)
        self._calls: dict[str, _Call] = {}
        self._taken = 0

    async def run(self) -> None:
        """Take calls."""
        token = base64.b64encode(f"{self._plan.user}:{self._plan.password}".encode()).decode()
        async with aiohttp.ClientSession(headers={"Authorization": f"Basic {token}"}) as self._http:
            events_url = f"{self._plan.url}/events?app={self._plan.app}"
            async with self._http.ws_connect(events_url, heartbeat=20) as events, asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                sending = tasks.create_task(self._media.run())
                self._tell("", "subscribed", time.time_ns())
                async for message in events:
                    self._take(json.loads(message.data))
                sending.cancel()

    def _tell(self, call: str, what: str, at_ns: int) -> None:
        self._log.write(json.dumps({"call": call, "what": what, "at_ns": at_ns}) + "\n")
        # The log of a bot that dies must hold what it did before.
        self._log.flush()

    def _take(self, event: dict[str, Any]) -> None:
        channel = event.get("channel", {}).get("id", "")
        match event["type"]:
            case "StasisStart" if not channel.startswith(f"{self._plan.app}-media-"):
                self._tell(channel, f"state {event['channel']['state']}", time.time_ns())
                self._tell(channel, f"caller {event['channel']['caller']['name']}", time.time_ns())
                ours = f"{self._plan.app}-media-{channel}", f"{self._plan.app}-{channel}"
                self._calls[channel] = call = _Call(channel, *ours)
                self._spawn(self._serve(call))
            case "ChannelDtmfReceived" if channel in self._calls:
                stream = self._calls[channel].stream
                if stream is not None and stream.conversation is not None:
                    stream.conversation.press(event["digit"], time.time_ns())
            case "StasisEnd" if channel in self._calls:
                self._spawn(self._end(self._calls.pop(channel)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)

    async def _serve(self, call: _Call) -> None:
        """Answer a caller, and talk to it."""
        plan = self._plan
        self._taken += 1
        if self._taken == plan.crashes_after:
            raise BotCrashed(f"told to die with call {self._taken}")
        try:
            is_answered = await self._answer(call)
        finally:
            call.made.set()
        if is_answered and plan.hang_up_after_s is not None:
            await asyncio.sleep(plan.hang_up_after_s)
            await self._delete(f"/channels/{call.caller}")

    async def _answer(self, call: _Call) -> bool:
        """Make what a caller needs, and answer it; return whether that was possible, which the log tells."""
        plan, channel = self._plan, call.caller
        stream = call.stream = await self._media.open(self._http)
        asked = {"app": plan.app, "channelId": call.media, **stream.asked}
        media = await self._post("/channels/externalMedia", asked)
        bridge = await self._post("/bridges", {"type": "mixing", "bridgeId": call.bridge})
        if media is None or bridge is None:
            return False
        await stream.begin(media)
        await self._post(f"/bridges/{call.bridge}/addChannel", {"channel": f"{channel},{call.media}"})
        self._tell(channel, "answering", time.time_ns())
        await self._post(f"/channels/{channel}/answer", {})
        answered_ns = time.time_ns()
        self._tell(channel, "answered", answered_ns)
        stream.conversation = self._talker(channel, answered_ns)
        return True

    def _talker(self, channel: str, answered_ns: int) -> Talker:
        """Return who talks to a caller."""

        def tell(what: str, at_ns: int) -> None:
            self._tell(channel, what, at_ns)

        plan = self._plan
        return Echo(tell, plan.clips_ns) if plan.echoes else Conversation(plan.manners, answered_ns, tell)

    async def _end(self, call: _Call) -> None:
        """Remove what was made for a caller who has gone, and what is being made."""
        self._tell(call.caller, "gone", time.time_ns())
        await call.made.wait()
        if call.stream is not None:
            self._media.close(call.stream)
        if not self._plan.leaks:
            await self._delete(f"/channels/{call.media}")
            await self._delete(f"/bridges/{call.bridge}")

    async def _post(self, path: str, query: dict[str, str]) -> Any:
        for _ in range(_TRIES):
            async with self._http.post(self._plan.url + path, params=query) as answer:
                if answer.status < 300:
                    return await answer.json() if answer.status == 200 else None
                problem = f"POST {path}: {answer.status} {await answer.text()}"
            # A channel of our own may not have entered the application yet.
            await asyncio.sleep(0.01)
        self._tell("", problem, time.time_ns())
        return None

    async def _delete(self, path: str) -> None:
        """Remove something; what is gone already is as good as removed."""
        async with self._http.delete(self._plan.url + path):
            pass
