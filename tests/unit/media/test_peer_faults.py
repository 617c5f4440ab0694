"""Which calls have misbehaving peers, and what is refused."""

from __future__ import annotations

import pytest

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.media.peer_faults import Burst, FaultPlan, PeerFault, plan_faults
from pytest_ari_sla.stream_media.peer_faults import builtin_faults

KNOWN = {fault.name: fault for fault in builtin_faults()}


def _drawn(plan: FaultPlan, calls: int = 1000) -> list[str]:
    return [fault.name if (fault := plan.draw()) is not None else "" for _ in range(calls)]


def _plan(asked: dict[str, str | float], shard: int = 1) -> FaultPlan:
    plan = plan_faults(asked, KNOWN, ["audiosocket"], shard)
    assert plan is not None
    return plan


def test_the_same_calls_are_faulty_in_every_run_and_others_in_another_shard() -> None:
    """Seeded; about as many as asked for."""
    asked: dict[str, str | float] = {"mute": "10%", "reset": 0.05}
    drawn = _drawn(_plan(asked))
    assert drawn == _drawn(_plan(asked))
    assert drawn != _drawn(_plan(asked, shard=2))
    assert 60 < drawn.count("mute") < 140
    assert 25 < drawn.count("reset") < 80


def test_a_burst_takes_its_number_of_frames() -> None:
    """And is judged like all other calls, which the report says."""
    plan = _plan({"burst:7": "100%"})
    fault = plan.draw()
    assert fault is not None
    assert Burst(7) in fault.steps
    (remark,) = plan.remarks()
    assert "(burst:7 1)" in remark
    assert remark.endswith("of these, burst:7 are judged like all others")


def test_no_faults_are_no_plan() -> None:
    """And a plan that drew none says nothing."""
    assert plan_faults({}, KNOWN, ["rtp"], 1) is None
    assert _plan({"mute": "1%"}).remarks() == []


def test_shares_may_come_to_all_calls() -> None:
    """Also where their sum as floats is a little more: 0.33 + 0.56 + 0.11 is 1.0000000000000002."""
    plan = _plan({"mute": "33%", "reset": "56%", "half_close": "11%"})
    assert "" not in _drawn(plan)


@pytest.mark.parametrize(
    ("asked", "transports", "sentence"),
    [
        ({"mute": "60%", "reset": "60%"}, ["audiosocket"], "more than all calls"),
        ({"mute": "0%"}, ["audiosocket"], "write it like 5%"),
        ({"mute:3": "5%"}, ["audiosocket"], "only a burst takes a number"),
        ({"burst:many": "5%"}, ["audiosocket"], "only a burst takes a number"),
        ({"no_upgrade": "5%"}, ["audiosocket"], "exists for websocket; this load uses audiosocket"),
        ({"mute": "5%"}, ["rtp"], "this load uses rtp"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    asked: dict[str, str | float], transports: list[str], sentence: str
) -> None:
    """Before the first call."""
    with pytest.raises(UsageError, match=sentence):
        plan_faults(asked, KNOWN, transports, 1)


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    """As any name."""
    with pytest.raises(UnknownName, match="peer fault 'mutter'"):
        plan_faults({"mutter": "5%"}, KNOWN, ["audiosocket"], 1)


def test_a_fault_of_ones_own_is_data() -> None:
    """It crosses to the media process."""
    import msgspec

    fault = PeerFault("mine", (Burst(3),), ("audiosocket",))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fault), type=PeerFault) == fault
