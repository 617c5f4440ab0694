"""Hooks of ours in the ``conftest.py`` of a folder below the one that pytest was given.

A process that collects comes across them. The controller of a fleet collects nothing, and yet judges and reports: its
workers tell it where there are any.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.session.plugins.hook_calls import HOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

__all__ = ["folders_with_hooks", "load_conftests"]

_CONFTEST = "conftest.py"


def folders_with_hooks(config: pytest.Config) -> list[str]:
    """Return the folders, as seen from pytest's root folder, whose ``conftest.py`` implements a hook of ours."""
    implementations = (found for name in HOOKS for found in getattr(config.hook, name).get_hookimpls())
    files = {Path(getattr(found.plugin, "__file__", None) or "") for found in implementations}
    return sorted(os.path.relpath(file.parent, config.rootpath) for file in files if file.name == _CONFTEST)


def load_conftests(config: pytest.Config, folders: Iterable[str]) -> None:
    """Load the ``conftest.py`` of these folders, as collection would; those that are loaded stay.

    Raises
    ------
    UsageError
        A folder is not on this machine, or its file cannot be imported here.
    """
    for name in sorted(folders):
        folder = config.rootpath / name
        if not (folder / _CONFTEST).is_file():
            raise UsageError(
                f"{name}/{_CONFTEST} adds something to this tool, and is not on the machine that judges: "
                "put it into a package that is installed on all of them"
            )
        try:
            # pytest has no public way to it; a test for each supported version of pytest holds this.
            config.pluginmanager._loadconftestmodules(
                folder,
                config.getoption("importmode"),
                config.rootpath,
                consider_namespace_packages=bool(config.getini("consider_namespace_packages")),
            )
        except Exception as error:  # whatever a user's file may raise
            raise UsageError(f"{name}/{_CONFTEST} cannot be loaded: {error}") from error
