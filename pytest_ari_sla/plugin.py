"""The pytest hooks of the plugin, and nothing else; everything heavy is imported when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla import fixtures, options
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.fixtures import LOADS, ROLE
from pytest_ari_sla.fleet.hooks import join_fleet, refuse, settings_of_fleet
from pytest_ari_sla.session import hook_calls, refusals
from pytest_ari_sla.session.end_signals import EndSignals

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_ari_sla.settings import Settings

_SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
_ALL_JUDGED: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()
_JUDGED: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()
_CONTROLLER: pytest.StashKey[Any] = pytest.StashKey()
_ON_REPORT = "ari_sla_scenarios"
_NO_FAILURES = (pytest.skip.Exception, pytest.xfail.Exception)
_ENDS = (KeyboardInterrupt, pytest.exit.Exception)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that teams can implement."""
    hook_calls.add_hooks(pluginmanager)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings: a wrong value stops pytest before anything runs."""
    config.addinivalue_line(
        "markers",
        "sla(*thresholds, abort_after=None): conditions such as 'rtt.p99 < 60ms' that every load of the test must keep",
    )
    settings = config.stash[_SETTINGS] = settings_of_fleet(config) or options.settings_from(config)
    config.pluginmanager.register(fixtures, "ari-sla-fixtures")
    judged = config.stash[_ALL_JUDGED] = []
    config.pluginmanager.register(_Reporter(config, judged), "ari-sla-reporter")
    config.pluginmanager.register(refusals.Refusals(), "ari-sla-refusals")
    config.pluginmanager.register(EndSignals(), "ari-sla-end-signals")
    config.stash[_CONTROLLER] = join_fleet(config, settings, judged)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read all thresholds, so that a mistake in one stops pytest before the first call is made."""
    try:
        for item in filter(_uses_target, items):
            _role(config).thresholds_of(item)
    except SlaError as error:
        refuse(config, error)


def pytest_runtestloop(session: pytest.Session) -> None:
    """Find or start the target, so that a wrong address stops pytest before the first test."""
    is_led = settings_of_fleet(session.config) is not None  # then its controller has done it
    if is_led or session.testsfailed or session.config.option.collectonly or not any(map(_uses_target, session.items)):
        return
    try:
        _role(session.config).target()
    except SlaError as error:
        raise pytest.UsageError(f"{error} (at fault: {error.culprit})") from error


def _uses_target(item: pytest.Item) -> bool:
    return not {"load", "ari", "target"}.isdisjoint(getattr(item, "fixturenames", ()))


def _role(config: pytest.Config) -> Any:
    """Return the session's role; made when the first test that needs a target is found."""
    if ROLE not in config.stash:
        from pytest_ari_sla.fleet.role import choose_role

        config.stash[ROLE] = choose_role(config, config.stash[_SETTINGS], config.stash[_ALL_JUDGED])
    return config.stash[ROLE]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge the loads that a test made, whether the test itself passed or not."""
    try:
        result = yield
    except BaseException as failure:
        _judge(item, failure)
        raise
    _judge(item, None)
    return result


def _judge(item: pytest.Item, failure: BaseException | None) -> None:
    outcomes = item.stash.get(LOADS, [])
    loads_nothing = not outcomes and (failure is None or "load" not in getattr(item, "fixturenames", ()))
    if loads_nothing or isinstance(failure, _NO_FAILURES) or not item.config.stash[ROLE].judges:
        return
    from pytest_ari_sla.session.judge import judge_loads, raise_verdict

    records = item.stash[_JUDGED] = judge_loads(item, item.config.stash[ROLE], outcomes, failure)
    if isinstance(failure, _ENDS):
        item.config.stash[_ALL_JUDGED] += records  # the session ends here: no report of this test will come
    if failure is None:
        raise_verdict(records, item.config.stash[_SETTINGS].inconclusive)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Attach the records to the test's report: that is how they reach the process that writes the reports."""
    report = yield
    if call.when == "call":
        setattr(report, _ON_REPORT, item.stash.get(_JUDGED, []))
    return report


class _Reporter:
    """Collects what was judged, and writes it down at the end."""

    def __init__(self, config: pytest.Config, judged: list[dict[str, Any]]) -> None:
        self._config = config
        self._judged = judged
        self._summary = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the records of a finished test."""
        self._judged += getattr(report, _ON_REPORT, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, and stop what was started."""
        role = session.config.stash[_CONTROLLER] or session.config.stash.get(ROLE, None)
        if role is None:
            return
        try:
            if self._judged and settings_of_fleet(session.config) is None:
                from pytest_ari_sla.session.report import report_session

                self._summary = report_session(self._config, role, self._judged)
        finally:
            role.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how it went."""
        if self._summary:
            terminalreporter.section("SLA")
            terminalreporter.write(self._summary)
