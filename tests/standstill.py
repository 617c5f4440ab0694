"""Runs a test again that failed while the machine stood still; registered by ``conftest.py``.

Calls and Asterisks run on the clock: a machine that keeps a process from its processor for longer than a packet lasts
makes packets late that nobody is to blame for. A test that fails on a machine that kept up has failed. One that fails
while the machine stood still has shown nothing: it runs again, and the summary tells what failed and for how long the
machine stood still.
"""

from __future__ import annotations

import threading
import time

import pytest
from _pytest.runner import runtestprotocol

_LOOK_EVERY_S = 0.01
_STANDSTILL_S = 0.02
_TRIES = 3
# pytest-timeout gives a test its time once, whatever it does with it.
_TIMEOUT = "Timeout (>"
_SECTION = "machine stood still"


class Standstill:
    """Measures for how long this process, which waits for tests in other processes, did not get the processor."""

    def __init__(self) -> None:
        self._longest_s = 0.0
        threading.Thread(target=self._watch, name="standstill", daemon=True).start()

    def _watch(self) -> None:
        before_s = time.monotonic()
        while True:
            time.sleep(_LOOK_EVERY_S)
            now_s = time.monotonic()
            self._longest_s = max(self._longest_s, now_s - before_s - _LOOK_EVERY_S)
            before_s = now_s

    def take_longest_s(self) -> float:
        """Return the longest standstill since this was last asked."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run the test, and run it again where it failed while the machine stood still."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        told: list[tuple[str, str]] = []
        for tries_left in reversed(range(_TRIES)):
            self.take_longest_s()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            stood_s = self.take_longest_s()
            failure = next((report.longreprtext for report in reports if report.failed), "")
            if not failure or not tries_left or stood_s < _STANDSTILL_S or _TIMEOUT in failure:
                break
            told.append((_SECTION, f"{stood_s * 1e3:.0f} ms: {_what_failed(failure)}"))
        for report in reports:
            if report.when == "call":
                report.sections += told
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True


def _what_failed(failure: str) -> str:
    lines = failure.splitlines()
    return next((line.removeprefix("E").strip() for line in lines if line.startswith("E ")), lines[-1])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what ran again, each time with what had failed."""
    rows = [
        f"{report.nodeid}\n    {text}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for title, text in report.sections
        if title == _SECTION
    ]
    if rows:
        terminalreporter.section("run again, since the machine stood still for")
        for row in rows:
            terminalreporter.write_line(row)
