"""What becomes of a stream whose peer misbehaves, and when."""

from __future__ import annotations

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.media.peer_faults import ChangeSsrc, JumpTimestamp, Mute, PeerFault, Step, Wait
from pytest_ari_sla.rtp_media.faults import alterations, builtin_faults


def fault(*steps: Step) -> PeerFault:
    """Return a fault of these steps."""
    return PeerFault("odd", steps, ("rtp",))


def test_steps_add_up_in_their_time() -> None:
    """Each alteration tells all that a stream has from then on."""
    steps = fault(Wait(500), ChangeSsrc(), Wait(250), JumpTimestamp(1000), JumpTimestamp(-500), ChangeSsrc())
    found = list(alterations(steps, 7, 8000))
    assert [after_s for after_s, _ in found] == [0.5, 0.75, 0.75, 0.75]
    assert [one.timestamp_offset for _, one in found] == [0, 8000, 4000, 4000]
    first, second, third, last = (one.ssrc for _, one in found)
    assert 7 != first == second == third != last


def test_those_that_come_with_the_tool_each_change_one_thing() -> None:
    """The stream goes on: it is measured like all others."""
    changes = {}
    for one in builtin_faults():
        assert one.is_measured
        [(_, altered)] = alterations(one, 7, 8000)
        changes[one.name] = altered.ssrc != 7, altered.timestamp_offset
    assert changes == {"ssrc_change": (True, 0), "timestamp_jump": (False, 480_000)}


def test_what_only_a_connection_can_do_is_refused_by_name() -> None:
    """With what there is instead."""
    with pytest.raises(UsageError, match="over RTP a peer can Wait, ChangeSsrc and JumpTimestamp, not Mute"):
        list(alterations(fault(Mute()), 7, 8000))
