"""The trackers of one load, each kept apart from the others: one that fails is left out, and what each costs is known.

A tracker may be anybody's code. An exception in it costs its own metrics, and nothing else: the run goes on, thresholds
on these metrics find no samples, and the report says whose tracker that was.

Only ``observe`` may fail a few times, once it has taken in a batch: an odd packet in an hour must not cost all figures
of that hour. Those batches are left out and counted, and no verdict on the tracker's metrics is believed.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pytest_ari_sla.hookspecs.tracker import DatedTracker, ReportTracker
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.sla.guards import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.clock import Clock
    from pytest_ari_sla.hookspecs.tracker import Tracker, TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch
    from pytest_ari_sla.rtp.rtcp import ReceivedReport

__all__ = ["SLOW_SHARE", "TrackerGroup"]

SLOW_SHARE = 0.1
"""A tracker that takes a larger share of a core than this is slow."""

MOST_LEFT_OUT = 3
"""After so many batches that it has failed over, a tracker is left out itself."""

_LEAST_SPAN_NS = 1_000_000_000  # in a shorter load, one slow call would be a large share
_FAILED = "harness.trackers_failed"
_LEFT_OUT = "harness.batches_left_out"

T = TypeVar("T")


class _Guarded:
    """One tracker, what it has cost, and what is wrong with it.

    Parameters
    ----------
    prototype
        As a plug-in registered it.
    owner
        The plug-in.
    """

    def __init__(self, prototype: Tracker, owner: str) -> None:
        self._label = f"tracker {prototype.name!r} of {owner}"
        self._metrics = {metric.name for metric in prototype.metrics}
        self._used_ns = 0
        self.problem = ""
        self._taken_in, self.batches_left_out = 0, 0
        self._first_failure = ""
        self._tracker = prototype  # what stays where it cannot be copied; it is never used then
        # the prototype is the session's, and other loads begin with it
        self._tracker = self.call("a copy of it", lambda: copy.deepcopy(prototype), prototype)
        # Found out once: asking a protocol looks at every attribute, and these are asked every second.
        self._of_reports = self._tracker if isinstance(self._tracker, ReportTracker) else None
        self._dated = self._tracker if isinstance(self._tracker, DatedTracker) else None

    def call(self, what: str, work: Callable[[], T], otherwise: T) -> T:
        """Let the tracker do something; after a failure it does nothing any more, and ``otherwise`` is returned."""
        if self.problem:
            return otherwise
        # this thread's own time: waiting for the interpreter is not the tracker's cost
        began_ns = time.thread_time_ns()
        try:
            return work()
        except Exception as error:
            self.problem = f"{self._label} failed in {what} and was left out: {type(error).__name__}: {error}"
            return otherwise
        finally:
            self._used_ns += time.thread_time_ns() - began_ns

    def begin(self, context: TrackerContext) -> None:
        """Prepare; what that takes is not part of the cost of measuring."""
        self.call("begin()", lambda: self._tracker.begin(context), None)
        self._legs, self._used_ns = context.legs, 0

    def observe(self, batch: PacketBatch) -> None:
        """Take in a batch; one that the tracker fails over is left out, if it is an exception."""
        self.call("observe()", lambda: self._observe(batch), None)

    def _observe(self, batch: PacketBatch) -> None:
        try:
            self._tracker.observe(batch)
            self._taken_in += 1
        except Exception as error:
            self.batches_left_out += 1
            self._first_failure = self._first_failure or f"{type(error).__name__}: {error}"
            # One that has never worked is broken, not confused by an odd packet.
            if not self._taken_in or self.batches_left_out >= MOST_LEFT_OUT:
                raise

    def observe_reports(self, reports: Sequence[ReceivedReport]) -> None:
        """Take in RTCP reports, if that is among what the tracker does."""
        if (tracker := self._of_reports) is not None:
            self.call("observe_reports()", lambda: tracker.observe_reports(reports), None)

    def advance(self, now_ns: int) -> None:
        """Let time pass."""
        self.call("advance()", lambda: self._tracker.advance(now_ns), None)

    def take_dated(self) -> Sequence[tuple[int, Mapping[str, int]]]:
        """Return what belongs to another time than the present, if that is among what the tracker knows."""
        return () if self._dated is None else self.call("take_dated()", self._dated.take_dated, ())

    def release(self, legs: NDArray[np.int32]) -> None:
        """End these legs."""
        self.call("release()", lambda: self._tracker.release(legs), None)

    def snapshot(self) -> dict[str, Histogram | int]:
        """Return all values; nothing after a failure: what stopped growing must not look like a result."""
        nothing: dict[str, Histogram | int] = {}
        return self.call("snapshot()", self._checked_snapshot, nothing) | self._gaps()

    def _gaps(self) -> dict[str, Histogram | int]:
        if self.problem or not self.batches_left_out:
            return {}
        return {f"{LEFT_OUT}{name}": self.batches_left_out for name in self._metrics}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return values for each leg."""
        return self.call("per_leg()", self._checked_columns, {})

    def _checked_snapshot(self) -> dict[str, Histogram | int]:
        values = dict(self._tracker.snapshot())
        for name, value in values.items():
            if name not in self._metrics:
                message = f"it gives {name!r}, which is not among its metrics"
                raise KeyError(message)
            # a bool is an int to Python, and does not add up
            if isinstance(value, bool) or not isinstance(value, Histogram | int):
                message = f"{name!r} is {value!r}; values are Histograms, or whole numbers that add up"
                raise TypeError(message)
        return values

    def _checked_columns(self) -> Mapping[str, NDArray[np.float64]]:
        columns = self._tracker.per_leg()
        for name, column in columns.items():
            if np.shape(column) != (self._legs,):
                message = f"{name!r} has the shape {np.shape(column)}, not one value for each of {self._legs} legs"
                raise ValueError(message)
        return columns

    def remark(self, span_ns: int) -> str:
        """Return what a reader of the report must know of this tracker; usually nothing."""
        share = self._used_ns / span_ns
        if self.batches_left_out and not self.problem:
            batches = counted(self.batches_left_out, "batch of packets", "batches of packets")
            return (
                f"{self._label} failed over {batches}, which its metrics lack ({self._first_failure}): no verdict on "
                "them is certain"
            )
        if self.problem or share <= SLOW_SHARE:
            return self.problem
        return (
            f"{self._label} is slow: it took {share:.0%} of a core to measure; results were delayed, packets were not "
            "(work on whole batches of packets, with NumPy)"
        )


