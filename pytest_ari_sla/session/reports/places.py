"""The places that a session will write to, checked before its first call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.places import check_file, check_folder

if TYPE_CHECKING:
    from pytest_ari_sla.settings import Settings

__all__ = ["REPORTS", "check_junit", "check_reports"]

REPORTS = Path("reports")
"""Where each session's report has a folder of its own, unless ``--sla-report`` names one."""


def check_reports(settings: Settings) -> None:
    """Make sure that the default folder can be written; the one of ``--sla-report`` was checked when it was read.

    Raises
    ------
    UsageError
        It cannot: why.
    """
    if settings.report_folder is None:
        try:
            check_folder(REPORTS)
        except UsageError as error:
            raise UsageError(f"{error}; --sla-report names another folder") from error


def check_junit(config: pytest.Config) -> None:
    """Make sure that pytest will be able to write its JUnit file: where it is not, it breaks the end of the session.

    Raises
    ------
    pytest.UsageError
        It will not: why.
    """
    chosen = getattr(config.option, "xmlpath", None)
    if chosen and not hasattr(config, "workerinput"):  # a worker writes none
        try:
            check_file(Path(os.path.expandvars(chosen)).expanduser())  # as pytest does
        except UsageError as error:
            raise pytest.UsageError(f"--junitxml: {error}") from error
