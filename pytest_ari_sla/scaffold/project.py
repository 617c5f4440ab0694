"""Writes a team's first scenario and a CI job around it: ``ari-sla init``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.scaffold.files import planned_files, write_files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CI_SYSTEMS", "write_project"]

CI_SYSTEMS = ("github", "gitlab", "none")


def write_project(folder: Path, ci: str = "github") -> list[Path]:
    """Write a first scenario, its thresholds, and a CI job.

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
    trees = ("project",) if ci == "none" else ("project", f"ci_{ci}")
    contents = planned_files(trees, {})
    if there := sorted(name for name in contents if (folder / name).exists()):
        raise UsageError(f"{folder} has these files already: {', '.join(there)}; nothing was written")
    return write_files(folder, contents)
