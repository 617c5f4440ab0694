"""Trackers that belong to anybody: what one does wrong costs its own metrics, and is told in one sentence."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from pytest_ari_sla.media.measuring.tracker_group import SLOW_SHARE, TrackerGroup
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.rtp.rtcp import ReceivedReport, ReceiverReport
from pytest_ari_sla.sla.guards import tripped_guards
from pytest_ari_sla.testing.manual_clock import ManualClock
from tests.unit.batches import Packet, batch_of
from tests.unit.trackers.loads import FixedLog, context_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

CONTEXT = context_of(FixedLog([9, 9]), [0, 1])
BATCH = batch_of([Packet(leg=0), Packet(leg=1)])
REPORT = ReceivedReport(0, ReceiverReport(1), 0, own_ssrc=2)


class Counter:
    """A tracker that counts packets; a test lets it misbehave."""

    metrics = (Metric("seen", "count", "count", "Packets"),)

    def __init__(self, name: str = "counter", **faults: Any) -> None:
        self.name = name
        self.faults = faults
        self.seen = 0

    def _maybe(self, what: str) -> None:
        if isinstance(self.faults.get(what), Exception):
            raise self.faults[what]

    def __deepcopy__(self, memo: object) -> Counter:
        self._maybe("copy")
        return Counter(self.name, **self.faults)

    def begin(self, context: object) -> None:
        """Prepare."""
        self._maybe("begin")

    def observe(self, batch: PacketBatch) -> None:
        """Count, at leisure if told to."""
        self._maybe("observe")
        busy_until = time.thread_time() + self.faults.get("busy_s", 0.0)
        while time.thread_time() < busy_until:
            pass
        self.seen += len(batch)

    def advance(self, now_ns: int) -> None:
        """Let time pass."""
        self._maybe("advance")

    def release(self, legs: NDArray[np.int32]) -> None:
        """End legs."""
        self._maybe("release")

    def snapshot(self) -> Mapping[str, Any]:
        """Tell the count, or what the test wants told."""
        self._maybe("snapshot")
        told: Mapping[str, Any] = self.faults.get("values", {"seen": self.seen})
        return told

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Tell something of each leg."""
        self._maybe("per_leg")
        return {"seen": self.faults.get("column", np.ones(2))}


class Witness(Counter):
    """Another tracker beside it, whose metric has another name."""

    metrics = (Metric("witnessed", "count", "count", "Packets"),)

    def __deepcopy__(self, memo: object) -> Witness:
        return Witness("witness")

    def snapshot(self) -> Mapping[str, Any]:
        """Tell the count."""
        return {"witnessed": self.seen}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Tell nothing."""
        return {}


class Listener(Witness):
    """A witness that counts RTCP reports as well."""

    def __deepcopy__(self, memo: object) -> Listener:
        return Listener("witness", **self.faults)

    def observe_reports(self, reports: Sequence[ReceivedReport]) -> None:
        """Count."""
        self._maybe("observe_reports")
        self.seen += len(reports)


def lived(**faults: Any) -> tuple[dict[str, Any], list[str]]:
    """Let a tracker with these faults live through a load, beside one without; return values and remarks."""
    group = TrackerGroup([Counter(**faults), Witness()], {"counter": "acme-plugin", "witness": "other"}, ManualClock())
    group.begin(CONTEXT)
    group.observe(BATCH)
    group.advance(0)
    group.per_leg()
    group.release(np.zeros(1, np.int32))
    return group.snapshot(), group.remarks()


class Timed(Counter):
    """Keeps the times that it is told."""

    told: ClassVar[list[int]] = []

    def __deepcopy__(self, memo: object) -> Timed:
        return Timed("counter")

    def advance(self, now_ns: int) -> None:
        """Keep it."""
        self.told.append(now_ns)


def test_time_never_goes_back_for_a_tracker() -> None:
    """What is known to have been read is told earlier where a packet came out of turn."""
    group = TrackerGroup([Timed()], {})
    group.begin(CONTEXT)
    for now_ns in (5, 9, 7, 12):
        group.advance(now_ns)
    assert Timed.told == [5, 9, 9, 12]


def test_trackers_measure_side_by_side() -> None:
    """Copies of the prototypes: a load leaves no trace in them."""
    prototype = Counter()
    group = TrackerGroup([prototype, Witness()], {})
    group.begin(CONTEXT)
    group.observe(BATCH)
    assert group.snapshot() == {"seen": 2, "witnessed": 2, "harness.trackers_failed": 0, "harness.batches_left_out": 0}
    assert group.per_leg()["seen"].tolist() == [1, 1]
    assert group.remarks() == []
    assert prototype.seen == 0


@pytest.mark.parametrize("method", ["begin", "observe", "advance", "release", "snapshot", "per_leg"])
def test_an_exception_in_any_method_leaves_a_tracker_out(method: str) -> None:
    """Its metrics are gone, the others' are not, and the remark names plug-in, method and error."""
    values, remarks = lived(**{method: ValueError("oh no")})
    values.pop("harness.batches_left_out")
    assert values == {"witnessed": 2, "harness.trackers_failed": 1}
    assert remarks == [f"tracker 'counter' of acme-plugin failed in {method}() and was left out: ValueError: oh no"]


