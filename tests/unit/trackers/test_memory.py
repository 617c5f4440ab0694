from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_ari_sla.trackers.builtin import BuiltinTrackers
from pytest_ari_sla.trackers.memory import bytes_per_leg
from tests.unit.batches import batch_of
from tests.unit.trackers.loads import LOSS_LIMIT_NS, FixedLog, context_of, echo, intended_ns

if TYPE_CHECKING:
    from pytest_ari_sla.hookspecs.tracker import Tracker

NAMES = [tracker.name for tracker in BuiltinTrackers().pytest_ari_sla_register_trackers()]
WINDOW = 256


def array_bytes(value: object, seen: set[int]) -> int:
    """Return the bytes of all arrays that an object of ours holds; the context's own are not its."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return 0 if value.base is not None and id(value.base) in seen else int(value.nbytes)
    if isinstance(value, list | tuple):
        return sum(array_bytes(item, seen) for item in value)
    if type(value).__module__.startswith("pytest_ari_sla"):
        return sum(array_bytes(item, seen) for item in getattr(value, "__dict__", {}).values())
    return 0


def tracker_named(name: str) -> Tracker:
    """Return a fresh built-in tracker."""
    return next(tracker for tracker in BuiltinTrackers().pytest_ari_sla_register_trackers() if tracker.name == name)


def memory_of(name: str, legs: int) -> int:
    """Return what a tracker of so many legs holds once it has begun."""
    tracker = tracker_named(name)
    # Legs that hear no probes need more in the loss tracker: the worst case is what is stated.
    context = context_of(FixedLog([0] * legs), [-1] * legs, WINDOW)
    tracker.begin(context)
    return array_bytes(tracker, {id(context.heard_leg)})


@pytest.mark.parametrize("name", NAMES)
def test_the_stated_memory_is_what_a_leg_takes(name: str) -> None:
    """A thousand legs more take a thousand times what is stated, within a few bytes each."""
    per_leg = (memory_of(name, 2000) - memory_of(name, 1000)) / 1000
    assert per_leg == pytest.approx(bytes_per_leg(WINDOW)[name], abs=8)


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_flat_over_hours(name: str) -> None:
    """Five hours after two seconds, a tracker holds what it held then."""
    tracker = tracker_named(name)
    log = FixedLog([10_000_000])
    tracker.begin(context_of(log, [0]))
    sizes = []
    for probe in (100, 100_000, 900_000):
        tracker.advance(intended_ns(probe) + LOSS_LIMIT_NS - 1)
        tracker.observe(batch_of([echo(probe)]))
        tracker.advance(intended_ns(probe) + LOSS_LIMIT_NS)
        sizes.append(array_bytes(tracker, set()))
    assert sizes == sizes[:1] * 3
