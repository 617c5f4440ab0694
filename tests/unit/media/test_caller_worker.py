from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import MediaLoopFailed, PortsExhausted
from pytest_ari_sla.media import caller_worker
from pytest_ari_sla.media.loop import process as loop_process
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.rtp import rtcp
from pytest_ari_sla.rtp_media.transport import LEGS_PER_SOCKET
from pytest_ari_sla.trackers.packets.sequence import SequenceTracker
from pytest_ari_sla.udp.batched import BACKEND_VARIABLE
from pytest_ari_sla.udp.port_leases import PortManager
from tests.unit.media.callers import begin, finish, make_caller, take
from tests.unit.rtp_media.rtcp_peer import RtcpPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.media.caller_worker import CallerWorker
    from pytest_ari_sla.media.transport import LegEndpoint
    from pytest_ari_sla.metrics.snapshot import Snapshot
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

MS = 1_000_000


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[PortManager]:
    """Ports of this test's own."""
    with PortManager(42_000, 42_999, "127.0.0.1", lock_folder=tmp_path / "locks") as manager:
        yield manager


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoServerProcess]:
    """An echo server that does nothing to packets."""
    with EchoServerProcess() as server:
        yield server


class Silence:
    """A tracker that measures nothing."""

    name = "silence"
    metrics = ()

    def begin(self, context: object) -> None:
        """Nothing to prepare."""

    def observe(self, batch: PacketBatch) -> None:
        """Nothing to see."""

    def advance(self, now_ns: int) -> None:
        """Nothing depends on time."""

    def release(self, legs: object) -> None:
        """Nothing is kept."""

    def snapshot(self) -> dict[str, int]:
        """Nothing was measured."""
        return {}

    def per_leg(self) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """Nothing is known."""
        return {}


class Broken(Silence):
    """A tracker with a bug."""

    name = "broken"

    def observe(self, batch: PacketBatch) -> None:
        """Do what bugs do."""
        raise ZeroDivisionError("a bug of a plug-in")


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def returned(caller: CallerWorker, seats: Sequence[LegEndpoint], packets: int) -> None:
    """Wait until all packets of these legs were sent, and are back."""
    await until(lambda: caller.have_ended(seats, packets) and caller.outstanding(seats) == 0)


async def received(caller: CallerWorker, packets: int) -> None:
    """Wait until at least so many packets have come, from anywhere."""
    await until(lambda: caller.packets_received >= packets)


async def all_back(caller: CallerWorker, echo: Address, legs: int, packets: int) -> Snapshot:
    """Stream from some legs until all is back, end them, and return the final numbers."""
    async with caller:
        seats = begin(caller, [echo] * legs, packets)
        await returned(caller, seats, packets)
        await finish(caller, seats)
    return caller.snapshot()


