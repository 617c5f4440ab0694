"""A voice menu with ``aioari``: greets, answers what it hears and the keys it is told of, and can be interrupted.

It knows nothing of who calls it. What it sees is printed, a line each.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

import aioari
from aiohttp.web import HTTPNotFound

TALKING = "200,128"
"""After so many ms of silence somebody has finished; so loud is speech."""


class Menu:
    """One caller, to whom a recording is played."""

    def __init__(self, channel: Any, sound: str) -> None:
        self._channel = channel
        self._sound = sound
        self._playback: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def take(self) -> None:
        """Answer, and greet."""
        await self._channel.setChannelVar(variable="TALK_DETECT(set)", value=TALKING)
        await self._channel.answer()
        await self.say()

    async def say(self) -> None:
        """Say it, from its beginning."""
        # Two keys at once would start two playbacks otherwise, of which only one could be stopped.
        async with self._one_at_a_time:
            await self._stop()
            self._playback = await self._channel.play(media=f"sound:{self._sound}")

    async def stop(self) -> None:
        """Do not go on."""
        async with self._one_at_a_time:
            await self._stop()

    async def _stop(self) -> None:
        if self._playback is not None:
            playback, self._playback = self._playback, None
            with suppress(HTTPNotFound):  # it may have come to its end meanwhile
                await playback.stop()

    def has_said(self, playback: str) -> None:
        """Take note that it has been heard to its end."""
        if self._playback is not None and self._playback.id == playback:
            self._playback = None


async def main(url: str, user: str, password: str, sound: str) -> None:
    """Serve one caller after the other, until the process is ended."""
    client = await aioari.connect(url.removesuffix("ari"), user, password)
    menus: dict[str, Menu] = {}

    async def started(objects: dict[str, Any], event: dict[str, Any]) -> None:
        print("StasisStart", event["channel"]["state"], flush=True)
        menu = menus[event["channel"]["id"]] = Menu(objects["channel"], sound)
        await menu.take()

    async def talking(objects: object, event: dict[str, Any]) -> None:
        await menus[event["channel"]["id"]].stop()

    async def finished(objects: object, event: dict[str, Any]) -> None:
        await menus[event["channel"]["id"]].say()

    async def key(objects: object, event: dict[str, Any]) -> None:
        print("key", event["digit"], flush=True)
        await menus[event["channel"]["id"]].say()

    def said(event: dict[str, Any]) -> None:
        for menu in menus.values():
            menu.has_said(event["playback"]["id"])

    client.on_channel_event("StasisStart", started)
    client.on_channel_event("ChannelTalkingStarted", talking)
    client.on_channel_event("ChannelTalkingFinished", finished)
    client.on_channel_event("ChannelDtmfReceived", key)
    client.on_channel_event("StasisEnd", lambda objects, event: menus.pop(event["channel"]["id"], None))
    client.on_event("PlaybackFinished", said)
    listening = asyncio.create_task(client.run(apps="menu"))
    while not client.websockets:
        await asyncio.sleep(0.01)
    print("subscribed", flush=True)
    await listening


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
