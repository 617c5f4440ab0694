"""What figures are held to an oracle on: the simulator and a real Asterisk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.asterisk.conftest import asterisk22

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.targets.started_target import StartedTarget

__all__ = ["any_target", "asterisk22"]


@pytest.fixture(scope="module", params=["simulator", "Asterisk 22"])
def any_target(request: pytest.FixtureRequest) -> Iterator[StartedTarget]:
    """Return a running target: the tests run on each."""
    if request.param == "simulator":
        with SimulatorProcess() as simulator:
            yield simulator
    else:
        running: StartedTarget = request.getfixturevalue("asterisk22")
        yield running
