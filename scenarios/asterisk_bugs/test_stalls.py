"""Media peers that misbehave, and make requests about all channels hang."""

import asyncio
import statistics
import time
from uuid import uuid4

import pytest

from pytest_ari_sla.ari.websocket_client import WEBSOCKET_CLIENT, WebSocketClientSection
from pytest_ari_sla.ari_client.queries import NO_CHANNEL
from pytest_ari_sla.bugs.bad_peers import BadPeer, half_header, never_answers, never_sends, slow_header, whole_header

CHURN_S = 20.0
LASTING_S = 3.0
"""A stall lasts for as long as the peer likes; a busy machine may delay a request by a second."""
BRIDGES, BOTS = 4, 4
CALLS = 12
PAIRS = 100
NOTICED_NS = 5_000_000  # what is faster than that may be anything


async def audiosocket(asterisk_bug, pbx, peer):
    """Make an AudioSocket channel and return its id; a target that does not know such media is left alone."""
    channel = pbx.new_id()
    answer = await pbx.external_media(
        channel, peer.address, "slin", transport="tcp", encapsulation="audiosocket", data=str(uuid4())
    )
    if answer.status in (400, 501):
        asterisk_bug.not_tried("the target has no AudioSocket")
    return channel


async def bridged_audiosocket(asterisk_bug, pbx, peer):
    """Bridge an AudioSocket channel with an RTP channel, as a bot is with its caller."""
    bridge, caller = pbx.new_id("bridge"), pbx.new_id()
    channel = await audiosocket(asterisk_bug, pbx, peer)
    await pbx.external_media(caller)
    for one in (channel, caller):
        await pbx.event("StasisStart", one)
    await pbx.request("POST", f"/bridges/{bridge}", type="mixing")
    await pbx.request("POST", f"/bridges/{bridge}/addChannel", channel=f"{channel},{caller}")


@pytest.mark.asterisk_bug(
    "asterisk#2089", "half of an AudioSocket header stalls all channels", known_in="22.10.1, 23.3"
)
async def test_half_a_header(asterisk_bug):
    """One peer of one call stops in the middle of three bytes."""
    async with asterisk_bug.victim() as pbx, BadPeer(half_header) as peer, pbx.watch() as watch:
        asterisk_bug.tries = 1
        await bridged_audiosocket(asterisk_bug, pbx, peer)
        if stall := await watch.stalled(within_s=8.0, at_least_s=LASTING_S):
            asterisk_bug.found(stall.words())


@pytest.mark.asterisk_bug(
    "asterisk#2078", "AudioSocket peers that say nothing stall all channels", known_in="20.18, 20.19, 22.10.1"
)
async def test_a_peer_that_never_speaks(asterisk_bug):
    """Calls that are moved into a mixing bridge and out of it, to peers that only listen.

    Two threads of Asterisk can then want to read the same empty frame; the one that comes second waits for the peer.
    """

    async def bots(pbx, peer):
        bridge = pbx.new_id("bridge")
        await pbx.request("POST", f"/bridges/{bridge}", type="mixing")
        channels = [await audiosocket(asterisk_bug, pbx, peer) for _ in range(BOTS)]
        for channel in channels:
            await pbx.event("StasisStart", channel)
        while not watch.has_lasted(LASTING_S) and time.monotonic() < end_s:
            for move in ("addChannel", "removeChannel"):
                await pbx.request("POST", f"/bridges/{bridge}/{move}", channel=",".join(channels))
            asterisk_bug.tries += BOTS

    async with asterisk_bug.victim() as pbx, BadPeer(never_sends) as peer, pbx.watch() as watch:
        end_s = time.monotonic() + CHURN_S
        moving = [asyncio.create_task(bots(pbx, peer)) for _ in range(BRIDGES)]
        stall = await watch.stalled(within_s=CHURN_S, at_least_s=LASTING_S)
        peer.hang_up()
        await asyncio.gather(*moving)
        if stall:
            asterisk_bug.found(stall.words())


@pytest.mark.asterisk_bug(
    "asterisk#1979", "a WebSocket peer that does not answer the upgrade stalls all channels", known_in="22.10.1"
)
async def test_an_upgrade_that_is_never_answered(asterisk_bug):
    """The peer takes the TCP connection, and no more."""
    async with asterisk_bug.victim() as pbx, BadPeer(never_answers) as peer, pbx.watch() as watch:
        asterisk_bug.tries = 1
        section = WebSocketClientSection("mute", f"ws://{peer.address}/media")
        path = WEBSOCKET_CLIENT.format(id=section.name)
        async with pbx.http.put(pbx.process.endpoint.base_url + path, json=section.body()) as written:
            if not written.ok:
                asterisk_bug.not_tried("the target connects to no WebSocket")
        asking = asyncio.create_task(
            pbx.external_media(pbx.new_id(), section.name, transport="websocket", encapsulation="none")
        )
        stall = await watch.stalled(within_s=10.0, at_least_s=LASTING_S)
        peer.hang_up()
        await asking
        if stall:
            asterisk_bug.found(stall.words())


@pytest.mark.asterisk_bug(
    "audiosocket-pieces", "AudioSocket headers in pieces delay requests about all channels", known_in="22.10.1"
)
async def test_a_header_in_pieces(asterisk_bug):
    """Bytes 3 ms apart are slow, and legal: others must not notice, any more than beside a peer that sends as usual."""

    async def asks_ns(pbx):
        began_ns = time.monotonic_ns()
        await pbx.request("GET", f"/channels/{NO_CHANNEL}/variable", variable="CHANNEL(state)")
        return time.monotonic_ns() - began_ns

    for _ in range(3):
        asterisk_bug.tries += 1
        # Both at the same time, asked in turns: whatever else the machine does delays both.
        async with (
            asterisk_bug.victim() as usual,
            asterisk_bug.victim() as slow,
            BadPeer(whole_header) as one,
            BadPeer(slow_header) as other,
        ):
            for _ in range(CALLS):
                await bridged_audiosocket(asterisk_bug, usual, one)
                await bridged_audiosocket(asterisk_bug, slow, other)
            took_ns = []
            for _ in range(PAIRS):
                took_ns.append((await asks_ns(usual), await asks_ns(slow)))
                await asyncio.sleep(0.01)
        longer = sum(pieces_ns - whole_ns > NOTICED_NS for whole_ns, pieces_ns in took_ns)
        shorter = sum(whole_ns - pieces_ns > NOTICED_NS for whole_ns, pieces_ns in took_ns)
        # What delays one by chance delays the other as often.
        if longer - shorter > PAIRS // 2:
            whole_ms, pieces_ms = (statistics.median(column) / 1e6 for column in zip(*took_ns, strict=True))
            asterisk_bug.found(
                f"beside {CALLS} such calls, a request about a channel takes {pieces_ms:.0f} ms, and at the same time "
                f"{whole_ms:.0f} ms beside {CALLS} usual ones (medians)"
            )
