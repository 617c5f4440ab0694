"""Does it get worse with time? Some calls for a long time, and the last part must be as good as the first.

Give it the time that you have: ``pytest scenarios/test_soak.py --ari-duration 8h``. The report is written every minute,
so that ``ari-sla report`` shows what there is while it runs, and after a crash. A soak that has become hopeless ends by
itself, and the sliding windows find a bad minute in a good night.
"""

import pytest

from pytest_ari_sla import hold, ramp


@pytest.mark.sla("calls.success_ratio >= 99.9%", "loss.ratio <= 0.5%", abort_after="30s")
@pytest.mark.sla("rtt.p99[10s] < 150ms", "loss.ratio[10s] <= 1%", "rtt.p99@first < 60ms", "rtt.p99@last < 60ms")
@pytest.mark.sla("calls.leaked == 0", "ari.errors == 0", "setup.p99 < 1s")
async def test_soak(load):
    """Calls of twenty seconds each follow one another in the same places, for as long as it is asked for."""
    stages = [ramp(20, over="10s"), hold("20s", name="first"), hold("60s", name="middle"), hold("20s", name="last")]
    await load(stages=stages, holding="20s")