def told_of_reports(*reports: ReceivedReport, **faults: Any) -> TrackerGroup:
    """Return a counter of packets and one of reports, when these have come."""
    group = TrackerGroup([Counter(), Listener("witness", **faults)], {"witness": "acme-plugin"})
    group.begin(CONTEXT)
    group.observe_reports(reports)
    return group


def test_reports_are_told_to_those_who_ask_for_them() -> None:
    """By having a method for them; where there are none, nobody is asked."""
    assert told_of_reports(REPORT, REPORT).snapshot() == {
        "seen": 0,
        "witnessed": 2,
        "harness.trackers_failed": 0,
        "harness.batches_left_out": 0,
    }
    assert told_of_reports(observe_reports=ValueError("oh no")).remarks() == []


def test_a_tracker_that_fails_over_a_report_is_left_out() -> None:
    """As over a packet."""
    group = told_of_reports(REPORT, observe_reports=ValueError("oh no"))
    assert group.snapshot() == {"seen": 0, "harness.trackers_failed": 1, "harness.batches_left_out": 0}
    assert "of acme-plugin failed in observe_reports() and was left out: ValueError: oh no" in group.remarks()[0]


def test_a_prototype_that_cannot_be_copied_is_left_out() -> None:
    """Every load needs a copy of its own."""
    values, remarks = lived(copy=TypeError("a lock"))
    assert values["harness.trackers_failed"] == 1
    assert "failed in a copy of it and was left out: TypeError: a lock" in remarks[0]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"values": {"sen": 1}}, "'sen', which is not among its metrics"),
        ({"values": {"seen": 1.5}}, "'seen' is 1.5; values are Histograms, or whole numbers that add up"),
        ({"values": {"seen": True}}, "'seen' is True"),
        ({"values": [1]}, "failed in snapshot()"),
        ({"column": np.ones(3)}, "'seen' has the shape (3,), not one value for each of 2 legs"),
    ],
)
def test_wrong_results_leave_a_tracker_out(faults: dict[str, Any], message: str) -> None:
    """What cannot be merged, judged or reported is refused here, where it is known whose it is."""
    values, remarks = lived(**faults)
    values.pop("harness.batches_left_out")
    assert values == {"witnessed": 2, "harness.trackers_failed": 1}
    assert message in remarks[0]


def test_a_tracker_that_takes_much_of_a_core_is_slow() -> None:
    """Over at least a second: short loads are no measure."""
    values, remarks = lived(busy_s=2 * SLOW_SHARE)
    assert values["seen"] == 2
    assert len(remarks) == 1
    assert remarks[0].startswith("tracker 'counter' of acme-plugin is slow: it took 2")


def test_preparing_is_no_part_of_the_cost() -> None:
    """What is done once, before the first packet, delays nothing."""
    group = TrackerGroup([Counter()], {})
    group.begin(replace(CONTEXT))
    assert group.remarks() == []


class Picky(Counter):
    """A tracker that fails over batches of one packet."""

    def __deepcopy__(self, memo: object) -> Picky:
        return Picky(self.name)

    def observe(self, batch: PacketBatch) -> None:
        """Count."""
        if len(batch) == 1:
            raise IndexError("too short")
        super().observe(batch)


def picky(*batches: PacketBatch) -> TrackerGroup:
    """Return trackers, one of them picky, that have been given these batches."""
    group = TrackerGroup([Picky(), Witness()], {"counter": "acme-plugin"})
    group.begin(CONTEXT)
    for batch in batches:
        group.observe(batch)
    return group


ODD = batch_of([Packet(leg=0)])


def test_a_tracker_that_fails_over_an_odd_batch_goes_on_without_it() -> None:
    """One packet in an hour must not cost the figures of an hour; but no verdict on them is believed."""
    group = picky(BATCH, ODD, BATCH)
    values = group.snapshot()
    assert (values["seen"], values["witnessed"]) == (4, 5)
    assert (values["harness.trackers_failed"], values["harness.batches_left_out"]) == (0, 1)
    (remark,) = group.remarks()
    assert "tracker 'counter' of acme-plugin failed over 1 batch of packets" in remark
    assert "IndexError: too short" in remark
    guard, *more = tripped_guards(Snapshot(values), 1.0)
    (mine,), (others,) = Counter.metrics, Witness.metrics
    assert more == []
    assert guard.spoils_pass(mine)
    assert guard.spoils_failure(mine)
    assert not guard.spoils_pass(others)


def test_a_tracker_that_keeps_failing_is_left_out() -> None:
    """Three times, or the first time of all: that is no odd packet."""
    for group in (picky(BATCH, ODD, ODD, BATCH, ODD), picky(ODD, BATCH)):
        assert "seen" not in group.snapshot()
        assert group.snapshot()["harness.trackers_failed"] == 1
        assert "failed in observe() and was left out: IndexError: too short" in group.remarks()[0]
        assert tripped_guards(Snapshot(group.snapshot()), 1.0) == ()
