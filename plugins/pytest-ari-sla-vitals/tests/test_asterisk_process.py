import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from pytest_ari_sla_vitals.asterisk_process import AsteriskProcess, parse_channels, parse_queued_tasks

TASKPROCESSORS = """vm/32037/22.10.1

Processor                             Processed   In Queue  Max Depth  Low water High water Low time(us) High time(us)
ast_msg_queue                                 0          2          5        450        500          0          0
stasis/m:devicestate:all-00000002          1234          3         17        450        500         12         99

2 taskprocessors
"""


@pytest.mark.parametrize(
    ("answer", "channels"),
    [
        ("vm/1/22.10.1\n0 active channels\n0 active calls\n0 calls processed\n", 0),
        ("vm/1/22.10.1\n1 active channel\n1 active call\n7 calls processed\n", 1),
        ("vm/1/22.10.1\n1200 active channels\n600 active calls\n", 1200),
        ("", None),
        ("No such command", None),
    ],
)
def test_the_number_of_channels_is_read(answer: str, channels: int | None) -> None:
    """From Asterisk's own words; None where it said something else."""
    assert parse_channels(answer) == channels


def test_queued_tasks_are_added_up_over_all_taskprocessors() -> None:
    """The column "In Queue", not the most there ever were."""
    assert parse_queued_tasks(TASKPROCESSORS) == 5
    assert parse_queued_tasks("") is None


@pytest.fixture
def control_socket(tmp_path: Path) -> Path:
    """A socket of this process that answers one command as Asterisk's command line does."""
    path = tmp_path / "asterisk.ctl"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        with server, server.accept()[0] as connection:
            connection.sendall(b"vm/1/22.10.1\n")
            command = connection.recv(1000)
            connection.sendall(b"3 active channels\n" if command.endswith(b"channels count\0") else b"?")

    threading.Thread(target=serve, daemon=True).start()
    return path


@pytest.mark.usefixtures("control_socket")
def test_a_command_is_asked_on_the_socket_that_the_process_listens_on() -> None:
    """The control socket is found by looking at the process's own sockets, under its own root."""
    process = AsteriskProcess(psutil.Process())
    assert parse_channels(process.command("core show channels count")) == 3


def test_without_a_control_socket_there_is_no_answer() -> None:
    """A process that is no Asterisk, or one that we may not talk to, gives readings without channels."""
    vitals = AsteriskProcess(psutil.Process()).read()
    assert vitals is not None
    assert (vitals.channels, vitals.queued_tasks) == (None, None)
    assert vitals.rss_bytes > 1e6
    assert vitals.open_files > 2
    assert vitals.threads >= 1
    assert vitals.cpu_s > 0


LISTENER = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextmanager
def listening(program: Path, *arguments: str) -> Iterator[tuple[int, int]]:
    """Run a program of that name that listens on this host; return its process and its port."""
    program.parent.mkdir(exist_ok=True)
    program.write_text(LISTENER)
    command = [sys.executable, str(program), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.kill()


def test_the_process_is_found_by_its_port(tmp_path: Path) -> None:
    """The Asterisk that listens at ARI's port on this host."""
    with listening(tmp_path / "asterisk") as (pid, port):
        for host in ("127.0.0.1", "localhost"):
            found = AsteriskProcess.listening_at(host, port)
            assert found is not None
            assert found.pid == pid
    assert AsteriskProcess.listening_at("127.0.0.1", port) is None


def test_what_listens_in_place_of_an_asterisk_is_not_measured_as_one(tmp_path: Path) -> None:
    """Docker's proxy at a published port, or another one that happens to live in a folder of Asterisk's name."""
    folder = tmp_path / "asterisk"
    with listening(folder / "docker-proxy", "-container-ip", "172.17.0.2", str(folder)) as (_, port):
        assert AsteriskProcess.listening_at("127.0.0.1", port) is None


def test_a_process_elsewhere_is_not_looked_for() -> None:
    """A host that is not this one is none of ours, even if something listens at that port here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert AsteriskProcess.listening_at("192.0.2.1", server.getsockname()[1]) is None
        assert AsteriskProcess.listening_at("no.such.host.invalid", server.getsockname()[1]) is None
