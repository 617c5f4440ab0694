from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.ari.media_offer import MediaOffer
from pytest_ari_sla.errors import AriRequestFailed, UsageError
from pytest_ari_sla.load.calls.call import LiveCall
from pytest_ari_sla.load.calls.call_tools import CallTools
from pytest_ari_sla.load.meters.control_meter import ControlMeter
from pytest_ari_sla.media.call_media import CallMedia
from pytest_ari_sla.rtp_media.transport import RtpEndpoint
from pytest_ari_sla.topologies.pair import Pair

if TYPE_CHECKING:
    from collections.abc import Callable


class Watch:
    """A channel that is in the application at once, and gone when it is told to."""

    requested_ns, in_stasis_ns, setup_lag_ns = 1_000, 3_000, 40

    async def asked_for(self) -> None:
        """It is."""

    async def in_stasis(self, timeout_s: float) -> None:
        """It is."""

    def when_over(self, listener: Callable[[], None]) -> None:
        """It does not end before it is told to."""

    async def destroyed(self, timeout_s: float) -> None:
        """It is gone."""


class Ari:
    """An ARI that answers when the test lets it; the first channel is refused if it is told so."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.refuse_first = False
        self.channels: list[str] = []
        self.hung_up: list[str] = []
        self.asked_for: list[dict[str, Any]] = []
        self._asked = 0

    def new_id(self, kind: str, parent: str) -> str:
        """Return the next id."""
        self._asked += 1
        return f"{parent}-{self._asked}"

    def watch(self, channel_id: str) -> Watch:
        """Return what is known of a channel."""
        return Watch()

    async def external_media(self, channel_id: str, external_host: str, asterisk_format: str, **options: Any) -> Any:
        """Make a channel, or refuse it at once."""
        self.asked_for.append({"external_host": external_host, "format": asterisk_format, **options})
        if self.refuse_first and channel_id.endswith("-1"):
            raise AriRequestFailed("POST", "/channels/externalMedia", 500, "Internal Server Error")
        await self.answer.wait()
        self.channels.append(channel_id)
        return SimpleNamespace(local_address=("127.0.0.1", 10_000), channel=SimpleNamespace(id=channel_id))

    def made_for(self, parent: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tell which channels there are."""
        return tuple(self.channels), ()

    async def hangup(self, channel_id: str) -> bool:
        """Hang up."""
        self.hung_up.append(channel_id)
        return True


@pytest.fixture
def ari() -> Ari:
    """An ARI that has been asked nothing yet."""
    return Ari()


@pytest.fixture
def call(ari: Ari) -> LiveCall:
    """A call with two endpoints."""
    codec: Any = SimpleNamespace(codec=SimpleNamespace(asterisk_format="ulaw"))
    caller = SimpleNamespace(remote_of=lambda endpoint, media: media.local_address)
    stand_ins: dict[str, Any] = {"ari": ari, "caller": caller, "listener": None}
    tools = CallTools(
        **stand_ins,
        meter=ControlMeter(),
        relay=None,
        media=CallMedia((1, 0), (codec,)),
        echo_extension=("default", "echo"),
        clock=time,
        began_ns=time.monotonic_ns(),
    )
    call = LiveCall("call", tools)
    call.take_endpoints([RtpEndpoint(leg, 0, 0, ("127.0.0.1", 5_000 + leg)) for leg in range(2)])
    return call


async def test_legs_take_their_endpoints_in_order_and_are_timed(call: LiveCall, ari: Ari) -> None:
    """The first leg of the topology is the first endpoint, whichever channel is up first."""
    ari.answer.set()
    first, second = await call.external_media(), await call.external_media()
    assert [endpoint for endpoint, _ in call.caller_legs] == call.endpoints == [first.endpoint, second.endpoint]
    assert (call.tools.meter.setup.count, call.tools.meter.setup.max) == (2, 2_000)
    lag: Any = call.tools.meter.values()["harness.setup_lag"]
    assert (lag.count, lag.max) == (2, 40)


async def test_a_leg_that_is_on_its_way_when_another_fails_does_not_stay(call: LiveCall, ari: Ari) -> None:
    """Taking the call down waits for the channel that Asterisk is about to make, and hangs it up as well."""
    ari.refuse_first = True
    with pytest.raises(AriRequestFailed):
        await Pair().establish(call)
    hanging_up = asyncio.create_task(call.hang_up())
    await asyncio.sleep(0)
    assert not ari.hung_up
    ari.answer.set()
    await hanging_up
    assert ari.hung_up == ari.channels == ["call-2"]


async def test_more_legs_than_the_topology_said_are_refused(call: LiveCall, ari: Ari) -> None:
    """Memory and seats were made for as many as its ``heard_leg`` has."""
    ari.answer.set()
    for _ in range(2):
        await call.external_media()
    with pytest.raises(UsageError, match=r"more legs than its heard_leg says \(2\)"):
        await call.external_media()


async def test_a_relay_that_was_not_announced_is_refused(call: LiveCall) -> None:
    """It is started only for topologies whose ``relay_legs`` says so."""
    with pytest.raises(UsageError, match="uses the relay, but its relay_legs is 0"):
        await call.relay_media()


def test_only_the_beginning_of_a_story_is_kept(call: LiveCall) -> None:
    """Memory is bounded by calls, not by what happens to them."""
    for number in range(1000):
        call.note("ari", f"event {number}")
    assert len(call.timeline) == 100
    assert call.timeline[0].what == "event 0"


async def test_what_a_topology_asks_for_goes_to_asterisk_beside_what_the_transport_offers(
    call: LiveCall, ari: Ari
) -> None:
    """Every parameter of ExternalMedia can be given; variables are added to those of the transport."""
    offer = MediaOffer("pipe", "none", "websocket", "client", data="d", variables={"A": "1"})
    endpoint: Any = SimpleNamespace(leg=0, offer=offer)
    call.take_endpoints([endpoint])
    ari.answer.set()
    await call.external_media(asterisk_format="slin16", direction="in", transport_data="f(json)", variables={"B": "2"})
    assert ari.asked_for == [
        {
            "external_host": "pipe",
            "format": "slin16",
            "encapsulation": "none",
            "transport": "websocket",
            "connection_type": "client",
            "direction": "in",
            "data": "d",
            "transport_data": "f(json)",
            "variables": {"A": "1", "B": "2"},
            "websocket_uri": None,
        }
    ]


async def test_a_call_can_be_hung_up_while_its_channel_is_being_made(call: LiveCall, ari: Ari) -> None:
    """The time counts from when the request was sent; the answer is not waited for."""
    making = asyncio.create_task(call.external_media())
    await call.hang_up_after(1_000)
    assert ari.hung_up == call.followed
    assert not making.done()
    assert call.told_to_end
    assert call.changed.is_set()
    ari.answer.set()
    await making
