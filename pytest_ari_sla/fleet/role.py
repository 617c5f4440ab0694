"""Who measures, who merges, who reports: one class for each role, chosen once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_ari_sla.session.alone import Standalone
    from pytest_ari_sla.settings import Settings

__all__ = ["WORKER_HOOKS", "choose_role"]

WORKER_HOOKS = "ari-sla-worker"
"""The name of the plug-in that a worker of a fleet has, and no other process."""


def choose_role(config: pytest.Config, settings: Settings, judged: list[dict[str, Any]]) -> Standalone:
    """Return the role of a process that makes loads; made once, since it brings everything heavy with it.

    Parameters
    ----------
    config, settings
        Of the session.
    judged
        The loads that are over, as plain built-ins: the list grows.

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
