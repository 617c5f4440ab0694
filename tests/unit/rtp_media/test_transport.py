"""A load's RTP whose end comes before all that was planned for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.media.peer_faults import JumpTimestamp, PeerFault, Wait
from pytest_ari_sla.media.transport import MediaSite
from pytest_ari_sla.rtp_media.commands import AlterLeg
from pytest_ari_sla.rtp_media.transport import RtpMedia
from pytest_ari_sla.udp.port_leases import PortManager
from tests.unit.media.callers import plan_for


class PlayedLoop:
    """A loop that carries out nothing, until it is stopped."""

    def __init__(self, *_: object, **__: object) -> None:
        self.commands: list[object] = []
        self.is_gone = False

    def command(self, command: object, attached: object = None) -> None:
        """Take an order."""
        del attached
        self.commands.append(command)
        if self.is_gone:
            raise MediaLoopFailed("gone")

    async def obeyed(self) -> None:
        """Have obeyed."""

    async def stop(self) -> None:
        """End slowly: timers that are due come first."""
        self.is_gone = True
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.mark.parametrize("dies_before", [False, True])
async def test_a_load_that_is_torn_down_takes_its_faults_on_purpose_along(dies_before: bool) -> None:
    """They would be orders to a process that is gone, and tracebacks among the test's output."""
    loops: list[PlayedLoop] = []
    complaints: list[dict[str, Any]] = []

    def start(*_: object, **__: object) -> Any:
        loops.append(PlayedLoop())
        return loops[0]

    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    fault = PeerFault("odd", (Wait(0), JumpTimestamp(1000)), ("rtp",), is_measured=True)
    with PortManager(host="127.0.0.1") as ports:
        async with RtpMedia(start).open(plan_for(1), MediaSite("127.0.0.1", ports)) as transport:
            transport.start(transport.take_faulty_leg(0, fault), ("127.0.0.1", 40_000), 10)
            if dies_before:
                loops[0].is_gone = True
                for _ in range(3):
                    await asyncio.sleep(0)
    assert complaints == []
    assert any(isinstance(command, AlterLeg) for command in loops[0].commands) is dies_before
