"""What figures are held to an oracle on: the simulator and a real Asterisk, and one set of loads on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import asterisk22
from tests.oracles.loads import Load, make_loads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.targets.started_target import StartedTarget

__all__ = ["any_target", "asterisk22", "loads"]


@pytest.fixture(scope="session", params=["simulator", "Asterisk 22"])
def any_target(request: pytest.FixtureRequest) -> Iterator[StartedTarget]:
    """Return a running target: the tests run on each."""
    if request.param == "simulator":
        with SimulatorProcess() as simulator:
            yield simulator
    else:
        running: StartedTarget = request.getfixturevalue("asterisk22")
        yield running


@pytest.fixture(scope="session")
def loads(any_target: StartedTarget, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Load]:
    """Return the loads on each target, by name."""
    return make_loads(any_target, tmp_path_factory.mktemp("loads"))
