from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import HostLimit, OpenFilesLimit, PortsExhausted, UsageError
from pytest_ari_sla.udp import port_leases
from pytest_ari_sla.udp.port_blocks import BLOCK_PORTS
from pytest_ari_sla.udp.port_leases import PortManager
from pytest_ari_sla.udp.port_table import PortCounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Below Asterisk's ports and our own, so that loads on this machine are not disturbed; apart for each xdist worker.
LOW = (56 + 4 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])) * BLOCK_PORTS
HOST = "127.0.0.1"

# Leases 40 pairs, says which, and stays until its standard input ends.
_LEASING_PROCESS = """
import sys
from pathlib import Path
from pytest_ari_sla.udp.port_leases import PortManager
manager = PortManager(int(sys.argv[1]), int(sys.argv[2]), "127.0.0.1", lock_folder=Path(sys.argv[3]))
leases = [manager.lease() for _ in range(40)]
print(*(lease.port for lease in leases), flush=True)
sys.stdin.read()
"""


class Clock:
    """A clock that stands still until it is set."""

    now_ns = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def manager(tmp_path: Path, clock: Clock) -> Iterator[PortManager]:
    """Return a manager of four pairs whose time stands still."""
    with PortManager(LOW, LOW + 7, HOST, lock_folder=tmp_path, quarantine_s=2.0, clock_ns=clock) as manager:
        yield manager


def start_leasing_process(low: int, high: int, folder: Path) -> tuple[subprocess.Popen[str], set[int]]:
    """Start a process that leases 40 pairs; return it and its ports."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LEASING_PROCESS, str(low), str(high), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, {int(port) for port in process.stdout.readline().split()}


def end(process: subprocess.Popen[str]) -> None:
    """Let a leasing process end, or take note that it is dead."""
    process.communicate(timeout=20)


def test_a_lease_holds_an_even_port_and_the_next_one_bound(manager: PortManager) -> None:
    """What is leased can receive at once, and nobody else can bind it meanwhile."""
    with manager.lease() as lease:
        assert lease.port % 2 == 0
        assert lease.rtp_socket.getsockname() == (HOST, lease.port)
        assert lease.rtcp_socket.getsockname() == (HOST, lease.port + 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind((HOST, lease.port))


def test_a_released_pair_leaves_the_table_and_rests(manager: PortManager, clock: Clock) -> None:
    """Its sockets close at once; it is leased again only after the quarantine."""
    leases = [manager.lease() for _ in range(4)]
    leases[0].release()
    assert leases[0].rtp_socket.fileno() == leases[0].rtcp_socket.fileno() == -1
    assert manager.counts() == PortCounts(free=0, leased=3, resting=1, refused=0)
    with pytest.raises(PortsExhausted):
        manager.lease()
    clock.now_ns = 2_000_000_000
    assert manager.lease().port == leases[0].port


def test_a_second_release_does_not_touch_the_next_lease_of_the_port(manager: PortManager, clock: Clock) -> None:
    """A call that is ended twice must not end another call's media."""
    leases = [manager.lease() for _ in range(4)]
    leases[0].release()
    clock.now_ns = 2_000_000_000
    successor = manager.lease()
    leases[0].release()
    assert successor.rtp_socket.fileno() != -1
    assert manager.counts() == PortCounts(free=0, leased=4, resting=0, refused=0)


def test_exhaustion_says_how_many_are_leased_and_resting_and_how_to_widen(manager: PortManager) -> None:
    """The numbers are in the sentence and in the error's attributes."""
    leases = [manager.lease() for _ in range(4)]
    leases[0].release()
    with pytest.raises(PortsExhausted, match=r"3 leased, 1 resting for 2 s .*--ari-rtp-ports") as caught:
        manager.lease()
    assert (caught.value.leased, caught.value.resting) == (3, 1)


