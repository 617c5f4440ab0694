"""RTCP at ExternalMedia channels: there is none, in either direction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.rtp.rtcp import SenderReport, build, ntp_timestamp
from tests.contract.rtp_endpoint import PACKET_S, RtpEndpoint
from tests.unit.rtp_media.rtcp_peer import bind_pair

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from tests.contract.raw_ari import RawAri

REPORT_INTERVAL_S = 5.0
"""How often Asterisk reports on channels that have RTCP (``rtcpinterval`` in rtp.conf)."""


@pytest.fixture
def leg_and_rtcp() -> Iterator[tuple[RtpEndpoint, socket.socket]]:
    """Return an endpoint, and a socket on the port above its own."""
    rtp, rtcp = bind_pair()
    rtcp.setblocking(False)
    with rtp, rtcp:
        yield RtpEndpoint(rtp), rtcp


async def test_external_media_speaks_no_rtcp(
    raw_ari: RawAri, new_id: Callable[[str], str], leg_and_rtcp: tuple[RtpEndpoint, socket.socket]
) -> None:
    """Nobody listens on the port above a channel's RTP, and no report comes, however long RTP flows."""
    (leg, rtcp), log, channel = leg_and_rtcp, await raw_ari.listen(), new_id("echo")
    await leg.call(raw_ari, channel, log)
    await raw_ari.post(f"/channels/{channel}/continue", context="default", extension="echo", priority=1)
    await log.wait_for("ChannelDialplan", channel, count=2)
    host, port = leg.remote
    # A connected socket is told by the kernel when nobody is there.
    rtcp.connect((host, port + 1))
    rtcp.send(build(SenderReport(0x1111, ntp_timestamp(time.time_ns()), 0, 1, 160), "x"))
    await leg.stream(range(round((REPORT_INTERVAL_S + 1) / PACKET_S)))
    assert len(await leg.collect()) > 200
    with pytest.raises(ConnectionRefusedError):
        rtcp.recv(2048)
    with pytest.raises(BlockingIOError):
        rtcp.recv(2048)
