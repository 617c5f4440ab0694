"""Peers that are odd, and no fault of Asterisk's: what looks for stalls and crashes must stay silent about them."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_ari_sla.ari.websocket_client import WEBSOCKET_CLIENT, WebSocketClientSection
from pytest_ari_sla.bugs.bad_peers import BadPeer
from pytest_ari_sla.bugs.victim import Victim
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

WATCHED_S, LASTING_S = 1.0, 3.0
IN_THE_CALL_S = 0.5
FRAME_S = 0.02

AUDIO, UNKNOWN, DIGIT = 0x10, 0x77, 0x03
MESSAGES = [(AUDIO, bytes(319)), (AUDIO, b""), (UNKNOWN, b"abc"), (DIGIT, b"#"), (UNKNOWN, b""), (AUDIO, bytes(1))]
"""Odd ones, those of no length, and those of a kind that Asterisk does not know (res_audiosocket.c)."""


async def closes_at_once(reader: StreamReader, writer: StreamWriter) -> None:
    """Take the connection, and close it."""


async def resets(reader: StreamReader, writer: StreamWriter) -> None:
    """End the call with a TCP RST."""
    await asyncio.sleep(IN_THE_CALL_S)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def speaks_oddly(reader: StreamReader, writer: StreamWriter) -> None:
    """Send what is allowed and of no use."""
    while True:
        for kind, payload in MESSAGES:
            writer.write(struct.pack("!BH", kind, len(payload)) + payload)
            await asyncio.sleep(FRAME_S)


async def bridged(pbx: Victim, peer: BadPeer) -> None:
    """Have an AudioSocket call to a peer, bridged with an RTP channel where it lasts so long."""
    bridge, caller, channel = pbx.new_id("bridge"), pbx.new_id(), pbx.new_id()
    await pbx.external_media(
        channel, peer.address, "slin", transport="tcp", encapsulation="audiosocket", data=str(uuid4())
    )
    await pbx.external_media(caller)
    await pbx.event("StasisStart", caller)
    await pbx.request("POST", f"/bridges/{bridge}", type="mixing")
    await pbx.request("POST", f"/bridges/{bridge}/addChannel", channel=f"{channel},{caller}")


async def websocket_to(pbx: Victim, peer: BadPeer) -> None:
    """Let Asterisk connect to a WebSocket server that there is none at."""
    section = WebSocketClientSection("control", f"ws://{peer.address}/media")
    path = WEBSOCKET_CLIENT.format(id=section.name)
    async with pbx.http.put(pbx.process.endpoint.base_url + path, json=section.body()) as written:
        assert written.ok
    await pbx.external_media(pbx.new_id(), section.name, transport="websocket", encapsulation="none")


async def websocket_that_nobody_takes(pbx: Victim) -> None:
    """Have a channel for a WebSocket client that never comes."""
    made = await pbx.external_media(
        pbx.new_id(), "INCOMING", transport="websocket", encapsulation="none", connection_type="server"
    )
    assert made.status == 200


async def test_odd_peers_are_no_stall_and_no_crash() -> None:
    """All of them at the same time; Asterisk goes on to answer, and to take calls."""
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(Victim(PrivateAsterisk(provisioned_folder("22"))))
        peers = [await stack.enter_async_context(BadPeer(what)) for what in (closes_at_once, resets, speaks_oddly)]
        watch = await stack.enter_async_context(pbx.watch())
        await websocket_that_nobody_takes(pbx)
        await asyncio.gather(*(bridged(pbx, peer) for peer in peers for _ in range(3)), websocket_to(pbx, peers[0]))
        stall = await watch.stalled(within_s=WATCHED_S, at_least_s=LASTING_S)
        assert stall is None, stall.words()
        assert pbx.has_ended == ""
        assert (await pbx.external_media(pbx.new_id())).status == 200
