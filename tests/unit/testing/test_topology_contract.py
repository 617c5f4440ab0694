import asyncio
from dataclasses import replace

import pytest

from pytest_ari_sla.hookspecs.topology import Call, Leg, Topology
from pytest_ari_sla.testing import RecordingCall, TopologyContract
from pytest_ari_sla.topologies.builtin import pytest_ari_sla_register_topologies
from pytest_ari_sla.topologies.caller import Caller


class TestEveryBuiltInTopology(TopologyContract):
    """The built-in topologies keep the contract that a stranger's must keep."""

    @pytest.fixture(params=pytest_ari_sla_register_topologies(), ids=lambda topology: topology.name)
    def topology(self, request: pytest.FixtureRequest) -> Topology:
        """Each of them in turn; a caller needs somebody to call."""
        topology: Topology = request.param
        return replace(topology, to="700@ivr") if isinstance(topology, Caller) else topology


class Forgetful:
    """A topology with a mistake: its second leg is never joined to anything."""

    name = "forgetful"
    heard_leg = (0, 1)
    relay_legs = 0

    async def establish(self, call: Call) -> None:
        """Build one call, badly."""
        first, _ = await call.external_media(), await call.external_media()
        await call.continue_to_echo(first)


class Remembering:
    """A topology with a mistake: it puts legs of an earlier call into the bridge of the next."""

    name = "remembering"
    heard_leg = (-1,)
    relay_legs = 0

    def __init__(self) -> None:
        self.legs: list[Leg] = []

    async def establish(self, call: Call) -> None:
        """Build one call, badly."""
        self.legs.append(await call.external_media())
        await call.bridge(*self.legs)


class Liar:
    """A topology with a mistake: it announces a relay that it does not use."""

    name = "liar"
    heard_leg = (0,)
    relay_legs = 1

    async def establish(self, call: Call) -> None:
        """Build one call, badly."""
        await call.continue_to_echo(await call.external_media())


@pytest.mark.parametrize(
    ("topology", "broken_test"),
    [
        (Forgetful(), TopologyContract.test_no_leg_is_left_alone),
        (Remembering(), TopologyContract.test_it_can_build_many_calls),
        (Liar(), TopologyContract.test_it_creates_the_legs_that_it_announces),
    ],
    ids=["forgetful", "remembering", "liar"],
)
def test_mistakes_are_found(topology: Topology, broken_test: object) -> None:
    """Each of the contract's tests can fail."""
    assert callable(broken_test)
    with pytest.raises(AssertionError):
        asyncio.run(broken_test(TopologyContract(), topology, RecordingCall()))
