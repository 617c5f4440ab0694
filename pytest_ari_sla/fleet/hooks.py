"""What pytest and xdist call in a fleet: one plug-in for the controller, one for each worker, none when alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.errors import SlaError
from pytest_ari_sla.fleet.stash import WORKER_HOOKS
from pytest_ari_sla.own_fixtures import own_fixtures
from pytest_ari_sla.session.reports.places import check_reports
from pytest_ari_sla.settings import Settings
from pytest_ari_sla.shard_names import (
    ShardLabel,
    complete_groups,
    names_in_fleet,
    parse_nodeid,
    shard_name,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_ari_sla.fleet.controlling.controller import Controller
    from pytest_ari_sla.judging.judged_tests import JudgedTests

__all__ = ["ControllerHooks", "WorkerHooks", "join_fleet", "refuse", "settings_of_fleet"]

_INPUT = "ari_sla"
_CHANNEL = "ari_sla_channel"


class ControllerHooks:
    """Plug-in of the process that xdist's workers are started from.

    Parameters
    ----------
    controller
        Who holds the fleet together.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker that is about to start its place in the fleet, and a channel to us."""
        member = self._controller.enlist(node)
        node.workerinput[_CHANNEL] = member.channel
        node.workerinput[_INPUT] = {
            "run_id": self._controller.facts.run_id,
            "shard": member.shard,
            "shards": self._controller.facts.shards,
            "number": member.number,
            "settings": asdict(self._controller.facts.settings),
        }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Let the other shards know that a worker has ended, or died."""
        self._controller.dismiss(node, error)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Let loads end, and hear what became of them, before xdist gives workers no more time."""
        said = str(excinfo.value) or type(excinfo.value).__name__
        self._controller.interrupt(f"the session was interrupted ({said})")

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Let the other shards know which test a worker died in, though it may not have come to a load yet."""
        self._controller.give_up(crashitem)

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Schedule shards ourselves; everything else is left to the scheduler that was asked for."""
        from pytest_ari_sla.fleet.controlling.shard_scheduler import ShardScheduler

        others = yield
        controller = self._controller
        return ShardScheduler(others, controller.facts.shards, controller.shard_of, self._prepare, controller.name_of)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Take note of what the worker said of the tests that it collected, before they are given out."""
        self._controller.hear_all()

    def _prepare(self, has_loads: bool) -> None:
        """Get ready, so that a mistake in a test or a wrong address stops pytest before the first test."""
        try:
            self._controller.check_refusals()
            if has_loads:
                check_reports(self._controller.facts.settings)
                self._controller.prepare()
        except SlaError as error:
            from pytest_ari_sla.blame.sentences import at_fault

            raise pytest.UsageError(at_fault(str(error), error.culprit)) from error


