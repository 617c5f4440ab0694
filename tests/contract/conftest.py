"""Targets of the contract: the simulator and real Asterisks, one of each for the whole session."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import aiohttp
import pytest

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import provisioned_folder
from tests.contract.api_description import ApiDescription
from tests.contract.raw_ari import RawAri
from tests.contract.rtp_endpoint import RtpEndpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pytest_ari_sla.ari.endpoint import AriEndpoint

# The simulator speaks as this version does.
_SIMULATED = "22"
_numbers = itertools.count(1)


class RunningTarget(Protocol):
    """What the contract needs of a target."""

    @property
    def endpoint(self) -> AriEndpoint:
        """Where its ARI is."""

    @property
    def version(self) -> str:
        """What it says it is."""

    @property
    def alive(self) -> bool:
        """Whether its process runs."""


@pytest.fixture(scope="session")
def contract_asterisk22() -> Iterator[PrivateAsterisk]:
    """Return an Asterisk 22 for this suite alone."""
    with PrivateAsterisk(provisioned_folder("22"), rtp_ports=(40_000, 41_999)) as asterisk:
        yield asterisk


@pytest.fixture(scope="session")
def contract_asterisk16() -> Iterator[PrivateAsterisk]:
    """Return an Asterisk 16 for this suite alone."""
    with PrivateAsterisk(provisioned_folder("16"), rtp_ports=(42_000, 43_999)) as asterisk:
        yield asterisk


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    """Return a simulator in a process of its own."""
    with SimulatorProcess() as process:
        yield process


@pytest.fixture(params=["simulator", "asterisk-22", "asterisk-16"])
def target_name(request: pytest.FixtureRequest) -> str:
    """Run the test once for each target."""
    return str(request.param)


@pytest.fixture
def ari_target(request: pytest.FixtureRequest, target_name: str) -> Iterator[RunningTarget]:
    """Return a running target, and check that the test did not kill it."""
    fixtures = {
        "simulator": "simulator",
        "asterisk-22": "contract_asterisk22",
        "asterisk-16": "contract_asterisk16",
    }
    running: RunningTarget = request.getfixturevalue(fixtures[target_name])
    assert running.alive, f"{target_name} has died in an earlier test"
    yield running
    assert running.alive, f"this test killed {target_name}"


def describe(version: str) -> ApiDescription:
    """Return the description that a version of Asterisk ships."""
    return ApiDescription(provisioned_folder(version) / "usr" / "share" / "asterisk" / "rest-api")


@pytest.fixture(scope="session")
def descriptions() -> dict[str, ApiDescription]:
    """Return the description that holds for each target: the simulator is held to that of Asterisk 22."""
    return {"simulator": describe(_SIMULATED), "asterisk-22": describe("22"), "asterisk-16": describe("16")}


@pytest.fixture
async def raw_ari(
    ari_target: RunningTarget, target_name: str, descriptions: dict[str, ApiDescription]
) -> AsyncIterator[RawAri]:
    """Return a client of the target; whatever the test leaves behind is removed after it."""
    major = 16 if target_name.endswith("16") else 22
    headers = {"Authorization": ari_target.endpoint.authorization}
    # A real Asterisk that hangs is a finding, and nothing to wait five minutes for.
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=30.0)) as session:
        client = RawAri(session, ari_target.endpoint, descriptions[target_name], major)
        yield client
        await client.hang_up_everything()
        await client.close()


@pytest.fixture
def new_id() -> Callable[[str], str]:
    """Return a maker of ids that no test shares, all of one width: Asterisk 22 lets no id begin like a living one."""

    def make(name: str) -> str:
        return f"{name}-{next(_numbers):06d}-end"

    return make


@pytest.fixture
def new_rtp() -> Iterator[Callable[[], RtpEndpoint]]:
    """Return a maker of RTP endpoints on loopback."""
    made: list[RtpEndpoint] = []

    def make() -> RtpEndpoint:
        made.append(RtpEndpoint())
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.close()
