"""The topologies that come with the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.topologies.echo import Echo
from pytest_ari_sla.topologies.pair import Pair
from pytest_ari_sla.topologies.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs import Topology

__all__ = ["pytest_ari_sla_register_topologies"]


@pytest.hookimpl
def pytest_ari_sla_register_topologies() -> Sequence[Topology]:
    """Return the built-in topologies."""
    return [Echo(), Pair(), Relay()]
