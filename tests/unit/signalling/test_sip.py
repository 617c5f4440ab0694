"""Calls by SIP over a connection that does not last, and to a host that is not there all the time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.codecs.g711 import pcmu
from pytest_ari_sla.errors import CallNotAnswered
from pytest_ari_sla.signalling.sip import SipCaller
from pytest_ari_sla.signalling.sip_account import SipAccount

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.signalling.sip import SipCall

HOST = "127.0.0.1"


class Pbx:
    """Takes INVITEs over TCP, and says nothing; closes its first connections after so many bytes or more."""

    def __init__(self, closes: int) -> None:
        self.heard: list[str] = []
        self.came = asyncio.Event()
        self.serving = 0
        self._closes = closes

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        is_closed = self._closes > 0
        self._closes -= 1
        self.serving += 1
        while text := (await reader.read(65_536)).decode():
            self.heard.append(text.partition(" ")[0])
            self.came.set()
            if is_closed:
                break
        writer.close()
        self.serving -= 1

    async def hears(self) -> None:
        """Wait for something that it has not heard yet."""
        await until(self.came.is_set)
        self.came.clear()


async def invite(caller: SipCaller, port: int) -> SipCall:
    """Begin a call."""
    return await caller.call(f"sip:700@{HOST}:{port};transport=tcp", (HOST, 20_000), pcmu(), 20, changed=lambda: None)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_connection_that_was_closed_is_made_again() -> None:
    """A PBX may close one that is idle: later calls, and the ends of those that are up, need another one."""
    pbx = Pbx(closes=1)
    server = await asyncio.start_server(pbx, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    caller = SipCaller(SipAccount(HOST, None, "", ""))
    try:
        first = await invite(caller, port)
        await pbx.hears()
        await until(lambda: first.agent._stream is None)
        await invite(caller, port)
        await pbx.hears()
    finally:
        await caller.aclose()
        server.close()
        await until(lambda: not pbx.serving)
    assert pbx.heard == ["INVITE", "INVITE"]


async def test_a_host_that_could_not_be_reached_is_tried_again_for_the_next_call() -> None:
    """It may have been restarted meanwhile."""
    pbx = Pbx(closes=0)
    server = await asyncio.start_server(pbx, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    caller = SipCaller(SipAccount(HOST, None, "", ""))
    with pytest.raises(CallNotAnswered, match="cannot be reached"):
        await invite(caller, port)
    server = await asyncio.start_server(pbx, HOST, port, reuse_address=True)
    try:
        await invite(caller, port)
        await pbx.hears()
    finally:
        await caller.aclose()
        server.close()
        await until(lambda: not pbx.serving)
    assert pbx.heard == ["INVITE"]
