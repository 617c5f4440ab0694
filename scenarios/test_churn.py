"""Does Asterisk survive calls that come and go at any moment? Short calls at a rate, and hang-ups in the middle of all.

Most crashes and stuck channels are found here: in what happens while a channel is being made, its media connected, or
its bridge joined. What counts is that nothing is left and that requests are answered; calls that were hung up before
they came up are nobody's failure.
"""

import pytest

from pytest_ari_sla import rate

TRANSPORTS = ["rtp", "audiosocket", "websocket", "websocket-server"]

pytestmark = [
    pytest.mark.sla("calls.failed == 0", "calls.leaked == 0", "ari.request.p99 < 1s"),
    pytest.mark.parametrize("topology", ["echo", "pair"]),  # without a mixing bridge, and with one
    pytest.mark.parametrize("transport", TRANSPORTS),
]


async def test_short_calls(load, transport, topology):
    """Ten calls a second, each over after half a second at most."""
    stages = [rate(10, duration="5s", holding="0ms..500ms")]
    await load(stages=stages, topology=topology, transport=transport)


async def test_hang_ups_at_any_moment(load, transport, topology):
    """Ten calls a second, each hung up while it is made or soon after: before the answer, and while media connects."""
    stages = [rate(10, duration="5s", holding="1s")]
    await load(stages=stages, topology=topology, transport=transport, hang_up="0ms..50ms after request")
