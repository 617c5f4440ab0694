import pytest
from pytest_ari_sla_dialplan.topology import Dialplan

from pytest_ari_sla import Topology, UsageError
from pytest_ari_sla.testing import RecordingCall, TopologyContract


class TestDialplan(TopologyContract):
    """The topology keeps the contract of all topologies, whatever the caller hears."""

    @pytest.fixture(params=[True, False], ids=["hears itself", "hears other"])
    def topology(self, request: pytest.FixtureRequest) -> Topology:
        """An extension of a team."""
        return Dialplan("from-load", "700", hears_itself=request.param)


async def test_the_caller_is_sent_to_the_extension() -> None:
    """Context, extension and priority are those that were asked for."""
    call = RecordingCall()
    await Dialplan("ivr", "700", 3).establish(call)
    assert call.continued == {call.legs[0].channel_id: ("ivr", "700", 3)}


async def test_variables_are_set_before_the_caller_gets_there() -> None:
    """What the dialplan expects of a caller is there when it starts."""
    call = RecordingCall()
    await Dialplan("ivr", "700", variables={"CALLERID(num)": "100"}).establish(call)
    call.ari.set_variable.assert_awaited_once_with(call.legs[0].channel_id, "CALLERID(num)", "100")


def test_what_is_heard_decides_how_packets_are_correlated() -> None:
    """An extension that echoes gives the caller its own probes back; any other gives nobody's."""
    assert tuple(Dialplan("c", "e").heard_leg) == (0,)
    assert tuple(Dialplan("c", "e", hears_itself=False).heard_leg) == (-1,)


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("700@ivr", ("ivr", "700", 1)),
        ("s@from-load,3", ("from-load", "s", 3)),
        ("_X.@a-b_c", ("a-b_c", "_X.", 1)),
        ("+4930123@sales", ("sales", "+4930123", 1)),
    ],
)
def test_an_address_is_read(address: str, parsed: tuple[str, str, int]) -> None:
    """Extension, context and priority, as a dialplan writes them."""
    topology = Dialplan.parse(address)
    assert (topology.context, topology.extension, topology.priority) == parsed


@pytest.mark.parametrize("address", ["", "700", "700@", "@ivr", "700@ivr,", "700@ivr,x", "7 00@ivr", "a@b@c"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """With words that say what is expected."""
    with pytest.raises(UsageError, match=r"expected EXTENSION@CONTEXT\[,PRIORITY\]"):
        Dialplan.parse(address)
