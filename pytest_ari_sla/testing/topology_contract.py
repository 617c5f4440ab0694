"""What every topology must do: a test class to inherit, and a call that records what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack
from unittest.mock import create_autospec

import pytest

from pytest_ari_sla.ari_client.session import AriSession
from pytest_ari_sla.ari_client.watch import ChannelWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.ari.media_offer import OfferChanges
    from pytest_ari_sla.hookspecs.topology import Leg, Topology

__all__ = ["RecordedLeg", "RecordingCall", "TopologyContract"]


@dataclass(frozen=True)
class RecordedLeg:
    """A leg that a topology has asked for."""

    channel_id: str


class RecordingCall:
    """A :class:`~pytest_ari_sla.hookspecs.topology.Call` without an Asterisk.

    Attributes
    ----------
    ari
        An autospecced :class:`~pytest_ari_sla.ari_client.session.AriSession`: every request answers with a mock and is
        written down in ``ari.mock_calls``.
    legs, relay_legs
        The legs at the load generator, and those at the relay, in the order asked for.
    bridges
        The ids of the channels in each bridge.
    echoed
        The channels that were sent to ``Echo()``.
    continued
        Context, extension and priority that channels were sent to.
    dialled
        Extension and context that legs have called.
    """

    def __init__(self, call_id: str = "sla-0001-call-000000") -> None:
        self.id = call_id
        self.ari: Any = create_autospec(AriSession, instance=True)
        self.ari.new_id.side_effect = lambda kind, parent="": f"{parent}-{kind}-{len(self.ari.mock_calls)}"
        # A mock of its own for each channel, whose waits return at once.
        self.ari.watch.side_effect = lambda channel_id: create_autospec(ChannelWatch, instance=True)
        self.legs: list[Leg] = []
        self.relay_legs: list[Leg] = []
        self.bridges: list[tuple[str, ...]] = []
        self.echoed: list[str] = []
        self.continued: dict[str, tuple[str, str, int]] = {}
        self.dialled: dict[str, tuple[str, str]] = {}

    async def external_media(self, *, asterisk_format: str | None = None, **offer: Unpack[OfferChanges]) -> Leg:
        """Note a leg at the load generator."""
        leg = RecordedLeg(f"{self.id}-leg-{len(self.legs)}")
        self.legs.append(leg)
        return leg

    async def relay_media(self) -> Leg:
        """Note a leg at the relay."""
        leg = RecordedLeg(f"{self.id}-relay-{len(self.relay_legs)}")
        self.relay_legs.append(leg)
        return leg

    async def bridge(self, *legs: Leg, bridge_type: str = "mixing") -> str:
        """Note a bridge."""
        self.bridges.append(tuple(leg.channel_id for leg in legs))
        return f"{self.id}-bridge-{len(self.bridges)}"

    async def dial_local(
        self, leg: Leg, extension: str, context: str, *, caller_id: str = "", variables: Mapping[str, str] | None = None
    ) -> Leg:
        """Note who is called, and that the leg is bridged with the call."""
        dialled = RecordedLeg(f"{self.id}-dialled-{len(self.dialled)}")
        self.dialled[leg.channel_id] = (extension, context)
        await self.bridge(leg, dialled)
        return dialled

    async def invite(
        self,
        to: str,
        *,
        caller_id: tuple[str, str] = ("", ""),
        account: tuple[str, str] = ("", ""),
        headers: Mapping[str, str] | None = None,
    ) -> Leg:
        """Note a leg at the load generator, and whom it calls."""
        leg = await self.external_media()
        self.continued[leg.channel_id] = ("sip", to, 1)
        return leg

    async def continue_to_echo(self, leg: Leg) -> None:
        """Note an echo."""
        self.echoed.append(leg.channel_id)

    async def continue_in_dialplan(self, leg: Leg, context: str, extension: str, priority: int = 1) -> None:
        """Note where a channel goes."""
        self.continued[leg.channel_id] = (context, extension, priority)


class TopologyContract:
    """Inherit this, override the fixture ``topology``, and every test below runs on your topology.

    Examples
    --------
    >>> class TestMyTopology(TopologyContract):
    ...     @pytest.fixture
    ...     def topology(self):
    ...         return MyTopology()
    """

    @pytest.fixture
    def topology(self) -> Topology:
        """The topology under test."""
        raise NotImplementedError("override the fixture 'topology' and return your topology from it")

    @pytest.fixture
    def call(self) -> RecordingCall:
        """The call that the topology builds; override it where yours needs answers from ARI."""
        return RecordingCall()

    def test_it_describes_itself(self, topology: Topology) -> None:
        """A topology has a name and at least one leg at the load generator."""
        assert topology.name
        assert len(topology.heard_leg) > 0
        assert topology.relay_legs >= 0

    def test_its_legs_hear_legs_of_the_same_call(self, topology: Topology) -> None:
        """What a leg hears is a leg of the call, or -1 for a mix or a transcoder."""
        assert all(heard in range(-1, len(topology.heard_leg)) for heard in topology.heard_leg)

    @pytest.mark.asyncio
    async def test_it_creates_the_legs_that_it_announces(self, topology: Topology, call: RecordingCall) -> None:
        """Limits are checked and ports leased by the announced numbers, before the first call."""
        await topology.establish(call)
        assert len(call.legs) == len(topology.heard_leg)
        assert len(call.relay_legs) == topology.relay_legs

    @pytest.mark.asyncio
    async def test_no_leg_is_left_alone(self, topology: Topology, call: RecordingCall) -> None:
        """When it returns, every leg was echoed, bridged, sent elsewhere, or handled by a request of its own."""
        await topology.establish(call)
        joined = {*call.echoed, *call.continued, *(channel for bridge in call.bridges for channel in bridge)}
        alone = {leg.channel_id for leg in (*call.legs, *call.relay_legs)} - joined
        own_requests = str(call.ari.mock_calls)
        assert all(channel in own_requests for channel in alone)

    @pytest.mark.asyncio
    async def test_it_can_build_many_calls(self, topology: Topology, call: RecordingCall) -> None:
        """One object builds every call of a load: no state of one reaches the next."""
        await topology.establish(RecordingCall("sla-0001-call-000001"))
        await topology.establish(call)
        channels = [leg.channel_id for leg in (*call.legs, *call.relay_legs)]
        assert all(channel.startswith(call.id) for channel in channels)
        assert all(channel.startswith(call.id) for bridge in call.bridges for channel in bridge)
