"""The bot as an ARI application, without an Asterisk: what it makes and removes, in which order."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp

from pytest_ari_sla.bot.application import BotPlan, VoiceBot

CALLER = {"id": "caller-1", "state": "Ring", "caller": {"name": "c1"}}
MEDIA = {"UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1", "UNICASTRTP_LOCAL_PORT": "9"}


class HeldBot(VoiceBot):
    """Requests are written down, and answered when they are let."""

    def __init__(self) -> None:
        super().__init__(BotPlan("http://127.0.0.1:1/ari", "u", "p"), io.StringIO())
        self.requests: list[str] = []
        self.is_asked = asyncio.Event()
        self.let = asyncio.Event()

    async def _post(self, path: str, query: dict[str, str]) -> Any:
        self.requests.append(f"POST {path}")
        self.is_asked.set()
        await self.let.wait()
        return {"channelvars": MEDIA}

    async def _delete(self, path: str) -> None:
        self.requests.append(f"DELETE {path}")


async def test_a_caller_who_hangs_up_while_it_is_being_served_leaves_nothing_behind() -> None:
    """What is asked for already comes into being, and is removed then."""
    bot = HeldBot()
    async with aiohttp.ClientSession() as bot._http, asyncio.timeout(30), asyncio.TaskGroup() as bot._tasks:
        bot._take({"type": "StasisStart", "channel": CALLER})
        await bot.is_asked.wait()
        bot._take({"type": "StasisEnd", "channel": CALLER})
        bot.let.set()
    assert bot.requests[:2] == ["POST /channels/externalMedia", "POST /bridges"]
    assert bot.requests[-2:] == ["DELETE /channels/bot-media-caller-1", "DELETE /bridges/bot-caller-1"]


async def test_its_own_channels_are_no_callers() -> None:
    """They enter its application as well."""
    bot = HeldBot()
    async with asyncio.TaskGroup() as bot._tasks:
        bot._take({"type": "StasisStart", "channel": {**CALLER, "id": "bot-media-caller-1"}})
    assert bot.requests == []
