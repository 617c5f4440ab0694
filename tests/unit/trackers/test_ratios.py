"""No ratio of the catalogue leaves 0 to 1, whatever packets do: over the whole load, and second by second."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.session.plugins.registry import builtin_registry
from tests.unit.batches import batch_sizes, split
from tests.unit.trackers.loads import WINDOW, Load, context_of, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.metrics.metric import Metric

REGISTRY = builtin_registry()
RATIOS = [metric for metric in REGISTRY.catalogue if metric.kind == "ratio"]
MEASURED = [ratio for ratio in RATIOS if not ratio.name.startswith("calls.")]


def assert_shares(values: Snapshot, ratios: Sequence[Metric]) -> None:
    """Every ratio that has a value is a share, and has no numerator without a denominator."""
    for ratio in ratios:
        value = values.value(ratio)
        assert value is None or 0 <= value <= 1, (ratio.name, dict(values))
        assert value is not None or not values.count(ratio.numerator), (ratio.name, dict(values))


@settings(max_examples=50)
@given(loads(), batch_sizes(), st.lists(st.sampled_from([0] * 6 + [1, 2, 30]), max_size=40))
def test_a_ratio_of_what_trackers_count_is_a_share_at_every_moment(
    load: Load, sizes: list[int], drops: list[int]
) -> None:
    """Lost, late, doubled and stray packets, legs without probes, drops of our own that come at any time."""
    dropped = accumulate([0, *drops])
    now = 0

    def receive_drops() -> int:
        nonlocal now
        now = next(dropped, now)
        return now

    trackers = [type(tracker)() for tracker in REGISTRY.trackers.values() if {*tracker.metrics} & {*RATIOS}]
    for tracker in trackers:
        tracker.begin(context_of(load.log, load.heard_leg, WINDOW, receive_drops))
    dated: Counter[tuple[int, str]] = Counter()
    for now_ns, packets in load.intervals():
        for batch in split(packets, sizes):
            for tracker in trackers:
                tracker.observe(batch)
        for tracker in trackers:
            tracker.advance(now_ns)
        assert_shares(Snapshot.sum_of(Snapshot(tracker.snapshot()) for tracker in trackers), MEASURED)
    for tracker in trackers:
        tracker.release(load.legs)
    total = Snapshot.sum_of(Snapshot(tracker.snapshot()) for tracker in trackers)
    assert_shares(total, MEASURED)
    for tracker in trackers:
        if hasattr(tracker, "take_dated"):
            for at_ns, values in tracker.take_dated():
                dated.update({(at_ns, name): count for name, count in values.items()})
    for at_ns in {at for at, _ in dated}:
        second = Snapshot({name: count for (at, name), count in dated.items() if at == at_ns})
        assert_shares(second, [ratio for ratio in MEASURED if ratio.name.startswith("loss.")])
