"""Two calls in a bridge with ``aioari`` (aiohttp; its methods come from the server's api-docs)."""

from __future__ import annotations

import asyncio
import sys

import aioari


async def main(url: str, user: str, password: str) -> None:
    """Bridge two calls and print the events seen."""
    client = await aioari.connect(url.removesuffix("ari"), user, password)
    started: asyncio.Queue[str] = asyncio.Queue()
    entered: asyncio.Queue[str] = asyncio.Queue()
    client.on_channel_event("StasisStart", lambda objects, event: started.put_nowait(event["channel"]["id"]))
    client.on_event("ChannelEnteredBridge", lambda event: entered.put_nowait(event["channel"]["id"]))
    listening = asyncio.create_task(client.run(apps="independent"))
    while not client.websockets:
        await asyncio.sleep(0.01)
    bridge = await client.bridges.create(type="mixing")
    for number in range(2):
        await client.channels.originate(
            endpoint="Local/echo@default", app="independent", channelId=f"independent-{number}-b"
        )
        channel = await asyncio.wait_for(started.get(), 5)
        print("StasisStart", channel)
        await bridge.addChannel(channel=channel)
        print("ChannelEnteredBridge", await asyncio.wait_for(entered.get(), 5))
    bridged = sorted((await client.bridges.get(bridgeId=bridge.id)).json["channels"])
    print("bridge", *bridged)
    for channel in bridged:
        await client.channels.hangup(channelId=channel)
    await bridge.destroy()
    await client.close()
    listening.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