class TrackerGroup:
    """All trackers of a load, as one.

    Parameters
    ----------
    prototypes
        Copied.
    owners
        Which plug-in a tracker came from, by the tracker's name.
    clock
        The time.
    """

    def __init__(self, prototypes: Iterable[Tracker], owners: Mapping[str, str], clock: Clock = time) -> None:
        self._monotonic_ns = clock.monotonic_ns
        self._trackers = [_Guarded(tracker, owners.get(tracker.name, "a test")) for tracker in prototypes]
        self._began_ns = self._monotonic_ns()
        self._span_ns = self._told_ns = 0

    def begin(self, context: TrackerContext) -> None:
        """Prepare for a load."""
        for tracker in self._trackers:
            tracker.begin(context)
        self._began_ns = self._monotonic_ns()

    def observe(self, batch: PacketBatch) -> None:
        """Take in a batch."""
        for tracker in self._trackers:
            tracker.observe(batch)

    def observe_reports(self, reports: Sequence[ReceivedReport]) -> None:
        """Take in RTCP reports, usually none."""
        if reports:
            for tracker in self._trackers:
                tracker.observe_reports(reports)

    def advance(self, now_ns: int) -> None:
        """Let time pass; for trackers it never goes back, though less may be known to have been read than before."""
        self._told_ns = max(self._told_ns, now_ns)
        for tracker in self._trackers:
            tracker.advance(self._told_ns)
        self._span_ns = self._monotonic_ns() - self._began_ns

    def release(self, legs: NDArray[np.int32]) -> None:
        """End these legs."""
        for tracker in self._trackers:
            tracker.release(legs)

    def take_dated(self) -> list[tuple[int, Mapping[str, int]]]:
        """Return the values that trackers date themselves: what has come to them since the last time, and its time."""
        return [dated for tracker in self._trackers for dated in tracker.take_dated()]

    def snapshot(self) -> dict[str, Any]:
        """Return the values of all trackers, how many trackers have failed, and over how many batches."""
        values = {name: value for tracker in self._trackers for name, value in tracker.snapshot().items()}
        return values | {
            _FAILED: sum(bool(tracker.problem) for tracker in self._trackers),
            _LEFT_OUT: sum(tracker.batches_left_out for tracker in self._trackers),
        }

    def per_leg(self) -> dict[str, NDArray[np.float64]]:
        """Return the values of all trackers for each leg."""
        return {name: column for tracker in self._trackers for name, column in tracker.per_leg().items()}

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know: which trackers failed, and which are slow."""
        remarks = (tracker.remark(max(self._span_ns, _LEAST_SPAN_NS)) for tracker in self._trackers)
        return [remark for remark in remarks if remark]
