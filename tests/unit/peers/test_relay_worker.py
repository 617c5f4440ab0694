from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.errors import MediaLoopFailed, PortsExhausted
from pytest_ari_sla.peers.control import Reserve, decode_reply, encode
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.peers.ready_loop import ReadyLoop
from pytest_ari_sla.peers.relay import relay_group
from pytest_ari_sla.peers.relay.relay_calls import CALLS_PER_GROUP
from pytest_ari_sla.peers.relay.relay_client import RelayProcess, RelayWorker
from pytest_ari_sla.peers.relay.relay_group import RELAY_METRICS
from pytest_ari_sla.peers.relay.relay_worker import Relay, main
from pytest_ari_sla.udp.port_leases import PortManager
from tests.unit.peers.rtp_peer import RtpPeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pytest_ari_sla.metrics.snapshot import Snapshot

LEG = np.array([0])
PORTS = (40_000, 40_999)


@pytest.fixture
def echo() -> Iterator[EchoServerProcess]:
    """An echo server without impairments."""
    with EchoServerProcess() as process:
        yield process


@pytest.fixture
def relay(echo: EchoServerProcess) -> Iterator[RelayProcess]:
    """A relay to the echo server."""
    with RelayProcess(echo.address, rtp_ports=PORTS) as process:
        yield process


@pytest.fixture
async def worker(relay: RelayProcess) -> AsyncIterator[RelayWorker]:
    """Its client."""
    async with await relay.connect() as client:
        yield client


async def settled(worker: RelayWorker, **wanted: int) -> Snapshot:
    """Return a snapshot as soon as these counts of the relay are reached."""
    async with asyncio.timeout(5):
        while True:
            snapshot = await worker.snapshot()
            if all(snapshot.count(f"relay.{name}") >= count for name, count in wanted.items()):
                return snapshot
            await asyncio.sleep(0.01)


async def test_each_call_gets_its_own_echo_back(worker: RelayWorker) -> None:
    """Calls that share a socket stay apart, each under one SSRC of its own, and every packet is timed."""
    with RtpPeer() as first, RtpPeer() as second:
        for call, peer in (("first", first), ("second", second)):
            place = await worker.reserve(call)
            await worker.connect(call, peer.address)
        for number in range(50):
            first.send(place, LEG, number)
            second.send(place, LEG + 1, number)
        first.receive_until(50)
        second.receive_until(50)
        snapshot = await settled(worker, returned=100)
    assert first.number.tolist() == second.number.tolist() == list(range(50))
    assert set(first.leg) == {0}
    assert set(second.leg) == {1}
    assert len(set(first.ssrc)) == len(set(second.ssrc)) == 1
    assert first.ssrc[0] != second.ssrc[0]
    for name in ("received", "forwarded", "echoed", "returned"):
        assert snapshot.count(f"relay.{name}") == 100
    for name in ("lost", "duplicates", "late", "strays", "foreign", "invalid", "refused"):
        assert snapshot.count(f"relay.{name}") == 0
    assert snapshot.histogram("relay_rtt").count == 100
    assert snapshot.histogram("harness.relay_turnaround").count == 200


async def test_it_tells_all_figures_of_its_table_and_no_others(worker: RelayWorker) -> None:
    """What is declared is what is told."""
    assert set(await worker.snapshot()) == {metric.name for metric in RELAY_METRICS}


async def test_strangers_are_counted_and_dropped(worker: RelayWorker) -> None:
    """A packet from another address is never forwarded, even if it comes before Asterisk's first."""
    with RtpPeer() as asterisk, RtpPeer() as stranger:
        place = await worker.reserve("call")
        stranger.send(place, LEG, 0)
        await settled(worker, foreign=1)
        await worker.connect("call", asterisk.address)
        stranger.send(place, LEG, 1)
        asterisk.socket.sendto(b"not RTP at all", place)
        asterisk.send(place, LEG, 2)
        asterisk.receive_until(1)
        snapshot = await settled(worker, foreign=2, invalid=1)
        assert stranger.receive() == 0
    assert snapshot.count("relay.received") == snapshot.count("relay.forwarded") == 1