@pytest.mark.parametrize("taken", [0, 1], ids=["RTP port taken", "RTCP port taken"])
def test_a_pair_of_which_a_stranger_has_one_port_is_skipped(manager: PortManager, clock: Clock, taken: int) -> None:
    """It is tried again after a while, since the stranger may be gone by then."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((HOST, LOW + taken))
        assert [manager.lease().port for _ in range(3)] == [LOW + 2, LOW + 4, LOW + 6]
        with pytest.raises(PortsExhausted, match="1 in use by other programs"):
            manager.lease()
    clock.now_ns = 2_000_000_000
    assert manager.lease().port == LOW


def test_closing_the_manager_releases_every_lease_and_gives_the_block_up(tmp_path: Path) -> None:
    """Another manager can have the same ports at once; the closed one leases no more."""
    first = PortManager(LOW, LOW + 7, HOST, lock_folder=tmp_path)
    leases = [first.lease() for _ in range(4)]
    first.close()
    first.close()
    assert [lease.rtp_socket.fileno() for lease in leases] == [-1] * 4
    with PortManager(LOW, LOW + 7, HOST, lock_folder=tmp_path) as second:
        assert second.lease().port == LOW
    with pytest.raises(UsageError, match="closed"):
        first.lease()


def test_two_processes_never_share_a_port_and_a_killed_one_leaves_its_blocks(tmp_path: Path) -> None:
    """Both lease from one range at a time; after SIGKILL the kernel has freed the locks, and the next run gets them."""
    low, high = LOW, LOW + 2 * BLOCK_PORTS - 1  # a block for each process: 64 pairs
    first, first_ports = start_leasing_process(low, high, tmp_path)
    second, second_ports = start_leasing_process(low, high, tmp_path)
    assert len(first_ports) == len(second_ports) == 40
    assert not first_ports & second_ports
    with PortManager(low, high, HOST, lock_folder=tmp_path) as third:
        with pytest.raises(PortsExhausted, match="2 blocks of ports held by other runs"):
            third.lease()
        os.kill(first.pid, signal.SIGKILL)
        end(first)
        assert {third.lease().port for _ in range(40)} == first_ports
    end(second)


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (errno.EMFILE, OpenFilesLimit, "ulimit -n"),
        (errno.ENFILE, OpenFilesLimit, "fs.file-max"),
        (errno.EACCES, UsageError, "may not bind"),
        (errno.EADDRNOTAVAIL, UsageError, "not an address of this machine"),
        (errno.ENOBUFS, HostLimit, "no more memory"),
        (errno.EIO, OSError, "Input/output error"),
    ],
)
def test_a_refusal_of_the_system_is_told_from_too_few_ports(
    manager: PortManager, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], message: str
) -> None:
    """The pair is not lost by it: it can be leased when the cause is gone."""

    def refuse(address: tuple[str, int], buffer_bytes: int) -> socket.socket:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(port_leases, "open_udp_socket", refuse)
        with pytest.raises(error, match=message):
            manager.lease()
    assert manager.counts() == PortCounts(free=4, leased=0, resting=0, refused=0)
    assert manager.lease().port == LOW


def test_a_host_that_is_not_ours_is_a_usage_error(tmp_path: Path) -> None:
    """192.0.2.0/24 is for documentation: no machine has an address in it."""
    with PortManager(LOW, LOW + 7, "192.0.2.1", lock_folder=tmp_path) as manager:
        with pytest.raises(UsageError, match=r"192\.0\.2\.1 is not an address of this machine.*--ari-media-bind"):
            manager.lease()
        assert manager.counts().leased == 0


@pytest.mark.parametrize(("low", "high"), [(0, 10), (10, 10), (20, 10), (65_535, 65_536), (10_001, 10_002), (-4, 8)])
def test_a_range_without_a_pair_is_a_usage_error(tmp_path: Path, low: int, high: int) -> None:
    """It is refused before anything is leased."""
    with pytest.raises(UsageError, match="range of RTP ports"):
        PortManager(low, high, HOST, lock_folder=tmp_path)
