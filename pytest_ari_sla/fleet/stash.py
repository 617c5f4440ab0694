"""What the parts of this plugin keep in pytest's stash, and who makes the loads of this process: chosen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.session.loads.load_job import LoadJob
    from pytest_ari_sla.session.loads.load_maker import LoadMaker
    from pytest_ari_sla.settings import Settings

__all__ = ["JUDGED", "LOADS", "LOAD_MAKER", "SETTINGS", "WORKER_HOOKS", "load_maker_of"]

WORKER_HOOKS = "ari-sla-worker"
"""The name of the plug-in that a worker of a fleet has, and no other process."""

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
JUDGED: pytest.StashKey[JudgedTests] = pytest.StashKey()
LOAD_MAKER: pytest.StashKey[LoadMaker] = pytest.StashKey()
LOADS: pytest.StashKey[list[LoadJob]] = pytest.StashKey()
"""In a test's stash: the loads that it has asked for."""


def load_maker_of(config: pytest.Config) -> LoadMaker:
    """Return who makes the loads of this process; made when a test needs it, since it brings what is heavy.

    Raises
    ------
    SlaError
        What a plug-in registered cannot be used.
    """
    if LOAD_MAKER not in config.stash:
        config.stash[LOAD_MAKER] = _make_load_maker(config)
    return config.stash[LOAD_MAKER]


def _make_load_maker(config: pytest.Config) -> LoadMaker:
    from pytest_ari_sla.session.loads.load_maker import LoadMaker
    from pytest_ari_sla.session.plugins.registry import Registry, register_builtins

    register_builtins(config.pluginmanager)
    registry = Registry.from_plugins(config.pluginmanager)
    settings = config.stash[SETTINGS]
    fleet = config.pluginmanager.getplugin(WORKER_HOOKS)
    if fleet is not None:
        from pytest_ari_sla.fleet.worker import Worker

        return LoadMaker(settings, registry, Worker(settings, fleet.link, fleet.identity))
    from pytest_ari_sla.session.alone import Alone

    return LoadMaker(settings, registry, Alone(config, settings, registry.catalogue, config.stash[JUDGED]))
