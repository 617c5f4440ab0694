"""Does the voice path work at all? Ten calls for five seconds over each topology.

The limits are what a healthy Asterisk in the same network keeps with ease; take the file as a start for your own.
"""

import pytest

pytestmark = pytest.mark.sla("calls.success_ratio >= 100%", "calls.leaked == 0", "loss.ratio <= 0.1%")


@pytest.mark.sla("setup.p95 < 500ms", "rtt.p99 < 60ms")
async def test_echo(load):
    """Ten callers talk to Echo(): the shortest way through Asterisk and back."""
    await load(calls=10, duration="5s", topology="echo")


@pytest.mark.sla("one_way.p99 < 30ms")
async def test_pair(load):
    """Ten pairs of callers talk to each other through a mixing bridge."""
    await load(calls=10, duration="5s", topology="pair")


@pytest.mark.sla("rtt.p99 < 60ms")
async def test_relay(load):
    """Ten callers talk through a bridge to the relay, the way an ARI voice service is built."""
    await load(calls=10, duration="5s", topology="relay")
