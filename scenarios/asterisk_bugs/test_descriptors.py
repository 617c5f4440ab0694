"""Descriptors that Asterisk closes twice: the second time one may be another call's."""

import asyncio
import time
from uuid import uuid4

import pytest

from pytest_ari_sla.bugs.bad_peers import BadPeer, whole_header
from pytest_ari_sla.bugs.victim import SINK

CHURN_S = 25.0
AT_A_TIME = 12
LIFE_S = 0.1


async def audiosocket(asterisk_bug, pbx, address):
    """Make an AudioSocket channel; return its id and the answer. A target without such media is left alone."""
    channel = pbx.new_id()
    answer = await pbx.external_media(
        channel, address, "slin", transport="tcp", encapsulation="audiosocket", data=str(uuid4())
    )
    if answer.status in (400, 501):
        asterisk_bug.not_tried("the target has no AudioSocket")
    return channel, answer


@pytest.mark.asterisk_bug(
    "audiosocket-refused",
    "an AudioSocket connection that is refused ends another call's",
    known_in="22.10.1",
)
async def test_refused_connections_beside_calls(asterisk_bug):
    """``ast_audiosocket_connect()`` closes the socket of a refused connection, and once more when it gives up.

    What another thread has opened in between has the same number: the call beside loses its connection. Without the
    refused ones, no such call was lost in 20 s.
    """
    end_s = time.monotonic() + CHURN_S
    lost = []

    async def refused(pbx):
        while not lost and time.monotonic() < end_s:
            await audiosocket(asterisk_bug, pbx, f"{SINK[0]}:{SINK[1]}")
            asterisk_bug.tries += 1

    async def healthy(pbx, peer):
        while not lost and time.monotonic() < end_s:
            channel, answer = await audiosocket(asterisk_bug, pbx, peer.address)
            if answer.status != 200:
                lost.append(f"was refused: {answer.status}")
            elif await pbx.event("ChannelDestroyed", channel, LIFE_S):
                lost.append("ended by itself")
            await pbx.request("DELETE", f"/channels/{channel}")

    async with asterisk_bug.victim() as pbx, BadPeer(whole_header) as peer:
        calls = [healthy(pbx, peer) for _ in range(AT_A_TIME)]
        await asyncio.gather(*calls, *(refused(pbx) for _ in range(AT_A_TIME)))
        if lost:
            asterisk_bug.found(f"a call whose peer took its connection and sent audio {lost[0]}, beside refused ones")
