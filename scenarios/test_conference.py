"""Is everybody heard? Conferences in which parties speak in turn, and calls that somebody listens to.

Asterisk mixes every 20 ms, which is the delay that ``mouth_to_ear`` shows above that of a plain bridge. A party that
another one should have heard speaking, and never did, is counted as ``content.unheard``.
"""

import pytest

pytestmark = pytest.mark.sla("calls.success_ratio >= 100%", "content.unheard == 0", "audio.one_way_legs == 0")


@pytest.mark.sla("mouth_to_ear.p95 < 100ms", "content.recognised >= 10", "loss.ratio <= 0.5%")
@pytest.mark.parametrize("parties", [3, 5])
async def test_conference(load, parties):
    """Two conferences, long enough for everybody to have spoken twice."""
    await load(calls=2, duration=f"{4 * parties + 2}s", topology="conference", parties=parties)


@pytest.mark.sla("mouth_to_ear.p95 < 100ms", "one_way.p99 < 30ms", "loss.ratio <= 0.5%")
async def test_listening_in(load, target):
    """Three calls, each with a third channel that snoops on one party, as a recorder would."""
    if target.kind == "simulator":
        pytest.skip("the simulator's snoop channels carry no audio")
    await load(calls=3, duration="10s", topology="snoop")
