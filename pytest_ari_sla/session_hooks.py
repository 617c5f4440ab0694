"""What the hooks of the plugin do in a session; everything heavy is imported when it is needed."""

from __future__ import annotations

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
from pytest_ari_sla.session.reports.places import check_junit, check_reports

__all__ = ["check_items", "find_targets", "join"]

_NEED_TARGET = frozenset({"load", "ari", "target"})


def join(config: pytest.Config) -> None:
    """Read the settings, and join in: a wrong value stops pytest before anything runs."""
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


def check_items(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read all thresholds, so that a mistake in one stops pytest before the first call is made."""
    try:
        coroutines.check_runner(config, items)
        for item in filter(_has_thresholds, items):
            load_maker_of(config).thresholds_of(item)
    except SlaError as error:
        refuse(config, error)


def find_targets(session: pytest.Session) -> None:
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
