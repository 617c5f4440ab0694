from __future__ import annotations

import copy
import subprocess
import sys
from typing import TYPE_CHECKING

import pluggy
import pytest

from pytest_ari_sla.hookspecs import hooks
from pytest_ari_sla.metrics.catalogue import core_catalogue
from pytest_ari_sla.trackers.builtin import BuiltinTrackers
from tests.unit.trackers.loads import FixedLog, Load, echo

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.tracker import Tracker

TRACKERS = BuiltinTrackers().pytest_ari_sla_register_trackers()


def test_the_built_ins_come_through_the_public_hook() -> None:
    """A plugin manager that knows our hooks gets them as it gets a stranger's."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hooks)
    manager.register(BuiltinTrackers())
    (trackers,) = manager.hook.pytest_ari_sla_register_trackers()
    assert [tracker.name for tracker in trackers] == [tracker.name for tracker in TRACKERS]


def test_names_and_metrics_are_theirs_alone() -> None:
    """All of them fit into one catalogue."""
    catalogue = core_catalogue()
    for tracker in TRACKERS:
        catalogue.register(tracker.metrics, tracker.name)
    assert len({tracker.name for tracker in TRACKERS}) == len(TRACKERS)
    for name in ("rtt", "rtt_intended", "one_way", "jitter", "pdv", "loss.ratio", "loss.burst_density", "mos", "late"):
        assert name in catalogue


@pytest.mark.parametrize("prototype", TRACKERS, ids=lambda tracker: tracker.name)
def test_a_prototype_serves_many_loads(prototype: Tracker) -> None:
    """Each load works on a copy; counts and histograms begin at nothing, and declare what they hold."""
    tracker = copy.deepcopy(prototype)
    load = Load(FixedLog([5]), [0], [echo(probe) for probe in range(5)])
    load.run(tracker, [2])
    first = tracker.snapshot()
    load.run(tracker, [3])
    assert tracker.snapshot() == first
    assert set(first) == {metric.name for metric in tracker.metrics if metric.kind != "ratio"}


def test_registering_imports_nothing_heavy() -> None:
    """The command line's help is shown without NumPy."""
    code = "import sys, pytest_ari_sla.trackers.builtin; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
