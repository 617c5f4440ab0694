"""One load from several hosts: network namespaces play the hosts, reached by ssh, or by execnet's own servers.

Three hosts on one switch: an Asterisk, and two load generators with a pytest worker each. The controller is here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.children.dead_hosts import NOTICED_S
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.asterisk.conftest import provisioned_folder
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Gateways = Callable[["Network", Path], AbstractContextManager[list[str]]]

pytestmark = pytest.mark.timeout(400)  # a whole session over three hosts, on whatever else the machine does

HOSTS = {"pbx": 2, "west": 11, "east": 12}
GENERATORS = ("west", "east")
GATEWAY_PORT, SSH_PORT = 8888, 2222
SSHD_CONFIG = f"""
ListenAddress {{address}}:{SSH_PORT}
HostKey {{folder}}/host_key
AuthorizedKeysFile {{folder}}/user_key.pub
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
"""
SSH_CONFIG = f"""
Host {{host}}
    HostName {{address}}
    Port {SSH_PORT}
    IdentityFile {{folder}}/user_key
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
"""
PACKAGES = {"ip": "iproute2", "ssh-keygen": "openssh-client"}
SCENARIO = '''
    import pytest

    @pytest.mark.sla("calls.success_ratio >= 100%", "calls.leaked == 0", "loss.ratio <= 0.1%")
    async def test_two_hosts(load, shard, port_manager, tmp_path_factory):
        """Two hosts load one Asterisk."""
        result = await load(calls=5, duration="2s")
        assert result.calls.established == 5
        print(f"media of shard {shard} ends at {port_manager.host}")
        assert port_manager.host == {"1": "NET.11", "2": "NET.12"}[shard[0]]
'''


class Network:
    """Namespaces on one bridge; a context manager.

    Attributes
    ----------
    prefix
        The first three bytes of all addresses.
    """

    def __init__(self) -> None:
        number = os.getpid()
        self._tag = f"{number % 100_000:05d}"
        self.prefix = f"10.{203 + number % 50}.{number // 50 % 250}"
        self._stack = ExitStack()

    def namespace(self, host: str) -> str:
        """Return the name of a host's namespace."""
        return f"sla-{host}-{self._tag}"

    def address(self, host: str) -> str:
        """Return a host's address."""
        return f"{self.prefix}.{HOSTS[host]}"

    def prefix_command(self, host: str) -> list[str]:
        """Return what to put before a command so that it runs on a host."""
        return ["ip", "netns", "exec", self.namespace(host)]

    def __enter__(self) -> Network:
        with ExitStack() as stack:
            bridge = f"sla{self._tag}"
            stack.callback(_ip, "link", "delete", bridge)
            _ip("link", "add", bridge, "type", "bridge")
            _ip("address", "add", f"{self.prefix}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for host in HOSTS:
                self._add(host, bridge, stack)
            self._stack = stack.pop_all()
        return self

    @contextmanager
    def without_power(self, host: str) -> Iterator[None]:
        """Let a host lose its power: nothing runs there any more, and nobody hears that its connections end."""
        _ip("link", "set", self._cable(host), "down")
        try:
            for pid in _ip("netns", "pids", self.namespace(host)).split():
                os.kill(int(pid), signal.SIGKILL)
            yield
        finally:
            _ip("link", "set", self._cable(host), "up")

    def _cable(self, host: str) -> str:
        return f"s{self._tag}{host[0]}"

    def _add(self, host: str, bridge: str, stack: ExitStack) -> None:
        name, cable = self.namespace(host), self._cable(host)
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "delete", name)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", cable, "master", bridge, "up")
        _ip("-n", name, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


def _run(*command: str) -> str:
    """Run a program and return what it prints; where it is missing the test fails: nothing is skipped."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.fail(f"this test needs the program `{command[0]}` (Debian: {PACKAGES[command[0]]})", pytrace=False)


def _ip(*arguments: str) -> str:
    """Run ``ip`` and return what it prints; a refusal fails the test with the privilege that is missing."""
    try:
        return _run("ip", *arguments)
    except subprocess.CalledProcessError as error:
        pytest.fail(
            f"`ip {' '.join(arguments)}` failed: {error.stderr.strip()}. Making network namespaces takes "
            "the privileges CAP_SYS_ADMIN and CAP_NET_ADMIN: run the tests as root, a container with --privileged",
            pytrace=False,
        )


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Return the network of three hosts."""
    with Network() as made:
        yield made


@pytest.fixture(scope="module")
def asterisk(network: Network) -> Iterator[PrivateAsterisk]:
    """Return an Asterisk on a host of its own."""
    folder, prefix = provisioned_folder("22"), network.prefix_command("pbx")
    with PrivateAsterisk(folder, command_prefix=prefix, address=network.address("pbx")) as running:
        yield running


@contextmanager
def socket_gateways(network: Network, folder: Path) -> Iterator[list[str]]:
    """Run execnet's own server on each load generator; return what ``--tx`` takes."""
    with ExitStack() as stack:
        for host in GENERATORS:
            address = f"{network.address(host)}:{GATEWAY_PORT}"
            server = [sys.executable, "-u", "-m", "execnet.script.socketserver", address]
            stack.enter_context(_server(network, host, server, folder, "Entering Accept loop"))
        yield [f"socket={network.address(host)}:{GATEWAY_PORT}//chdir={folder}/on-{host}" for host in GENERATORS]


@contextmanager
def ssh_gateways(network: Network, folder: Path) -> Iterator[list[str]]:
    """Run an sshd on each load generator, as on any machine; return what ``--tx`` takes."""
    Path("/run/sshd").mkdir(exist_ok=True)  # what a system's own start of sshd makes
    for key in ("host_key", "user_key"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
    client = folder / "ssh_config"
    with ExitStack() as stack:
        for host in GENERATORS:
            settings = SSHD_CONFIG.format(address=network.address(host), folder=folder)
            (folder / f"sshd_config-{host}").write_text(settings)
            server = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / f"sshd_config-{host}")]
            stack.enter_context(_server(network, host, server, folder, "Server listening"))
        entries = (SSH_CONFIG.format(host=host, address=network.address(host), folder=folder) for host in GENERATORS)
        client.write_text("".join(entries))
        yield [
            f"ssh={host}//ssh_config={client}//python={sys.executable}//chdir={folder}/on-{host}" for host in GENERATORS
        ]


