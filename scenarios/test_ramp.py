"""How many calls does this Asterisk carry before callers notice? The number of calls grows, is held, and goes down.

Size it with ``--ari-calls`` (the calls at the top) and ``--ari-duration`` (all stages together); the report shows
round-trip time and set-up time over the number of calls, and at how many of them a limit was broken first.
"""

import pytest

from pytest_ari_sla import hold, ramp


@pytest.mark.sla("calls.success_ratio >= 99.9%", "calls.leaked == 0", abort_after="10s")
@pytest.mark.sla("setup.p99@climb < 1s", "rtt.p99@top < 60ms", "loss.ratio@top <= 0.1%", "rtt.p99[5s]@down < 60ms")
async def test_ramp(load):
    """Calls climb to the top, stay there, and go down again: each stage keeps its own limits."""
    await load(stages=[ramp(50, over="20s", name="climb"), hold("10s", name="top"), ramp(0, over="10s", name="down")])


@pytest.mark.sla("calls.success_ratio >= 99%", "calls.leaked == 0")
async def test_capacity(load):
    """Calls climb until the round trip of the last five seconds is no longer that of a healthy Asterisk."""
    result = await load(stages=[ramp(200, over="30s")], until="rtt.p99[5s] > 60ms")
    assert result.calls.established > 0
