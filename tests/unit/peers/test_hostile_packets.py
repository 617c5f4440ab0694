"""A hostile peer of the echo server and of the relay: every datagram is counted once, and others are served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.relay.relay_client import RelayProcess
from tests.unit.hostile import PACKETS, hostile_datagrams, seed
from tests.unit.peers.rtp_peer import RtpPeer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pytest_ari_sla.metrics.snapshot import Snapshot

LEG = np.array([0])
AT_ONCE = 200
"""So many fit into any receive buffer."""


def hostile_portions(random: np.random.Generator) -> Iterator[tuple[list[bytes], int]]:
    """Yield datagrams, a few at once, and how many of these are RTP by version and length."""
    for _ in range(PACKETS // 10 // AT_ONCE):
        rows, lengths = hostile_datagrams(random, AT_ONCE, 700)
        datagrams = [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
        yield datagrams, sum(len(datagram) >= 12 and datagram[0] >> 6 == 2 for datagram in datagrams)


async def told(peer: str, ask: Callable[[], Awaitable[Snapshot]], sent: int) -> Snapshot:
    """Return a snapshot as soon as it tells of so many datagrams."""
    names = [f"{peer}.{name}" for name in ("received", "invalid", "receive_drops")]
    async with asyncio.timeout(20):
        while True:
            snapshot = await ask()
            if sum(map(snapshot.count, names)) >= sent:
                return snapshot
            await asyncio.sleep(0.001)


async def test_the_echo_server_counts_every_hostile_datagram() -> None:
    """What is RTP comes back, whatever it holds, and nothing else does."""
    sent = rtp = 0
    with EchoServerProcess() as echo, RtpPeer() as hostile, RtpPeer() as other:
        for datagrams, valid in hostile_portions(np.random.default_rng(seed())):
            for datagram in datagrams:
                hostile.socket.sendto(datagram, echo.address)
            sent, rtp = sent + len(datagrams), rtp + valid
            snapshot = await told("echo", lambda: asyncio.to_thread(echo.snapshot), sent)
        assert snapshot.count("echo.receive_drops") == 0
        assert (snapshot.count("echo.received"), snapshot.count("echo.invalid")) == (rtp, sent - rtp)
        other.send(echo.address, LEG, 7)
        other.receive_until(1)
        assert other.number.tolist() == [7]
        assert echo.snapshot().count("echo.sent") == rtp + 1


async def test_the_relay_counts_every_hostile_datagram() -> None:
    """It passes on what is RTP, under the SSRC of its call; another call's packets are as they were."""
    sent = rtp = 0
    with (
        EchoServerProcess() as echo,
        RelayProcess(echo.address, rtp_ports=(41_000, 41_999)) as process,
        RtpPeer() as hostile,
        RtpPeer() as other,
    ):
        async with await process.connect() as worker:
            for call, peer in (("hostile", hostile), ("other", other)):
                place = await worker.reserve(call)
                await worker.connect(call, peer.address)
            for datagrams, valid in hostile_portions(np.random.default_rng(seed())):
                for datagram in datagrams:
                    hostile.socket.sendto(datagram, place)
                sent, rtp = sent + len(datagrams), rtp + valid
                snapshot = await told("relay", worker.snapshot, sent)
            counts = {name: snapshot.count(name) for name in snapshot if name.startswith("relay.")}
            assert counts["relay.receive_drops"] == counts["relay.refused"] == 0
            assert (counts["relay.received"], counts["relay.invalid"]) == (rtp, sent - rtp)
            assert counts["relay.forwarded"] == rtp
            assert counts["relay.foreign"] == counts["relay.strays"] == 0
            assert min(counts.values()) >= 0
            other.send(place, LEG, 7)
            other.receive_until(1)
            assert other.number.tolist() == [7]
