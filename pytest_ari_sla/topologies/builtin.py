"""The topologies that come with the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.topologies.caller import Caller
from pytest_ari_sla.topologies.conference import Conference
from pytest_ari_sla.topologies.echo import Echo
from pytest_ari_sla.topologies.hold import Hold
from pytest_ari_sla.topologies.pair import Pair
from pytest_ari_sla.topologies.relay import Relay
from pytest_ari_sla.topologies.snoop import Snoop
from pytest_ari_sla.topologies.transcode import Transcode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.hookspecs.topology import Topology

__all__ = ["pytest_ari_sla_register_topologies"]


@pytest.hookimpl
def pytest_ari_sla_register_topologies() -> Sequence[Topology]:
    """Return the built-in topologies."""
    return [Echo(), Pair(), Relay(), Transcode(), Conference(), Snoop(), Hold(), Caller()]
