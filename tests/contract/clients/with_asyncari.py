"""Two calls in a bridge with ``asyncari`` (anyio; its methods come from the server's api-docs)."""

from __future__ import annotations

import sys

import anyio
import asyncari


async def main(url: str, user: str, password: str) -> None:
    """Bridge two calls and print the events seen."""
    async with asyncari.connect(url.removesuffix("ari"), "independent", user, password) as client:
        bridge = await client.bridges.create(type="mixing")
        with anyio.fail_after(10):
            for number in range(2):
                async with (
                    client.on_channel_event("StasisStart") as started,
                    client.on_bridge_event("ChannelEnteredBridge") as entered,
                ):
                    await client.channels.originate(
                        endpoint="Local/echo@default", app="independent", channelId=f"independent-{number}-c"
                    )
                    _, event = await anext(aiter(started))
                    print("StasisStart", event["channel"]["id"])
                    await bridge.addChannel(channel=f"independent-{number}-c")
                    _, event = await anext(aiter(entered))
                    print("ChannelEnteredBridge", event["channel"]["id"])
        bridged = sorted((await client.bridges.get(bridgeId=bridge.id)).json["channels"])
        print("bridge", *bridged)
        for channel in bridged:
            await client.channels.hangup(channelId=channel)
        await bridge.destroy()


if __name__ == "__main__":
    url, user, password = sys.argv[1:]
    anyio.run(main, url, user, password)