@contextmanager
def _server(network: Network, host: str, command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """Run a program on a host, from when it says that it is ready."""
    path = folder / f"{host}.txt"
    with path.open("wb") as output:
        process = subprocess.Popen([*network.prefix_command(host), *command], stdout=output, stderr=output)
        try:
            deadline_s = time.monotonic() + 20
            while ready not in path.read_text():
                assert process.poll() is None, path.read_text()
                assert time.monotonic() < deadline_s, f"{command[0]} does not come up: {path.read_text()}"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.mark.parametrize("gateways", [ssh_gateways, socket_gateways])
def test_two_hosts_put_one_load_on_a_third_with_one_verdict(
    network: Network, asterisk: PrivateAsterisk, gateways: Gateways, tmp_path: Path
) -> None:
    """Each worker takes its media on its own host's address, and nothing but the URL has to be told."""
    folder = tmp_path / "project"
    folder.mkdir()
    session = Session(folder, asterisk)
    # Copying files to hosts is xdist's own way, which warns that it will go; see README for the other one.
    session.write("pytest.ini", "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    session.write("test_hosts.py", SCENARIO.replace("NET", network.prefix))
    with gateways(network, tmp_path) as reached:
        specifications = [argument for gateway in reached for argument in ("--tx", gateway)]
        done = session.run("-d", *specifications, "--rsyncdir", str(folder), str(folder / "test_hosts.py"))

    assert done.exit_code == 0, done.output
    scenario = done.scenarios["test_two_hosts"]
    assert scenario["verdict"] == "pass"
    assert scenario["calls"]["established"] == 5
    assert [shard["shard"] for shard in scenario["harness"]] == [1, 2]
    assert done.report is not None
    assert done.report["run"]["shards"] == 2
    assert session.channels_left() == []


def test_a_host_that_loses_its_power_leaves_nothing_and_the_others_report(
    network: Network, asterisk: PrivateAsterisk, tmp_path: Path
) -> None:
    """Its connection breaks within ten seconds; then its calls are removed for it, and the load is judged."""
    folder = tmp_path / "project"
    folder.mkdir()
    session = Session(folder, asterisk)
    session.write("pytest.ini", "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    session.write(
        "test_power.py",
        """
        import pytest

        @pytest.mark.sla("calls.success_ratio >= 100%")
        async def test_power(load):
            await load(calls=6, duration="60s")
        """,
    )
    with socket_gateways(network, tmp_path) as reached:
        specifications = [argument for gateway in reached for argument in ("--tx", gateway)]
        # xdist would start another worker on the host that is gone.
        options = ["-d", *specifications, "--max-worker-restart", "0", "--rsyncdir", str(folder)]
        running = session.start(*options, str(folder / "test_power.py"))
        running.wait_until(lambda: len(session.channels_left()) == 6)
        with network.without_power("east"):
            began_s = time.monotonic()
            running.wait_until(lambda: not session.channels_left())
            took_s = time.monotonic() - began_s
            done = running.finish()
    assert took_s < NOTICED_S + 10
    assert done.exit_code == 1, done.output
    assert "shard 2 of 2 is missing: its worker died" in done.output
    scenario = done.scenarios["test_power"]
    assert scenario["verdict"] == "fail"
    assert [shard["shard"] for shard in scenario["harness"]] == [1]
    assert scenario["calls"]["established"] == 3
