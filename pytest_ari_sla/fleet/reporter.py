"""The end of a session: the verdict is shown, then everything is written, whatever other plug-ins do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.fleet.hooks import settings_of_fleet
from pytest_ari_sla.fleet.stash import LOAD_MAKER

# Here: a process that may open no more files at its end cannot import any more, and has a verdict to show.
from pytest_ari_sla.reporting.wording.readable import readable

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_ari_sla.fleet.controlling.controller import Controller
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.session.reports.report import SessionReport
    from pytest_ari_sla.session.reports.run_facts import RunFacts

__all__ = ["Reporter"]


class Reporter:
    """A plug-in of pytest that shows and writes down at the end what was judged.

    Parameters
    ----------
    config
        pytest's configuration.
    judged
        The loads, and their verdicts.
    controller
        Who holds the fleet together, where this is its process.
    """

    def __init__(self, config: pytest.Config, judged: JudgedTests, controller: Controller | None) -> None:
        self._config = config
        self._judged = judged
        self._controller = controller
        self._report: SessionReport | None = None
        self._unreported = ""
        self._is_shown = False

    def pytest_keyboard_interrupt(self) -> None:
        """Remember that there may not have been the time to clean up."""
        maker = self._config.stash.get(LOAD_MAKER, None)
        if maker is not None:
            maker.interrupted = True

    # Innermost: pytest's terminal, which shows the summary, is a wrapper around this.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, Any, Any]:
        """Take in what is to be reported, and stop what was started; also where another plug-in's report breaks."""
        try:
            return (yield)
        finally:
            self._finish()

    def _finish(self) -> None:
        ours = self._controller or self._config.stash.get(LOAD_MAKER, None)
        if ours is None:
            return
        if self._controller is not None:
            self._controller.take_in_abandoned()
        try:
            if self._judged.loads() and settings_of_fleet(self._config) is None:
                self._take_in(ours.facts)
        finally:
            ours.close()

    def _take_in(self, facts: RunFacts) -> None:
        from pytest_ari_sla.session.reports.report import SessionReport, unreported

        try:
            self._report = SessionReport(self._config, facts, self._judged)
        except Exception as error:  # whatever it is, it must not cost the verdict
            self._unreported = unreported(self._judged, error)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how it went, and only then write it down."""
        left = self._controller.left if self._controller is not None else []
        if self._is_shown or (self._report is None and not self._unreported and not left):
            return
        self._is_shown = True
        terminalreporter.section("SLA")
        summary = self._report.summary() if self._report else self._unreported
        summary = "\n".join([summary.rstrip("\n"), *left, ""]).lstrip("\n") if left else summary
        terminalreporter.write(readable(summary, sys.stdout.encoding), flush=True)
        if self._report:
            terminalreporter.write(self._report.write())

    def pytest_unconfigure(self) -> None:
        """Show and write what pytest did not come to: it has no terminal, or another plug-in broke its end."""
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            self.pytest_terminal_summary(terminal)
        if self._report and not self._report.is_written:
            self._report.write()
