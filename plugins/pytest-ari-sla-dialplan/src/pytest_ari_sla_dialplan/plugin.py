"""The plugin: two options, and the topology that they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla import Topology

DEFAULT_EXTENSION = "s@from-load"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--dialplan-extension`` and ``--dialplan-hears``, which are also ini keys."""
    group = parser.getgroup("ari-sla-dialplan", "ARI load tests of a dialplan")
    group.addoption(
        "--dialplan-extension",
        metavar="EXTEN@CONTEXT[,PRIORITY]",
        help=f"where calls of the topology 'dialplan' go (default: {DEFAULT_EXTENSION})",
    )
    group.addoption(
        "--dialplan-hears",
        choices=["itself", "other"],
        help="whether callers hear their own audio unchanged, or something else (default: itself)",
    )
    parser.addini("dialplan_extension", "see --dialplan-extension", default=DEFAULT_EXTENSION)
    parser.addini("dialplan_hears", "see --dialplan-hears", default="itself")


def pytest_configure(config: pytest.Config) -> None:
    """Register the topology with what was asked for; a bad extension ends the session here."""
    from pytest_ari_sla import UsageError
    from pytest_ari_sla_dialplan.topology import Dialplan

    extension = config.getoption("dialplan_extension") or config.getini("dialplan_extension")
    hears = config.getoption("dialplan_hears") or config.getini("dialplan_hears")
    if hears not in ("itself", "other"):
        raise pytest.UsageError(f"dialplan_hears: {hears!r} is neither 'itself' nor 'other'")
    try:
        topology = Dialplan.parse(extension, hears_itself=hears == "itself")
    except UsageError as problem:
        raise pytest.UsageError(f"--dialplan-extension: {problem}") from problem
    # A plug-in that knows the topology: the hook that asks for it is not given the config.
    config.pluginmanager.register(_Registration(topology), "ari-sla-dialplan-topology")


class _Registration:
    """Hands the topology over when pytest-ari-sla asks for it."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    # Optional: pytest-ari-sla may be switched off (-p no:…), and its hooks with it.
    @pytest.hookimpl(optionalhook=True)
    def pytest_ari_sla_register_topologies(self) -> Sequence[Topology]:
        """Add the topology ``dialplan``."""
        return [self._topology]