async def test_what_the_echo_server_does_is_seen_on_its_leg() -> None:
    """Losses and duplicates equal the echo server's own counts, and its delay is the relay's round trip."""
    impairment = Impairment(loss=0.2, duplicate=0.2, delay_ns=20_000_000, seed=3)
    with (
        EchoServerProcess(impairment=impairment) as echo,
        RelayProcess(echo.address, rtp_ports=PORTS) as relay,
        RtpPeer() as asterisk,
    ):
        async with await relay.connect() as worker:
            place = await worker.reserve("call")
            await worker.connect("call", asterisk.address)
            for number in range(200):
                asterisk.send(place, LEG, number)
                if number % 50 == 49:
                    await asyncio.sleep(0.001)
            await settled(worker, forwarded=200)
            await asyncio.sleep(0.2)
            await worker.release("call")
            snapshot, truth = await worker.snapshot(), echo.snapshot()
    assert truth.count("echo.received") == 200
    assert snapshot.count("relay.lost") == truth.count("echo.dropped") > 0
    assert snapshot.count("relay.duplicates") == truth.count("echo.duplicated") > 0
    assert snapshot.count("relay.echoed") == truth.count("echo.sent")
    assert snapshot.histogram("relay_rtt").count == 200 - truth.count("echo.dropped")
    assert snapshot.histogram("relay_rtt").min > 19_900_000  # send times within a batch are interpolated


async def test_a_released_call_is_relayed_no_more(worker: RelayWorker) -> None:
    """Packets that Asterisk sends after the end of a call are strays, not strangers' and not forwarded."""
    with RtpPeer() as asterisk:
        place = await worker.reserve("call")
        await worker.connect("call", asterisk.address)
        await worker.release("call")
        asterisk.send(place, LEG, 0)
        snapshot = await settled(worker, strays=1)
    assert snapshot.count("relay.forwarded") == snapshot.count("relay.foreign") == 0


async def test_more_calls_than_a_socket_takes_get_another_one(worker: RelayWorker) -> None:
    """A pair of sockets serves 128 calls; the next call gets a port of its own, which serves as well."""
    places = [await worker.reserve(f"call {number}") for number in range(CALLS_PER_GROUP + 1)]
    assert len(set(places[:-1])) == 1
    assert places[-1] != places[0]
    with RtpPeer() as asterisk:
        await worker.connect(f"call {CALLS_PER_GROUP}", asterisk.address)
        asterisk.send(places[-1], LEG, 0)
        asterisk.receive_until(1)


async def test_orders_that_make_no_sense_are_refused(worker: RelayWorker) -> None:
    """Each refusal says what is wrong, and the relay goes on."""
    await worker.reserve("call")
    with pytest.raises(MediaLoopFailed, match="already"):
        await worker.reserve("call")
    with pytest.raises(MediaLoopFailed, match="no place"):
        await worker.release("nobody")
    with pytest.raises(MediaLoopFailed, match="illegal IP"):
        await worker.connect("call", ("asterisk.example", 4000))
    await worker.connect("call", ("127.0.0.1", 4000))


async def test_exhausted_ports_are_told_as_such(echo: EchoServerProcess) -> None:
    """The numbers of the port range reach the client."""
    with RelayProcess(echo.address, rtp_ports=(41_000, 41_001)) as relay:
        async with await relay.connect() as worker:
            for number in range(CALLS_PER_GROUP):
                await worker.reserve(f"call {number}")
            with pytest.raises(PortsExhausted) as caught:
                await worker.reserve("one too many")
    assert caught.value.leased == 1


