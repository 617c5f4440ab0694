"""Does media flow over each transport that Asterisk has? Calls over RTP, AudioSocket and WebSockets, and between them.

AudioSocket needs Asterisk 18, WebSockets 20.16 or 22.6. TCP loses nothing: a frame that does not come back was dropped
by Asterisk. A WebSocket channel queues what it gets and hands one frame on every 20 ms: ``target.queue_backlog`` tells
how long that queue is, and frames that wait there wait for the rest of the call.
"""

import pytest

TRANSPORTS = ["rtp", "audiosocket", "websocket", "websocket-server"]

pytestmark = [
    pytest.mark.sla("calls.success_ratio >= 100%", "calls.leaked == 0", "loss.ratio <= 0.1%"),
    pytest.mark.parametrize("transport", TRANSPORTS),
]


@pytest.mark.sla("rtt.p99 < 100ms")
async def test_echo(load, transport):
    """Ten callers talk to Echo()."""
    await load(calls=10, duration="5s", topology="echo", transport=transport)


@pytest.mark.sla("one_way.p99 < 100ms")
async def test_pair(load, transport):
    """Ten pairs of callers talk to each other through a mixing bridge."""
    await load(calls=10, duration="5s", topology="pair", transport=transport)


@pytest.mark.sla("one_way.p99 < 100ms")
async def test_from_rtp(load, transport):
    """Ten pairs, of which one party is an RTP endpoint: what a voice bot and its caller are."""
    await load(calls=10, duration="5s", topology="pair", other_transport=transport, codec="L16")


async def test_conference(load, transport):
    """Three parties in each of three calls, mixed by Asterisk."""
    await load(calls=3, duration="8s", topology="conference", transport=transport)
