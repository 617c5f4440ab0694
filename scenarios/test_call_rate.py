"""How many calls a second can be set up? Calls begin at a rate, whatever becomes of those that began before.

This is the open model: an Asterisk that is slow to answer does not slow the rate down, as callers do not wait for each
other either. A call that this generator could not start in time is counted as ``calls.not_started``: its own fault, and
never silently late. Size the test with ``--ari-calls`` (calls that are up at a time: rate times holding time).
"""

import pytest

from pytest_ari_sla import rate

pytestmark = pytest.mark.sla(
    "calls.success_ratio >= 99.9%", "calls.not_started == 0", "calls.leaked == 0", "ari.errors == 0"
)


@pytest.mark.sla("setup.p99 < 500ms", "ari.event_lag.p99 < 200ms", "first_packet.p99 < 1s")
async def test_steady_rate(load):
    """Ten calls a second begin and last three seconds each: about thirty are up at a time."""
    await load(stages=[rate(10, duration="20s", holding="3s")])


@pytest.mark.sla("setup.p99@climb < 1s", "setup.p50@peak < 200ms", "rtt.p99@peak < 60ms")
async def test_growing_rate(load):
    """The rate climbs from one to twenty calls a second, and stays there: the busy hour begins."""
    stages = [
        rate(1, end=20, duration="15s", holding="2s", name="climb"),
        rate(20, duration="10s", holding="2s", name="peak"),
    ]
    await load(stages=stages)


@pytest.mark.sla("setup.p99 < 1s")
async def test_short_calls_in_turn(load):
    """Twenty lines are always busy, and each call is over after two seconds: set-up and tear-down all the time."""
    await load(calls=20, duration="20s", ramp="2s", holding="2s")
