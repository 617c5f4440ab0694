"""Writes a team's first scenario and a CI job around it, and what runs both in containers: ``ari-sla init``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.scaffold.files import planned_files, write_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["CI_SYSTEMS", "write_containers", "write_project"]

CI_SYSTEMS = ("github", "gitlab", "none")

_SETTINGS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": r"^\[tool\.pytest\b",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}
"""Where pytest looks for its settings, and what a file holds that has some."""


def write_project(folder: Path, ci: str = "github") -> list[Path]:
    """Write a first scenario, its thresholds, and a CI job; settings of pytest where there are none.

    Parameters
    ----------
    folder
        The root of the team's repository.
    ci
        Whose format the job has: ``github`` (Gitea and Forgejo read it too), ``gitlab``, or ``none`` for no job.

    Returns
    -------
    The files written, sorted.

    Raises
    ------
    UnknownName
        There is no such CI system.
    UsageError
        One of the files is there already; nothing was written then.
    """
    if ci not in CI_SYSTEMS:
        raise UnknownName("CI system", ci, CI_SYSTEMS)
    trees = ["project"]
    trees += [] if ci == "none" else [f"ci_{ci}"]
    trees += [] if _has_settings(folder) else ["ini"]
    return _write_new(folder, trees)


def write_containers(folder: Path) -> list[Path]:
    """Write files for containers beside scenarios: of a load generator, of an Asterisk, and of both together.

    Parameters
    ----------
    folder
        The root of the team's repository, where ``scenarios/`` is or will be.

    Returns
    -------
    The files written, sorted.

    Raises
    ------
    UsageError
        One of the files is there already; nothing was written then.
    """
    return _write_new(folder, ["containers"])


def _write_new(folder: Path, trees: Sequence[str]) -> list[Path]:
    contents = planned_files(trees, {})
    if there := sorted(name for name in contents if (folder / name).exists()):
        raise UsageError(f"{folder} has these files already: {', '.join(there)}; nothing was written")
    return write_files(folder, contents)


def _has_settings(folder: Path) -> bool:
    """Whether pytest has settings there: a file of ours beside them would take their place."""
    return any(
        (folder / name).is_file() and re.search(section, (folder / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name, section in _SETTINGS.items()
    )
