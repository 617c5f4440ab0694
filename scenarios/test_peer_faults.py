"""Do healthy calls notice when some bots misbehave? A fifth of the peers are faulty, the others are judged.

Faulty calls are not measured, and how they end is nobody's failure: what the thresholds see are the healthy ones beside
them. Asterisk up to 22.10 keeps a burst in a WebSocket channel's queue for the rest of the call: see ``lasting_delay``.
"""

import pytest

from pytest_ari_sla import rate

FAULTS = ["mute", "listen_first", "slow_reader", "half_close", "reset", "refuse", "close_at_once"]

pytestmark = pytest.mark.sla("calls.failed == 0", "calls.dropped == 0", "calls.leaked == 0", "ari.request.max < 1s")


@pytest.mark.sla("loss.ratio <= 0.1%", "lasting_delay.max < 200ms")
@pytest.mark.parametrize("transport", ["audiosocket", "websocket"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_healthy_calls_beside(load, transport, fault):
    """Ten callers talk to Echo(), two or three of them through a peer that misbehaves."""
    await load(calls=10, duration="5s", transport=transport, peer_faults={fault: "20%"})


@pytest.mark.parametrize("transport", ["audiosocket", "websocket"])
@pytest.mark.parametrize("fault", ["mute", "half_close", "refuse"])
async def test_hang_ups_beside(load, transport, fault):
    """Twenty calls a second, each hung up while it is made or soon after; half of their peers misbehave."""
    stages = [rate(20, duration="5s", holding="1s")]
    peers = {fault: "50%"}
    await load(
        stages=stages, topology="pair", transport=transport, peer_faults=peers, hang_up="0ms..50ms after request"
    )
