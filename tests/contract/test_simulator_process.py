"""The simulator as a program and as a target."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_ari_sla.errors import SimulatorStartFailed, UsageError
from pytest_ari_sla.targets.simulator.process import SimulatorProcess

_PROGRAM = [sys.executable, "-m", "pytest_ari_sla.targets.simulator"]


def test_it_is_a_target_like_any_other() -> None:
    """It has an address, a user, a password that no representation shows, and says what it is."""
    with SimulatorProcess() as simulator:
        target = simulator.target
        assert target.kind == "simulator"
        assert "simulator" in target.version
        assert simulator.alive
        assert target.endpoint.base_url == simulator.url
        assert simulator.password not in repr(target)
        assert simulator.password not in Path(f"/proc/{simulator.pid}/cmdline").read_text()
    assert not simulator.alive


def test_it_stops_at_once() -> None:
    """Within a second where the machine is idle, with its media process; stopping twice does no harm."""
    simulator = SimulatorProcess()
    simulator.start()
    children = Path(f"/proc/{simulator.pid}/task/{simulator.pid}/children").read_text().split()
    started_s = time.monotonic()
    simulator.stop()
    simulator.stop()
    assert time.monotonic() - started_s < 4.0  # four for a busy machine; without an end it would be killed after five
    assert len(children) == 1
    assert not Path(f"/proc/{children[0]}").exists()


def test_it_dies_with_its_parent() -> None:
    """A killed test run leaves no simulator behind."""
    script = (
        "from pytest_ari_sla.targets.simulator.process import SimulatorProcess\n"
        "simulator = SimulatorProcess()\n"
        "simulator.start()\n"
        "print(simulator.pid, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + 5.0
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline_s, "the simulator outlived its parent"
        time.sleep(0.05)


def test_a_port_that_is_taken_is_told() -> None:
    """With what the program printed."""
    with SimulatorProcess() as first:
        port = int(first.url.rpartition(":")[2].partition("/")[0])
        second = SimulatorProcess(ari_port=port)
        with pytest.raises(SimulatorStartFailed, match="Address already in use"):
            second.start()
        assert not second.alive


def test_it_is_started_once_and_not_asked_when_it_is_not_there() -> None:
    """Mistakes of the caller are told as such."""
    with SimulatorProcess() as simulator, pytest.raises(UsageError, match="started already"):
        simulator.start()
    with pytest.raises(UsageError, match="not running"):
        _ = simulator.pid


def test_the_program_says_that_it_simulates() -> None:
    """In its first line, with address and a password of its own; SIGTERM ends it in good order."""
    with subprocess.Popen([*_PROGRAM, "--port", "0"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        lines = [program.stdout.readline() for _ in range(3)]
        program.terminate()
    assert program.returncode == 0
    assert lines[0].startswith("SIMULATOR of Asterisk's ARI")
    assert lines[1].startswith("ARI:    http://asterisk:")
    assert lines[2].endswith("/simulator/faults\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fault", "nonsense=1"], "no fault 'nonsense'"),
        (["--rtp-ports", "many"], "not a range of ports"),
        (["--password-file", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_options_end_the_program(options: list[str], words: str) -> None:
    """With a line that says what is wrong, and no traceback."""
    result = subprocess.run(
        [*_PROGRAM, "--port", "0", *options], capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_it_ends_when_its_media_ends() -> None:
    """A simulator without media would look alive and carry nothing."""
    with SimulatorProcess() as simulator:
        [child] = Path(f"/proc/{simulator.pid}/task/{simulator.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        deadline_s = time.monotonic() + 5.0
        while simulator.alive:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def test_faults_need_the_password_too() -> None:
    """The address for faults is no back door."""
    with SimulatorProcess() as simulator:
        port = int(simulator.url.rpartition(":")[2].partition("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/simulator/faults")
        assert connection.getresponse().status == http.client.UNAUTHORIZED
        connection.close()
