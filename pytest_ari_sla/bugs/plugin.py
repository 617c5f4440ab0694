"""Looking for known faults in a pytest session: the marker, the fixture, and the table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from _pytest.terminal import TerminalReporter

    from pytest_ari_sla.bugs.hunt import BugHunt
    from pytest_ari_sla.reporting.record.run_record import ReportSection, RunRecord
    from pytest_ari_sla.settings import Settings

__all__ = ["MARKER", "BugHunts"]

MARKER = (
    "asterisk_bug(id, title, known_in='', simulator_copies=False): the test looks for this fault of Asterisk, by the "
    "fixture of that name"
)
PROPERTY = "asterisk_bug"
HUNT = pytest.StashKey["BugHunt"]()
COLUMNS = ["Fault", "What it is", "Known in", "Reported at", "Verdict"]


class BugHunts:
    """Gives the fixture, gathers what came of each test, and shows the table; over xdist's workers as well.

    Parameters
    ----------
    settings
        Of the session.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rows: dict[str, list[str]] = {}

    @pytest.fixture(name="asterisk_bug")
    def asterisk_bug(self, request: pytest.FixtureRequest) -> BugHunt:
        """Look for a fault of Asterisk on a fresh target: ``async with asterisk_bug.victim() as pbx: …``."""
        from pytest_ari_sla.bugs.hunt import BugHunt
        from pytest_ari_sla.bugs.known_bug import KnownBug

        marker = request.node.get_closest_marker("asterisk_bug")
        if marker is None:
            raise UsageError(
                f"{request.node.nodeid} uses asterisk_bug without saying which: mark it @pytest.mark.{MARKER}"
            )
        hunt = request.node.stash[HUNT] = BugHunt(KnownBug(*marker.args, **marker.kwargs), self._settings)
        return hunt

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write down what came of a test where it crosses to the controller."""
        report = yield
        hunt = item.stash.get(HUNT, None)
        if hunt is not None and report.when == "call":
            problem = str(call.excinfo.value) if call.excinfo is not None and not report.skipped else ""
            finding = hunt.finding(problem.splitlines()[0] if problem else "")
            bug = finding.bug
            row = [bug.id, bug.title, bug.known_in, bug.link, finding.words]
            # Of both: xdist carries this report over; those of the test's later phases take the item's.
            report.user_properties.append((PROPERTY, row))
            item.user_properties.append((PROPERTY, row))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather."""
        for name, row in report.user_properties:
            # The report of the teardown has the row as well.
            if name == PROPERTY and report.when == "call" and isinstance(row, list):
                self._rows[report.nodeid] = row

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Show the table."""
        if not self._rows:
            return
        terminalreporter.section("known faults of Asterisk")
        for fault, _, known_in, link, words in self._rows.values():
            known = "; ".join(filter(None, (known_in and f"known in {known_in}", link)))
            terminalreporter.write_line(f"{fault:<18} {words}" + (f"  ({known})" if known else ""))

    def pytest_ari_sla_register_report_sections(self, record: RunRecord) -> Sequence[ReportSection]:
        """Show the same in the reports."""
        from pytest_ari_sla.reporting.record.run_record import ReportSection

        if not self._rows:
            return []
        return [ReportSection(title="Known faults of Asterisk", columns=COLUMNS, rows=list(self._rows.values()))]
