"""Addresses that are not what they seem: a load generator and an Asterisk behind NAT, as in containers."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import provisioned_folder
from tests.sessions.nat import Translator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sessions.session import Session

ASTERISK, ASTERISK_SEEN = "127.0.0.1", "127.0.0.4"
OURS, OURS_SEEN = "127.0.0.2", "127.0.0.3"
FIRST_PORTS = {"simulator": 50_176, "asterisk": 41_984}
PORTS = 256  # two blocks of leases: one of the load, one of its relay
BEHIND_NAT = ["--ari-media-bind", OURS, "--ari-media-host", OURS_SEEN, "--ari-asterisk-media", ASTERISK_SEEN]
SCENARIO = """
import pytest

@pytest.mark.sla("calls.success_ratio >= 100%", "rtt.count > 0")
@pytest.mark.parametrize("topology", ["echo", "relay"])
async def test_it(load, topology):
    await load(calls=2, duration="1s", topology=topology)

async def test_fixtures(ari, rtp_worker):
    assert (await ari.external_media(ari.new_id("channel"), "127.0.0.3:9", "ulaw")).local_address[0] == "127.0.0.4"
"""


def free_range(*hosts: str, first: int) -> tuple[int, int]:
    """Return a range in which every port is free on these addresses."""
    for low in range(first, 65_536 - PORTS, PORTS):
        with ExitStack() as stack:
            try:
                for port in range(low, low + PORTS):
                    for host in hosts:
                        stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((host, port))
            except OSError:
                continue
            return low, low + PORTS - 1
    pytest.fail(f"no {PORTS} ports are free from {first} on")


def even(ports: tuple[int, int]) -> range:
    """Return the ports of RTP."""
    return range(ports[0], ports[1], 2)


@pytest.fixture(params=[pytest.param("simulator", marks=pytest.mark.soak), "asterisk"])
def target(request: pytest.FixtureRequest) -> Iterator[PrivateAsterisk | SimulatorProcess]:
    """Return what is called: it takes RTP at a few known ports."""
    ports = free_range(ASTERISK, ASTERISK_SEEN, first=FIRST_PORTS[request.param])
    if request.param == "simulator":
        with SimulatorProcess(rtp_ports=ports) as simulator:
            yield simulator
    else:
        with PrivateAsterisk(provisioned_folder("22"), rtp_ports=ports) as asterisk:
            yield asterisk


def test_media_finds_its_way_through_nat_on_both_sides(
    session: Session, target: PrivateAsterisk | SimulatorProcess
) -> None:
    """One address is bound, another announced, and what Asterisk announces is not where it is."""
    session.write("test_it.py", SCENARIO)
    url = target.url.replace("://", f"://{target.user}:{target.password}@")
    ours = free_range(OURS, OURS_SEEN, first=target.rtp_ports[0] + 4096)
    with Translator((OURS, OURS_SEEN, even(ours)), (ASTERISK, ASTERISK_SEEN, even(target.rtp_ports))) as nat:
        done = session.run("--ari-url", url, "--ari-rtp-ports", f"{ours[0]}-{ours[1]}", *BEHIND_NAT)
    assert done.exit_code == 0, done.output
    assert min(nat.forwarded.values()) > 0


@pytest.mark.soak
def test_the_bound_address_alone_is_announced_too(session: Session) -> None:
    """Where a machine has several."""
    session.write("test_it.py", 'async def test_it(load): await load(calls=1, duration="500ms")\n')
    done = session.run("--ari-media-bind", OURS, "--ari-target", "simulator")
    assert done.exit_code == 0, done.output
    session.write("pytest.ini", "[pytest]\nari_media_bind = 0.0.0.0\n")
    done = session.run("-k", "test_it")
    assert done.exit_code == 0, done.output


def test_an_address_of_another_machine_is_explained(session: Session) -> None:
    """TEST-NET-1 is nobody's: what to say instead is in the error."""
    session.write("test_it.py", 'async def test_it(load): await load(calls=1, duration="500ms")\n')
    done = session.run("--ari-media-host", "192.0.2.1")
    assert done.exit_code == pytest.ExitCode.USAGE_ERROR, done.output
    assert "--ari-media-bind" in done.output
