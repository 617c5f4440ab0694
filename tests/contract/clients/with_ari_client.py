"""Two calls in a bridge with ``ari-client`` (httpx, websockets, pydantic)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from urllib.parse import urlsplit

from ari_client import AriClient


async def main(url: str, user: str, password: str) -> None:
    """Bridge two calls and print the events seen."""
    address = urlsplit(url)
    client = AriClient(address.hostname or "", address.port or 80, user, password)
    started: asyncio.Queue[str] = asyncio.Queue()
    entered: asyncio.Queue[str] = asyncio.Queue()

    @client.on_stasis_start
    async def on_start(event: Any) -> None:
        started.put_nowait(event.channel.id)

    @client.on_channel_entered_bridge
    async def on_entered(event: Any) -> None:
        entered.put_nowait(event.channel.id)

    await client.connect(app="independent")
    try:
        bridge = await client.ari.create_bridge(type="mixing")
        for number in range(2):
            await client.ari.originate(endpoint="Local/echo@default", channel_id=f"independent-{number}-a")
            channel = await asyncio.wait_for(started.get(), 5)
            print("StasisStart", channel)
            await bridge.add_channel(channel)
            print("ChannelEnteredBridge", await asyncio.wait_for(entered.get(), 5))
        bridged = sorted((await client.ari.get_bridge(bridge.id)).channels)
        print("bridge", *bridged)
        for channel in bridged:
            await client.ari.hangup_channel(channel)
        await bridge.stop()
    finally:
        await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
