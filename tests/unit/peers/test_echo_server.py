from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.echo_server import ECHO_METRICS, main
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.peers.echo.impairment_log import Action, load_log, overtaken
from tests.unit.peers.rtp_peer import RtpPeer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MS = 1_000_000
LEGS = np.arange(20)


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def place(leg: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number per packet of a leg."""
    return leg * 1_000_000 + number


def test_every_packet_comes_back_as_it_was_to_where_it_came_from() -> None:
    """Two senders get their own packets, all of them, in order and with the same SSRC."""
    with EchoServerProcess() as echo, RtpPeer() as first, RtpPeer() as second:
        for number in range(50):
            first.send(echo.address, LEGS, number)
            second.send(echo.address, LEGS[:3] + 100, number)
        first.receive_until(1000)
        second.receive_until(150)
        snapshot = echo.snapshot()
    assert place(first.leg, first.number).tolist() == [leg * 1_000_000 + n for n in range(50) for leg in range(20)]
    assert (first.ssrc == 1000 + first.leg).all()
    assert set(second.leg) == {100, 101, 102}
    assert snapshot.count("echo.received") == snapshot.count("echo.sent") == 1150
    assert snapshot.histogram("harness.echo_turnaround").count == 1150


def test_it_tells_all_figures_of_its_table_and_no_others() -> None:
    """What is declared is what is told."""
    with EchoServerProcess() as echo:
        assert set(echo.snapshot()) == {metric.name for metric in ECHO_METRICS}


def test_what_is_not_rtp_is_not_sent_back() -> None:
    """Strangers' datagrams are counted and left unanswered: an echo server must not be a reflector for anything."""
    with EchoServerProcess() as echo, RtpPeer() as peer:
        for junk in (b"", b"hello, is anybody there", b"\x80\x00"):
            peer.socket.sendto(junk, echo.address)
        peer.send(echo.address, LEGS, 0)
        peer.receive_until(20)
        assert echo.snapshot().count("echo.invalid") == 3


def test_impairments_are_what_the_servers_own_log_says(tmp_path: Path) -> None:
    """What arrives matches the log exactly in counts, packet by packet, and within 1 ms in time (p99)."""
    impairment = Impairment(
        loss=0.02, delay_ns=30 * MS, jitter_ns=5 * MS, duplicate=0.01, reorder=0.02, seed=7, packet_ns=20 * MS
    )
    log_file = tmp_path / "echo.npz"
    echo = EchoServerProcess(impairment=impairment, log=log_file)
    with RtpPeer() as peer:
        echo.start()
        sent_ns = {}
        start_ns = time.monotonic_ns()
        for number in range(75):
            time.sleep(max(0, start_ns + number * 20 * MS - time.monotonic_ns()) / 1e9)
            sent_ns[number] = time.time_ns()
            peer.send(echo.address, LEGS, number)
            peer.receive()
        time.sleep(0.1)
        peer.receive()
        snapshot = echo.snapshot()
        echo.stop()
    log = load_log(log_file)
    sent = log[np.isin(log["action"], (Action.SENT, Action.SENT_AGAIN))]
    first, again = log[log["action"] == Action.SENT], log[log["action"] == Action.SENT_AGAIN]
    dropped = log[log["action"] == Action.DROPPED]

    # Counts: exactly, by packet.
    assert sorted(place(sent["leg"], sent["number"])) == sorted(place(peer.leg, peer.number))
    assert len(first) + len(dropped) == 20 * 75 == snapshot.count("echo.received")
    assert len(dropped) == snapshot.count("echo.dropped") > 0
    assert len(again) == snapshot.count("echo.duplicated") > 0
    _, firsts = np.unique(place(peer.leg, peer.number), return_index=True)
    firsts.sort()
    seen = [peer.number[firsts][peer.leg[firsts] == leg] for leg in LEGS]
    reordered = sum(int(np.count_nonzero(numbers < np.maximum.accumulate(numbers))) for numbers in seen)
    assert overtaken(log) == reordered > 0

    # Times: what the receiver's kernel saw against the log, and the log against what was wanted.
    left_ns = dict(zip(place(first["leg"], first["number"]), first["arrival_ns"] + first["done_ns"], strict=True))
    arrivals = zip(place(peer.leg, peer.number)[firsts], peer.arrival_ns[firsts], strict=True)
    errors_ns = np.abs([arrival_ns - left_ns[packet] for packet, arrival_ns in arrivals])
    assert np.percentile(errors_ns, 99) < MS
    assert (first["done_ns"] >= first["delay_ns"]).all()
    assert (first["delay_ns"] >= 25 * MS).all()
    assert first["has_probe"].all()


def test_the_same_seed_gives_the_same_faults_in_another_process() -> None:
    """Two servers that see the same packets in another order drop the same ones."""
    impairment = Impairment(loss=0.3, seed=11)
    survivors = []
    for order in (range(20), reversed(range(20))):
        with EchoServerProcess(impairment=impairment) as echo, RtpPeer() as peer:
            for number in order:
                peer.send(echo.address, LEGS, number)
            deadline = time.monotonic() + 2
            while echo.snapshot().count("echo.received") < 400 and time.monotonic() < deadline:
                time.sleep(0.01)
            peer.receive_until(echo.snapshot().count("echo.sent"))
            survivors.append(set(place(peer.leg, peer.number)))
    assert survivors[0] == survivors[1]
    assert 200 < len(survivors[0]) < 360


def test_packets_without_a_probe_are_impaired_by_ssrc_and_sequence() -> None:
    """RTP that is not ours meets faults as well: about the share asked for."""
    with EchoServerProcess(impairment=Impairment(loss=0.5)) as echo, RtpPeer() as peer:
        for sequence in range(400):
            peer.socket.sendto(b"\x80\x00" + sequence.to_bytes(2) + bytes(8) + b"audio", echo.address)
        deadline = time.monotonic() + 2
        while echo.snapshot().count("echo.received") < 400 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 140 < echo.snapshot().count("echo.dropped") < 260


def test_it_stops_within_100_ms_under_load() -> None:
    """Packets that keep coming, and packets that still wait, do not hold it up."""
    took_s = []
    for _ in range(3):  # the best of three: the machine may be busy with something else
        echo = EchoServerProcess(impairment=Impairment(delay_ns=500 * MS))
        with RtpPeer() as peer:
            echo.start()
            for number in range(100):
                peer.send(echo.address, np.arange(100), number)
            began = time.monotonic()
            echo.stop()
            took_s.append(time.monotonic() - began)
        assert echo.pid is None
    assert min(took_s) < 0.1


def test_it_dies_with_its_parent() -> None:
    """A parent that is killed outright leaves no orphan."""
    program = (
        "import time; from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess;"
        "echo = EchoServerProcess(); echo.start(); print(echo.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    deadline = time.monotonic() + 2
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)


def test_a_port_in_use_is_told() -> None:
    """It does not start on a port that somebody has, and what is asked of it afterwards fails as well."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        echo = EchoServerProcess(port=taken.getsockname()[1])
        with pytest.raises(MediaLoopFailed, match="exit code 2"):
            echo.start()
    with pytest.raises(MediaLoopFailed, match="not running"):
        echo.snapshot()
    with pytest.raises(MediaLoopFailed, match="not started"):
        _ = echo.address


def test_a_server_that_was_killed_is_told() -> None:
    """Asking a dead server says that it is dead, and how it ended."""
    with EchoServerProcess() as echo:
        assert echo.pid
        os.kill(echo.pid, signal.SIGKILL)
        with pytest.raises(MediaLoopFailed, match="the echo server was ended by signal 9"):
            echo.snapshot()


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """As a command it says where it listens, ends in order on Ctrl-C, and then says what it did and writes its log."""
    log = tmp_path / "echo.jsonl"
    command = [sys.executable, "-m", "pytest_ari_sla.peers.echo.echo_server", "--loss", "100%", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, RtpPeer() as peer:
        assert process.stdout
        host, _, port = process.stdout.readline().split()[-1].rpartition(":")
        peer.send((host, int(port)), LEGS, 0)
        select.select([peer.socket], [], [], 0.1)
        process.send_signal(signal.SIGINT)
        words = process.stdout.read()
        assert process.wait(5) == 0
    assert "20  Packets that it dropped on purpose" in words
    assert log.read_text().count('"dropped"') == 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--loss", "120%"], "loss is a share"),
        (["--loss", "lots"], "write it like 2%"),
        (["--delay", "30"], "not a duration"),
        (["--jitter", "5ms"], "between 0 and the delay"),
        (["--host", "203.0.113.1"], "Cannot assign"),
    ],
)
def test_bad_arguments_are_a_usage_error(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence says what is wrong, before anything listens."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