class WorkerHooks:
    """Plug-in of a worker.

    Parameters
    ----------
    workerinput
        What the controller gave to this worker.

    Attributes
    ----------
    identity
        Our place in the fleet: ``run_id``, ``shard``, ``shards``, ``number``.
    link
        The connection to the controller.
    """

    def __init__(self, workerinput: dict[str, Any]) -> None:
        from pytest_ari_sla.children.dead_hosts import notice_dead_host_of
        from pytest_ari_sla.fleet.link import ControllerLink

        self._divided: set[str] = set()
        self.identity: dict[str, Any] = workerinput[_INPUT]
        self.link = ControllerLink(workerinput[_CHANNEL])
        notice_dead_host_of(workerinput[_CHANNEL].gateway)

    # Last, so that the shard ends the node id: there `parse_nodeid` looks for it.
    @pytest.hookimpl(trylast=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test for each shard out of every test that uses ``load``."""
        if "load" in own_fixtures(metafunc.definition):
            shards = self.identity["shards"]
            labels = [ShardLabel(shard, shards) for shard in range(1, shards + 1)]
            metafunc.parametrize("load", labels, ids=labels, indirect=True)

    # Outermost: it sees the items before anybody has deselected, and after everybody has.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Select all shards of a test wherever ``-k``, ``--lf`` or ``--deselect`` left only some of them."""
        from pytest_ari_sla.fleet.conftest_hooks import folders_with_hooks
        from pytest_ari_sla.fleet.messages import Divided, HooksIn

        collected = list(items)
        yield
        items[:] = complete_groups(collected, items, shard_name)
        self._divided = {item.nodeid for item in items if shard_name(item).shard}
        self.link.send(Divided(sorted(self._divided)))
        if folders := folders_with_hooks(items[0].config) if items else []:
            self.link.send(HooksIn(folders))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the other shards know when our part of a test fails."""
        report = yield
        if report.failed and call.excinfo is not None:
            self._leave(item.nodeid, call.excinfo.exconly().strip().splitlines()[0])
        return report

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Let the other shards know that our part of a test is over."""
        self._leave(nodeid, "")

    def _leave(self, nodeid: str, reason: str) -> None:
        from pytest_ari_sla.fleet.messages import Leave

        if nodeid in self._divided and not self.link.stop_reason:
            self.link.send(Leave(parse_nodeid(nodeid).test, reason))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run no more tests after this one when the controller says so."""
        result = yield
        if self.link.stop_reason:
            item.session.shouldstop = self.link.stop_reason
        return result


def settings_of_fleet(config: pytest.Config) -> Settings | None:
    """Return the settings that a worker's controller has read; None in any other process.

    A worker does not read them again: files and environment may differ on its machine.
    """
    workerinput = getattr(config, "workerinput", {})
    return Settings(**workerinput[_INPUT]["settings"]) if _INPUT in workerinput else None


def refuse(config: pytest.Config, mistake: SlaError) -> None:
    """Stop pytest before the first test, since the tests that were collected hold a mistake.

    Raises
    ------
    pytest.UsageError
        In a process that is no worker: from a worker it would look like a crash, so its controller raises it.
    """
    worker = config.pluginmanager.getplugin(WORKER_HOOKS)
    if worker is None:
        raise pytest.UsageError(str(mistake)) from mistake
    from pytest_ari_sla.fleet.messages import Refuse

    worker.link.send(Refuse(str(mistake)))


def join_fleet(config: pytest.Config, settings: Settings, judged: JudgedTests) -> Controller | None:
    """Register what this process has to do in a fleet; return the controller, if this is its process.

    Parameters
    ----------
    config
        pytest's configuration.
    settings
        What the user asked for.
    judged
        The loads that are over.
    """
    workerinput = getattr(config, "workerinput", {})
    shards = 0
    controller = None
    if _INPUT in workerinput:
        config.pluginmanager.register(WorkerHooks(workerinput), WORKER_HOOKS)
        shards = workerinput[_INPUT]["shards"]
    # Defaults for where xdist is not installed.
    elif config.getoption("dist", "no") != "no" and config.getoption("tx", None):
        from xdist.workermanage import parse_tx_spec_config

        from pytest_ari_sla.fleet.controlling.controller import Controller

        shards = len(parse_tx_spec_config(config))
        controller = Controller(config, settings, shards, judged)
        config.pluginmanager.register(ControllerHooks(controller), "ari-sla-controller")
    _rename_shards(config, shards)
    return controller


def _rename_shards(config: pytest.Config, shards: int) -> None:
    """Let shards on the command line and in the cache of failed tests mean those of this fleet; 0: there is none."""
    # Each name once, though several shards of a test turn into the same.
    config.args[:] = dict.fromkeys(name for argument in config.args for name in names_in_fleet(argument, shards))
    failed = getattr(config.pluginmanager.getplugin("lfplugin"), "lastfailed", None) or {}
    for nodeid in list(failed):
        names = names_in_fleet(str(nodeid), shards)
        if names != [str(nodeid)]:
            del failed[nodeid]
            # Texts in pytest 8, objects that are read from texts in pytest 9.
            parse = getattr(nodeid, "parse", str)
            failed.update({parse(name): True for name in names})
