from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.session.reports.places import check_junit, check_reports
from pytest_ari_sla.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_of(xmlpath: str | None, **more: object) -> pytest.Config:
    """Return a configuration with ``--junitxml``."""
    return cast("pytest.Config", SimpleNamespace(option=SimpleNamespace(xmlpath=xmlpath), **more))


def test_a_file_where_reports_go_by_default_is_found_before_the_first_call(here: Path) -> None:
    """And the way out is named."""
    check_reports(Settings())
    (here / "reports").touch()
    with pytest.raises(UsageError, match=r"'reports'.*--sla-report names another folder"):
        check_reports(Settings())
    check_reports(Settings(report_folder="elsewhere"))


@pytest.mark.usefixtures("here")
def test_a_junit_file_that_would_break_the_end_of_the_session_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as pytest reads it: with variables."""
    monkeypatch.setenv("WHERE", "/proc/nothing")
    with pytest.raises(pytest.UsageError, match=r"--junitxml: '/proc/nothing/junit.xml' cannot be written"):
        check_junit(config_of("$WHERE/junit.xml"))
    check_junit(config_of("$WHERE/junit.xml", workerinput={}))  # its controller writes it
    check_junit(config_of("new/junit.xml"))
    check_junit(config_of(None))
