"""Who measures, who merges, who reports: one class for each role, chosen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from pytest_ari_sla.roles.standalone import Standalone
    from pytest_ari_sla.settings import Settings

__all__ = ["choose_role"]


def choose_role(config: pytest.Config, settings: Settings) -> Standalone:
    """Return the role of this process; made once, since it brings everything heavy with it.

    Raises
    ------
    UsageError
        What a plug-in registered cannot be used.
    """
    from pytest_ari_sla.roles.registry import Registry, register_builtins
    from pytest_ari_sla.roles.standalone import Standalone

    register_builtins(config.pluginmanager)
    return Standalone(settings, Registry.from_plugins(config.pluginmanager))
