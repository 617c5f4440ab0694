from __future__ import annotations

from typing import Any, cast

from pytest_ari_sla.targets.simulator.api.event_socket import MOST_WAITING, EventSocket
from pytest_ari_sla.targets.simulator.faults import Dice, Faults


def test_a_listener_that_never_reads_is_cut_off_and_takes_no_memory() -> None:
    """As Asterisk does, only later: here our own machine may be the slow one."""
    cuts: list[str] = []
    line = EventSocket(cast("Any", None), Dice(Faults()), lambda: cuts.append("cut"))
    for number in range(MOST_WAITING):
        line.put({"number": number})
    assert cuts == []
    line.put({"number": MOST_WAITING})
    assert cuts == ["cut"]
    assert line._line.qsize() == MOST_WAITING