def test_ports_of_a_call_that_cannot_be_served_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other socket of the pair cannot be opened, the client is told, and nothing stays leased."""

    def refuse(address: tuple[str, int]) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(relay_group, "open_udp_socket", refuse)
    ours, theirs = socket.socketpair()
    with (
        PortManager(41_000, 41_001, host="127.0.0.1") as ports,
        ReadyLoop() as loop,
        Relay(loop, ports, ("127.0.0.1", 4000), "127.0.0.1") as relay,
        theirs,
    ):
        relay.serve(ours, only=True)
        theirs.sendall(encode(Reserve(number=1, call="a")))
        theirs.shutdown(socket.SHUT_WR)
        loop.run(relay.next_sweep_ns, relay.sweep)
        greeting, refusal = map(decode_reply, theirs.recv(1 << 16).splitlines())
        with pytest.raises(PortsExhausted) as caught:
            ports.lease()
    assert greeting.number == 0
    assert "Too many open files" in refusal.error
    assert (caught.value.leased, caught.value.resting) == (0, 1)


async def test_a_lost_client_ends_the_relay_process(echo: EchoServerProcess) -> None:
    """The process ends with its control connection: no call outlives the one who asked for it."""
    relay = RelayProcess(echo.address, rtp_ports=PORTS)
    relay.start()
    pid = relay.pid
    assert pid
    worker = await relay.connect()
    began = time.monotonic()
    relay.stop()
    assert time.monotonic() - began < 0.5
    with pytest.raises(MediaLoopFailed, match="gone"):
        await worker.reserve("call")
    await worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_relay_on_another_host_serves_several_clients(echo: EchoServerProcess) -> None:
    """Over TCP each client has calls and figures of its own; a client that leaves takes only its own along."""
    command = [sys.executable, "-m", "pytest_ari_sla.peers.relay.relay_worker", "--listen", "127.0.0.1:0"]
    command += ["--echo", "{}:{}".format(*echo.address), "--rtp-ports", "{}-{}".format(*PORTS)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    listening = (await process.stdout.readline()).decode().split()[2]
    address = ("127.0.0.1", int(listening.rpartition(":")[2]))
    async with await RelayWorker.at(address) as stays, await RelayWorker.at(address) as leaves:
        place = await stays.reserve("call")
        assert await leaves.reserve("call") != place
        await leaves.close()
        with socket.create_connection(address) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with RtpPeer() as asterisk:
            await stays.connect("call", asterisk.address)
            asterisk.send(place, LEG, 0)
            asterisk.receive_until(1)
        assert (await stays.snapshot()).count("relay.returned") == 1
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_nobody_and_strangers_are_no_relay() -> None:
    """Connecting where no relay listens, or something else, says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        connecting = asyncio.create_task(RelayWorker.at(address))
        await asyncio.sleep(0.05)
        stranger, _ = listener.accept()
        stranger.sendall(b"220 mail.example ESMTP\r\n")
        with pytest.raises(MediaLoopFailed, match="no relay at"):
            await connecting
        stranger.close()
    with pytest.raises(MediaLoopFailed, match="no relay at"):
        await RelayWorker.at(address)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "127.0.0.1:0"], "--echo"),
        (["--echo", "127.0.0.1", "--listen", "127.0.0.1:0"], "is not an address"),
        (["--echo", "127.0.0.1:0", "--listen", "127.0.0.1:0"], "is not an address"),
        (["--transport", "audiosocket", "--echo", "127.0.0.1:0"], "is not an address"),
        (["--echo", "127.0.0.1:4000", "--listen", "127.0.0.1:0", "--rtp-ports", "many"], "not a range"),
        (["--echo", "127.0.0.1:4000", "--listen", "127.0.0.1:0", "--rtp-ports", "5-4"], "range"),
        (["--echo", "127.0.0.1:4000", "--listen", "203.0.113.1:0"], "assign"),
        (["--echo", "127.0.0.1:4000"], "--listen"),
    ],
)
def test_bad_arguments_are_a_usage_error(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence says what is wrong, before anything listens."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("transport", ["rtp", "audiosocket"])
def test_a_name_without_an_address_is_a_usage_error(
    transport: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, and not when the first call comes."""

    def find_none(host: str) -> str:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "gethostbyname", find_none)
    with pytest.raises(SystemExit):
        main(["--transport", transport, "--echo", "echo.invalid:4000"])
    assert "'echo.invalid' has no address" in capsys.readouterr().err
