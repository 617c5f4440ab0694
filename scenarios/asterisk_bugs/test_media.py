"""Faults of what Asterisk does with media, and says of it."""

import asyncio
import re
import time

import pytest

from pytest_ari_sla.bugs.phone import Phone

FRAME = b"\xff" * 160  # 20 ms of silence in PCMU
FRAME_S = 0.02
BURST_FRAMES = 100
MARK_FRAMES = 25
LASTING_S = 1.0


@pytest.mark.asterisk_bug(
    "asterisk#2115",
    "a burst into a WebSocket channel delays all that follows",
    known_in="22.10.1",
    simulator_copies=True,
)
async def test_a_burst_into_a_websocket(asterisk_bug):
    """What is said 3 s after a burst of 2 s must be heard at once, or after what is left of the burst at most."""

    async def send(websocket, seconds):
        """Send in real time, and each half second a mark that tells when it was sent."""
        sent, began_s = 0, time.monotonic()
        while sent < seconds / FRAME_S:
            await websocket.send_bytes(FRAME)
            sent += 1
            if sent % MARK_FRAMES == 0:
                await websocket.send_str(f"MARK_MEDIA {time.monotonic_ns()}")
            await asyncio.sleep(max(0.0, began_s + sent * FRAME_S - time.monotonic()))

    async def live(websocket, seconds):
        """Do so; return the shortest time that a mark took through the queue: a busy machine delays some."""
        sending, took_s = asyncio.create_task(send(websocket, seconds)), []
        async with asyncio.timeout(20):
            while len(took_s) < int(seconds / FRAME_S / MARK_FRAMES):
                message = await websocket.receive()
                if message.data is None:
                    raise AssertionError("the WebSocket was closed")
                if isinstance(message.data, str) and message.data.startswith("MEDIA_MARK_PROCESSED"):
                    marked_ns = int(re.search(r"\d{6,}", message.data)[0])
                    took_s.append((time.monotonic_ns() - marked_ns) / 1e9)
        await sending
        return min(took_s)

    async with asterisk_bug.victim() as pbx:
        asterisk_bug.tries = 1
        channel, listener, bridge = pbx.new_id(), pbx.new_id(), pbx.new_id("bridge")
        made = await pbx.external_media(
            channel, "INCOMING", transport="websocket", encapsulation="none", connection_type="server"
        )
        if made.status != 200:
            asterisk_bug.not_tried("the target takes no WebSocket media")
        connection = made.body["channelvars"]["MEDIA_WEBSOCKET_CONNECTION_ID"]
        url = pbx.process.target.url.removesuffix("/ari") + f"/media/{connection}"
        async with pbx.http.ws_connect(url, protocols=["media"]) as websocket:
            await pbx.event("StasisStart", channel)
            await pbx.external_media(listener)
            await pbx.request("POST", f"/bridges/{bridge}", type="mixing")
            await pbx.request("POST", f"/bridges/{bridge}/addChannel", channel=f"{channel},{listener}")
            before_s = await live(websocket, 1.0)
            await websocket.send_bytes(FRAME * BURST_FRAMES)
            after_s = await live(websocket, 3.0)
        if after_s - before_s > LASTING_S:
            asterisk_bug.found(
                f"for 3 s after a burst of {BURST_FRAMES * FRAME_S:g} s, all that was sent took {after_s:.1f} s and "
                f"more through the queue, and {before_s:.2f} s before it"
            )


@pytest.mark.asterisk_bug(
    "asterisk#2012", "a peer that has received nothing is said to have received all", known_in="20, 22.10.1"
)
async def test_a_peer_that_has_received_nothing(asterisk_bug):
    """It reports the highest sequence number 0, so that all packets since are lost on their way to it."""
    async with asterisk_bug.victim() as pbx, Phone() as phone:
        asterisk_bug.tries = 1
        channel, user = pbx.new_id(), pbx.process.target.user
        endpoint = f"PJSIP/{user}/{phone.uri}"
        called = await pbx.request("POST", "/channels", endpoint=endpoint, app=pbx.app, channelId=channel)
        if called.status != 200:
            asterisk_bug.not_tried("the target calls no SIP phones")
        await pbx.event("StasisStart", channel)
        await pbx.request("POST", f"/channels/{channel}/play", media="tone:dial")
        for _ in range(8):
            await asyncio.sleep(0.5)
            phone.report(highest=0, lost=1)
        statistics = (await pbx.request("GET", f"/channels/{channel}/rtp_statistics")).body
        sent, lost = statistics["txcount"], statistics["txploss"]
        assert phone.received > 50, statistics
        if sent > 100 and lost <= 1:
            asterisk_bug.found(
                f"of {sent} packets that it sent, {lost} are lost by its rtp_statistics, and all by the peer's reports"
            )
