"""Do healthy calls notice when some bots misbehave? A fifth of the peers are faulty, the others are judged.

Faulty calls are not measured, and how they end is nobody's failure: what the thresholds see are the healthy ones beside
them. Asterisk up to 22.10 keeps a burst in a WebSocket channel's queue for the rest of the call: see ``lasting_delay``.
"""

import pytest

FAULTS = ["mute", "listen_first", "slow_reader", "half_close", "reset", "refuse", "close_at_once"]

pytestmark = pytest.mark.sla("calls.failed == 0", "calls.dropped == 0", "calls.leaked == 0", "loss.ratio <= 0.1%")


@pytest.mark.sla("lasting_delay.max < 200ms", "ari.request.p99 < 1s")
@pytest.mark.parametrize("transport", ["audiosocket", "websocket"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_healthy_calls_beside(load, transport, fault):
    """Ten callers talk to Echo(), two or three of them through a peer that misbehaves."""
    await load(calls=10, duration="5s", transport=transport, peer_faults={fault: "20%"})
