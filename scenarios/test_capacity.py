"""How many calls does this Asterisk carry, and how many set-ups a second? Each answer is searched for, and confirmed.

The marker's limits are what a level has to keep while it is held; the report shows every step, the answer in one
sentence, and what limits it.
"""

import pytest


@pytest.mark.sla("calls.failed == 0", "rtt.p99 < 60ms", "loss.ratio <= 0.1%")
async def test_calls_at_a_time(capacity):
    """The most calls that can be up at a time before callers notice."""
    found = await capacity(topology="echo", start=25, most=100, hold="5s", precision="10%")
    assert found.calls > 0


@pytest.mark.sla("calls.failed == 0", "setup.p99 < 1s")
async def test_set_ups_a_second(capacity):
    """The most calls a second that can be set up without any of them failing or waiting for long."""
    found = await capacity(per="call rate", start=10, most=40, hold="5s", holding="1s", precision="10%")
    assert found.calls > 0
