"""Who measures, who merges, who reports: one class for each role, chosen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.session.alone import Standalone
    from pytest_ari_sla.session.load_job import LoadJob
    from pytest_ari_sla.settings import Settings

__all__ = ["JUDGED", "LOADS", "ROLE", "SETTINGS", "WORKER_HOOKS", "choose_role", "role_of"]

WORKER_HOOKS = "ari-sla-worker"
"""The name of the plug-in that a worker of a fleet has, and no other process."""

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
JUDGED: pytest.StashKey[JudgedTests] = pytest.StashKey()
ROLE: pytest.StashKey[Standalone] = pytest.StashKey()
LOADS: pytest.StashKey[list[LoadJob]] = pytest.StashKey()
"""In a test's stash: the loads that it has asked for."""


def role_of(config: pytest.Config) -> Standalone:
    """Return the role of this process; made when a test needs it for the first time, since it brings what is heavy.

    Raises
    ------
    SlaError
        What a plug-in registered cannot be used.
    """
    if ROLE not in config.stash:
        config.stash[ROLE] = choose_role(config, config.stash[SETTINGS], config.stash[JUDGED])
    return config.stash[ROLE]


def choose_role(config: pytest.Config, settings: Settings, judged: JudgedTests) -> Standalone:
    """Return the role of a process that makes loads; made once, since it brings everything heavy with it.

    Parameters
    ----------
    config, settings
        Of the session.
    judged
        The loads that are over.

    Raises
    ------
    UsageError
        What a plug-in registered cannot be used.
    """
    from pytest_ari_sla.session.registry import Registry, register_builtins

    register_builtins(config.pluginmanager)
    registry = Registry.from_plugins(config.pluginmanager)
    fleet = config.pluginmanager.getplugin(WORKER_HOOKS)
    if fleet is not None:
        from pytest_ari_sla.fleet.worker import Worker

        return Worker(settings, registry, fleet.link, fleet.identity)
    from pytest_ari_sla.session.alone import Standalone
    from pytest_ari_sla.session.interim_report import InterimReport
    from pytest_ari_sla.session.live_views import LiveViews
    from pytest_ari_sla.session.supervisor import Supervisor

    role = Standalone(settings, registry)
    views = LiveViews(config, settings)
    interim = InterimReport(config, role, registry.catalogue, role.rules, judged)
    role.supervisor = Supervisor(registry.catalogue, role.rules, views, interim, role.target_crash)
    return role
