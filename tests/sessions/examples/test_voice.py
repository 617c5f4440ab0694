import pytest


@pytest.mark.sla("setup.p99 < 500ms", "rtt.p99 < 60ms", "loss.ratio < 0.1%", "mos.p1 >= 4.0")
async def test_echo_calls(load):
    """Fifty callers talk to Echo() for ten seconds."""
    await load(calls=50, duration="10s", topology="echo")
