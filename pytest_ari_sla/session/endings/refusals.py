"""Loads that could not even begin: one sentence instead of our own frames, and pytest's usage error at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.errors import SlaError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

__all__ = ["Refusals"]

_ON_REPORT = "ari_sla_refused"
_OUR_FOLDER = Path(__file__).parents[2]


class Refusals:
    """A pytest plugin that watches for tests whose load never made a call.

    A session in which nothing else failed exits with code 4 (pytest's usage error), as it does where the mistake is
    found before the first test: there is something to repair, and nothing was measured.
    """

    def __init__(self) -> None:
        self._refused = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Let the report show the test's own line and what is wrong, and not how we found out."""
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, SlaError):
            _leave_ours_out(error.__traceback__, item.path)
            error.__cause__, error.__suppress_context__ = None, True  # its sentence says what they would
        report = yield
        if isinstance(error, SlaError):
            setattr(report, _ON_REPORT, error.before_any_call)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count; in the process that sets the exit code, wherever the test ran."""
        self._refused += report.failed and getattr(report, _ON_REPORT, False)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell "could not begin" from "failed" by the exit code."""
        if self._refused and session.testsfailed == self._refused:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _leave_ours_out(trace: TracebackType | None, test_file: Path) -> None:
    """Cut a traceback off where code of the test, or what it called, calls ours."""
    seen_test = False
    while trace is not None and trace.tb_next is not None:
        seen_test |= _file_of(trace) == test_file
        if seen_test and _file_of(trace.tb_next).is_relative_to(_OUR_FOLDER):
            trace.tb_next = None
        trace = trace.tb_next


def _file_of(trace: TracebackType) -> Path:
    return Path(trace.tb_frame.f_code.co_filename)