@pytest.fixture(params=["mmsg", "python"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with each back end; the media process inherits the choice."""
    monkeypatch.setenv(BACKEND_VARIABLE, request.param)


@pytest.mark.usefixtures("backend")
async def test_every_packet_is_back_and_counted(ports: PortManager, echo: EchoServerProcess) -> None:
    """Sent, received, measured: the numbers are exact, and agree with each other."""
    total = await all_back(make_caller(ports), echo.address, 1, 30)
    sent = 30 - total.count("harness.not_sent")  # which a busy machine may have kept us from sending
    assert total.count("loss.sent") == total.count("loss.received") == sent
    assert total.histogram("rtt").count == total.histogram("rtt_intended").count == sent
    assert total.histogram("harness.pacing_error").count == sent
    for name in ("loss.lost", "duplicates", "late", "misrouted", "harness.foreign_packets", "harness.receive_drops"):
        assert total.count(name) == 0, name


async def test_many_legs_are_told_apart_by_socket_and_source(ports: PortManager) -> None:
    """More legs than one socket takes, to several echo servers: no packet is anybody else's."""
    legs = LEGS_PER_SOCKET + 20
    with EchoServerProcess() as one, EchoServerProcess() as other:
        servers = [one, other]
        caller = make_caller(ports, legs)
        async with caller:
            seats = [take(caller) for _ in range(legs)]
            chosen = []
            for number in range(2):
                pair = [seat for seat in seats if seat.socket == number][:2]
                for seat, server in zip(pair, servers, strict=True):
                    caller.start_leg(seat, server.address, 10)
                chosen += pair
            await returned(caller, chosen, 10)
            reports = await finish(caller, chosen)
    assert all(report.received == report.sent > 0 for report in reports)
    assert caller.snapshot().count("loss.lost") == caller.snapshot().count("harness.foreign_packets") == 0


async def test_the_report_of_a_leg_is_its_own(ports: PortManager, echo: EchoServerProcess) -> None:
    """Of two legs, the one that hears nothing has sent all, received none, and knows no delay."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        async with make_caller(ports, 2) as caller:
            seats = begin(caller, [echo.address, deaf.getsockname()], 10)
            await returned(caller, seats[:1], 10)
            await until(lambda: caller.have_ended(seats, 10))
            heard, unheard = await finish(caller, seats)
    assert heard.sent == heard.received > 0
    assert unheard.sent > 0
    assert heard.first_arrival_ns > 0
    assert heard.values["loss.lost"] == 0
    assert 0 < heard.values["rtt.max"] < 1
    assert (unheard.received, unheard.first_arrival_ns) == (0, 0)
    # Nobody has waited for these: nothing is known of them yet.
    assert "loss.ratio" not in unheard.values
    assert "rtt.max" not in unheard.values


async def test_a_leg_is_used_again_with_nothing_left_of_its_last_call(
    ports: PortManager, echo: EchoServerProcess
) -> None:
    """Numbers, addresses and counts of a call that is over never reach the next one."""
    async with make_caller(ports, 1) as caller:
        for _ in range(3):
            assert caller.free_calls == 1
            (seat,) = begin(caller, [echo.address], 5)
            assert caller.free_calls == 0
            await returned(caller, [seat], 5)
            (report,) = await finish(caller, [seat])
            assert report.sent == report.received == report.values["loss.sent"] <= 5
            assert report.values["loss.lost"] == 0
    total = caller.snapshot()
    assert total.count("loss.sent") == total.count("loss.received") == 15 - total.count("harness.not_sent")


async def test_a_packet_that_comes_after_its_call_is_a_strangers(ports: PortManager, echo: EchoServerProcess) -> None:
    """Its address was forgotten with the call: it is counted as foreign, and measured nowhere."""
    async with make_caller(ports, 1) as caller:
        (seat,) = begin(caller, [echo.address], 2)
        await returned(caller, [seat], 2)
        (report,) = await finish(caller, [seat])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"late", seat.local)
        await received(caller, report.received + 1)
    total = caller.snapshot()
    assert total.count("harness.foreign_packets") == 1
    assert total.count("loss.received") == report.received


async def test_no_more_legs_are_given_out_than_planned(ports: PortManager) -> None:
    """The plan is what memory was made for."""
    async with make_caller(ports, 1) as caller:
        caller.take_call()
        with pytest.raises(MediaLoopFailed, match="no call is free, of 1"):
            caller.take_call()


async def test_a_drop_made_by_the_network_is_loss(ports: PortManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many packets are lost as the echo server says it dropped: no more, no fewer, and none of them ours."""
    monkeypatch.setattr(caller_worker, "LOSS_LIMIT_NS", 500 * MS)
    with EchoServerProcess(impairment=Impairment(loss=0.2, seed=5)) as echo:
        caller = make_caller(ports)
        async with caller:
            (seat,) = begin(caller, [echo.address], 60)
            await until(lambda: caller.have_ended([seat], 60))
            await asyncio.sleep(0.6)  # what is not back within the limit is lost
            await finish(caller, [seat])
        dropped = echo.snapshot().count("echo.dropped")
    total = caller.snapshot()
    assert total.count("loss.lost") == dropped > 0
    assert total.count("loss.sent") == 60 - total.count("harness.not_sent")
    assert total.count("harness.receive_drops") == 0


async def test_copies_do_not_hide_what_is_still_on_its_way(ports: PortManager) -> None:
    """With most packets doubled, as many packets as were sent are back long before each of them is."""
    impairment = Impairment(duplicate=0.9, delay_ns=100 * MS, jitter_ns=60 * MS, seed=3)
    with EchoServerProcess(impairment=impairment) as echo:
        total = await all_back(make_caller(ports), echo.address, 1, 30)
        duplicated = echo.snapshot().count("echo.duplicated")
    assert total.count("loss.lost") == 0
    assert total.count("loss.received") == 30 - total.count("harness.not_sent")
    # Copies of the very last packets may come when the call is over.
    assert duplicated - 5 <= total.count("duplicates") <= duplicated


async def test_peers_are_told_what_was_sent_and_heard(ports: PortManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """By RTCP, to and from a device that speaks it; what it holds a report for is no part of the round trip."""
    monkeypatch.setattr(rtcp, "REPORT_INTERVAL_NS", 200 * MS)
    told: list[rtcp.SenderReport] = []
    with RtcpPeer() as peer:
        caller = make_caller(ports)
        async with caller:
            (seat,) = begin(caller, [peer.address], 1000)
            while not told:
                await asyncio.sleep(0.01)
                told += peer.sender_reports()
            await asyncio.sleep(0.3)
            peer.answer(told[-1], held_s=0.3, fraction_lost=128, jitter=160)
            await until(lambda: caller.snapshot().count("rtcp.reports") == 1)
            (report,) = await finish(caller, [seat])
    total = caller.snapshot()
    assert 0 < told[0].packets <= total.count("loss.sent") + total.count("loss.unknown")
    assert told[0].octets == 160 * told[0].packets
    assert total.count("harness.reports_sent") >= len(told)
    assert total.count("harness.reports_ignored") == total.count("harness.foreign_packets") == 0
    # More than was waited is this machine's; an answer that was not held back would take 0.3 s.
    assert total.histogram("rtcp.rtt").count == 1
    assert report.values["rtcp.rtt"] == pytest.approx(total.histogram("rtcp.rtt").max / 1e9)
    assert report.values["rtcp.rtt"] < 0.2
    assert total.histogram("rtcp.fraction_lost").max == 128
    assert total.histogram("rtcp.jitter").max == 20 * MS


async def test_a_peer_without_rtcp_reports_nothing(
    ports: PortManager, echo: EchoServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is told as no reports, not as no loss."""
    monkeypatch.setattr(rtcp, "REPORT_INTERVAL_NS", 200 * MS)
    total = await all_back(make_caller(ports), echo.address, 1, 80)
    assert total.count("rtcp.reports") == total.histogram("rtcp.fraction_lost").count == 0
    assert total.count("loss.lost") == 0


async def test_leaving_takes_less_than_100_ms_under_load(ports: PortManager, echo: EchoServerProcess) -> None:
    """With 200 streams in full flow; the best of three, since a busy machine is no fault of ours."""
    took_s = []
    for _ in range(3):
        caller = make_caller(ports, 200, trackers=[Silence()])
        async with caller:
            begin(caller, [echo.address] * 200, 1000)
            await received(caller, 1000)
            began_s = time.monotonic()
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 0.1
    assert ports.counts().leased == 0


async def test_an_idle_worker_ends_by_itself(ports: PortManager) -> None:
    """Without being killed: what it knows at its end is told, such as its processor time."""
    caller = make_caller(ports)
    async with caller:
        pass
    assert caller.media_cpu_ns() > 0


async def test_a_media_process_that_was_stopped_for_good_is_given_up(
    ports: PortManager, echo: EchoServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for it to obey; the signal is named."""
    async with make_caller(ports) as caller:
        (seat,) = begin(caller, [echo.address], 1000)
        os.kill(caller.media_pid, signal.SIGSTOP)
        monkeypatch.setattr(loop_process, "STANDSTILL_S", 0.3)
        with pytest.raises(MediaLoopFailed, match=r"stands still since \d+ s; it was stopped by signal 19 \(SIGSTOP\)"):
            await caller.stop_leg(seat)
    assert ports.counts().leased == 0


async def test_a_killed_media_process_is_told_as_such(ports: PortManager, echo: EchoServerProcess) -> None:
    """At the next look at the numbers and at the next order: no load goes on without packets."""
    async with make_caller(ports) as caller:
        (seat,) = begin(caller, [echo.address], 1000)
        os.kill(caller.media_pid, signal.SIGKILL)
        with pytest.raises(MediaLoopFailed, match=r"process that moves packets was ended by signal 9 \(SIGKILL\)"):
            await until(lambda: caller.snapshot() is None)
        with pytest.raises(MediaLoopFailed, match="signal 9"):
            await caller.stop_leg(seat)
    assert ports.counts().leased == 0


async def test_ctrl_c_is_for_the_parent(ports: PortManager, echo: EchoServerProcess) -> None:
    """The terminal interrupts all processes of the group; packets flow until the calls are ended in order."""
    async with make_caller(ports) as caller:
        (seat,) = begin(caller, [echo.address], 20)
        os.kill(caller.media_pid, signal.SIGINT)
        await returned(caller, [seat], 20)


async def test_a_tracker_with_a_bug_costs_its_own_metrics_only(ports: PortManager, echo: EchoServerProcess) -> None:
    """Calls go on and are measured by the others; what was wrong is told in the end."""
    async with make_caller(ports, trackers=[SequenceTracker(), Broken()]) as caller:
        (seat,) = begin(caller, [echo.address], 5)
        await returned(caller, [seat], 5)
        (report,) = await finish(caller, [seat])
    assert report.received == 5
    assert caller.snapshot().count("harness.trackers_failed") == 1
    assert caller.remarks() == [
        "tracker 'broken' of a test failed in observe() and was left out: ZeroDivisionError: a bug of a plug-in"
    ]


async def test_a_worker_that_cannot_start_leaves_nothing_open(
    ports: PortManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A media process that does not come up is told as such; sockets and ports are free again."""
    before = open_sockets()
    with monkeypatch.context() as patch:
        patch.setenv(BACKEND_VARIABLE, "carrier pigeon")
        with pytest.raises(MediaLoopFailed, match="exit code 1"):
            async with make_caller(ports):
                pass
    assert ports.counts().leased == 0
    assert open_sockets() == before


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    return sum("socket:" in os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("keep_packets", [True, False])
async def test_packets_are_kept_as_evidence_where_that_is_wanted(
    ports: PortManager, echo: EchoServerProcess, *, keep_packets: bool
) -> None:
    """Both directions of a leg, with their addresses; what the echo server returned is what was sent."""
    async with make_caller(ports, keep_packets=keep_packets) as caller:
        seats = begin(caller, [echo.address], 20)
        await returned(caller, seats, 20)
        (report,) = await finish(caller, seats)
    if not keep_packets:
        assert not report.streams
        return
    there, back = report.streams
    assert (there.source, there.destination) == (back.destination, back.source) == (seats[0].local, echo.address)
    assert len(there.packets) == len(back.packets) == report.sent
    for name in ("sequence", "timestamp", "ssrc"):
        assert there.packets.header[name].tolist() == back.packets.header[name].tolist(), name
    assert (there.packets.time_ns < back.packets.time_ns).all()
    assert there.packets.length.tolist() == back.packets.length.tolist()


async def test_a_worker_without_ports_leaves_nothing_open(tmp_path: Path) -> None:
    """The sockets that it did get are given back."""
    with PortManager(43_000, 43_001, "127.0.0.1", lock_folder=tmp_path / "locks") as ports:
        with pytest.raises(PortsExhausted):
            async with make_caller(ports, 2 * LEGS_PER_SOCKET):
                pass
        assert ports.counts().leased == 0


ORPHANED = """
import asyncio
from pathlib import Path
from pytest_ari_sla.udp.port_leases import PortManager
from tests.unit.media.callers import begin, make_caller

async def main():
    with PortManager(44_000, 44_099, "127.0.0.1", lock_folder=Path({locks!r})) as ports:
        async with make_caller(ports) as caller:
            begin(caller, [("127.0.0.1", {port})], 100000)
            print(caller.media_pid, flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_media_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Nobody is left to end it: it sees its command socket close."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        program = ORPHANED.format(locks=str(tmp_path / "locks"), port=deaf.getsockname()[1])
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            media_pid = int(parent.stdout.readline())
            parent.kill()
            parent.wait()
            deadline_s = time.monotonic() + 5
            while _is_running(media_pid) and time.monotonic() < deadline_s:
                time.sleep(0.02)
            assert not _is_running(media_pid)


def _is_running(pid: int) -> bool:
    """Tell whether a process runs; one that ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
