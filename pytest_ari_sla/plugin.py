"""The pytest hooks of the plugin, and nothing else; everything heavy is imported when it is needed."""

from __future__ import annotations

import warnings
from functools import partial

import pytest

from pytest_ari_sla import options
from pytest_ari_sla.bugs.plugin import MARKER, BugHunts
from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.fixtures import coroutines, event_loops, given
from pytest_ari_sla.fleet.hooks import join_fleet, refuse, settings_of_fleet
from pytest_ari_sla.fleet.item_hooks import ItemHooks
from pytest_ari_sla.fleet.reporter import Reporter
from pytest_ari_sla.fleet.stash import JUDGED, LOAD_MAKER, SETTINGS, load_maker_of
from pytest_ari_sla.judging.judged_tests import JudgedTests
from pytest_ari_sla.own_fixtures import own_fixtures
from pytest_ari_sla.session.endings import refusals
from pytest_ari_sla.session.endings.end_signals import EndSignals
from pytest_ari_sla.session.endings.thread_timeouts import ThreadTimeouts
from pytest_ari_sla.session.plugins import hook_calls
from pytest_ari_sla.session.reports.places import check_junit, check_reports

_NEED_TARGET = frozenset({"load", "ari", "target"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that teams can implement."""
    hook_calls.add_hooks(pluginmanager)
    pluginmanager.register(_LoopScopes(), "ari-sla-loop-scopes")


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings: a wrong value stops pytest before anything runs."""
    config.addinivalue_line(
        "markers",
        "sla(*thresholds, abort_after=None): conditions such as 'rtt.p99 < 60ms' that every load of the test must keep",
    )
    check_junit(config)
    settings = config.stash[SETTINGS] = settings_of_fleet(config) or options.settings_from(config)
    judged = config.stash[JUDGED] = JudgedTests()
    config.pluginmanager.register(given, "ari-sla-fixtures")
    config.pluginmanager.register(event_loops, "ari-sla-event-loops")
    config.pluginmanager.register(coroutines, "ari-sla-coroutines")
    config.pluginmanager.register(ItemHooks(judged), "ari-sla-items")
    config.addinivalue_line("markers", MARKER)
    config.pluginmanager.register(BugHunts(settings), "ari-sla-bugs")
    config.pluginmanager.register(refusals.Refusals(), "ari-sla-refusals")
    config.pluginmanager.register(EndSignals(full_trace=config.getoption("fulltrace", False)), "ari-sla-end-signals")
    config.pluginmanager.register(ThreadTimeouts(partial(_write_down, config)), "ari-sla-thread-timeouts")
    controller = join_fleet(config, settings, judged)
    config.pluginmanager.register(Reporter(config, judged, controller), "ari-sla-reporter")


# Last: what others have deselected is not read.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read all thresholds, so that a mistake in one stops pytest before the first call is made."""
    try:
        coroutines.check_runner(config, items)
        for item in filter(_has_thresholds, items):
            load_maker_of(config).thresholds_of(item)
    except SlaError as error:
        refuse(config, error)


def pytest_runtestloop(session: pytest.Session) -> None:
    """Find or start the target, so that a wrong address stops pytest before the first test."""
    is_led = settings_of_fleet(session.config) is not None  # then its controller has done it
    option = session.config.option
    # `testsfailed`: files that cannot be collected.
    runs_nothing = session.testsfailed or option.collectonly or option.setupplan
    if is_led or runs_nothing or not any(map(_uses_target, session.items)):
        return
    try:
        check_reports(session.config.stash[SETTINGS])
        load_maker_of(session.config).find_targets()
    except SlaError as error:
        from pytest_ari_sla.blame.sentences import at_fault

        raise pytest.UsageError(at_fault(str(error), error.culprit)) from error


def _has_thresholds(item: pytest.Item) -> bool:
    return _uses_target(item) or item.get_closest_marker("sla") is not None


def _uses_target(item: pytest.Item) -> bool:
    return not _NEED_TARGET.isdisjoint(own_fixtures(item))


def _write_down(config: pytest.Config, why: str) -> None:
    maker = config.stash.get(LOAD_MAKER, None)
    if maker is not None:
        maker.coordination.write_down(why)


class _LoopScopes:
    """Spares those who have no ini file pytest-asyncio's warning that it has no scope: our fixtures name theirs."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """Ignore it before pytest-asyncio gives it; pytest forgets the filter when everybody is configured."""
        unset = r'The configuration option "asyncio_default_fixture_loop_scope" is unset'
        warnings.filterwarnings("ignore", rf"\s*{unset}", pytest.PytestDeprecationWarning)
