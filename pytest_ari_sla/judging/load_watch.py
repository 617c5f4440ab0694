"""Watches one load as it runs: whether it shall end early, how it looks now, and what there is of it so far.

Fed with what each shard reports once a second, alone with what the only one does. Everything is bounded: the series
thins itself, and only the last seconds are kept one by one. Times are ns since the load's beginning.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.load.results.outcome import LoadOutcome
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.metrics.time_series import TimeSeries
from pytest_ari_sla.metrics.units import counted
from pytest_ari_sla.reporting.live.live_state import (
    LiveEvent,
    LiveFigure,
    LiveShard,
    LiveStage,
    LiveState,
    LiveThreshold,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_ari_sla.judging.load_description import LoadDescription
    from pytest_ari_sla.metrics.catalogue import Catalogue
    from pytest_ari_sla.metrics.metric import Metric
    from pytest_ari_sla.sla.threshold import Threshold
    from pytest_ari_sla.sla.verdict import Rules

__all__ = ["LoadWatch"]

_SECOND_NS = 1_000_000_000
_RECENT_NS = 5 * _SECOND_NS
_HEALTH = ("harness.pacing_error", "harness.cpu")
_LOSS = ("loss.lost", "loss.sent")
_TROUBLES = {
    "calls.failed": ("call failed", "calls failed"),
    "calls.dropped": ("call ended before it was told to", "calls ended before they were told to"),
    "calls.not_started": (
        "call could not be started in time by this generator",
        "calls could not be started in time by this generator",
    ),
    "harness.receive_drops": (
        "packet was dropped in this generator's own receive buffers",
        "packets were dropped in this generator's own receive buffers",
    ),
}
_BEHIND_S = 3.0
"""What takes so long to set up or to end is worth a word."""

_SET_UP = ("calls.established", "calls.failed")
_OVER = ("calls.ended", "calls.dropped", "calls.failed")
_EVENTS_KEPT = 20
_INTERVALS = 300
"""Fewer than in the series that shards record: this one only serves interim reports."""


@dataclass
class _Shard:
    """The last seconds of one shard, as compact snapshots, and its state now."""

    at_ns: int = 0
    calls_up: int = 0
    receive_drops: int = 0
    recent: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)


class LoadWatch:
    """One load so far.

    Parameters
    ----------
    test, number
        Which: the test's node id, and the load's number in it, from 1.
    description
        What was told at its beginning.
    catalogue
        What can be measured.
    rules
        How strictly to judge.
    """

    def __init__(
        self, test: str, number: int, description: LoadDescription, catalogue: Catalogue, rules: Rules
    ) -> None:
        self.test = test
        self.number = number
        self.description = description
        self._catalogue = catalogue
        self._rules = rules
        self._conditions = description.thresholds
        self._until = description.until
        watched = [condition.threshold for condition in self._conditions] + ([self._until] if self._until else [])
        self._keep_ns = max([_RECENT_NS, *(threshold.window_ns or 0 for threshold in watched)])
        names = {name for threshold in watched for name in threshold.metric.names}
        self._shown = catalogue.prominent("console")
        names.update(name for metric in self._shown for name in metric.names)
        # Only what is asked for: each shard keeps a snapshot for every second of the longest window.
        self._kept_names = names | {*_HEALTH, *_LOSS, *_SET_UP, *_OVER}
        self._stages = {threshold.stage: Snapshot() for threshold in watched if threshold.stage}
        self._shards: dict[int, _Shard] = {}
        self._total = Snapshot()
        self._series = TimeSeries(limit=_INTERVALS)
        # A target that goes down fails calls in each second of what is left of a soak.
        self._events: deque[LiveEvent] = deque(maxlen=_EVENTS_KEPT)
        for name, start_ns, end_ns in description.stages:
            self._series.mark_stage(name, start_ns, end_ns)

    def add(self, shard: int, at_ns: int, calls_up: int, recent: Snapshot) -> None:
        """Take in what a shard reports.

        Parameters
        ----------
        shard
            Which, from 1.
        at_ns
            When.
        calls_up
            Calls that it has up now.
        recent
            What happened to it since its last report.
        """
        state = self._shards.setdefault(shard, _Shard())
        state.at_ns, state.calls_up = at_ns, calls_up
        state.receive_drops += recent.count("harness.receive_drops")
        state.recent.append((at_ns, recent.only(self._kept_names).to_compact()))
        # It never becomes empty: the report that has just been added is not that old.
        while state.recent[0][0] <= at_ns - self._keep_ns:
            state.recent.popleft()
        self._total += recent
        # A report tells of the time before it: one at a full second belongs to the second that has just ended.
        self._series.add(at_ns - 1, recent)
        for name, start_ns, end_ns in self.description.stages:
            if name in self._stages and start_ns < at_ns <= end_ns:
                self._stages[name] += recent
        for name, text in _TROUBLES.items():
            if recent.count(name):
                self.note(counted(recent.count(name), *text) + self._of(shard), at_ns)

    def note(self, text: str, at_ns: int | None = None) -> None:
        """Remember an event worth knowing."""
        self._events.append(LiveEvent((self.elapsed_ns if at_ns is None else at_ns) / 1e9, text))

    @property
    def name(self) -> str:
        """What reports call the load, as far as it is known now: a second one may follow."""
        return self.test if self.number == 1 else f"{self.test} load {self.number}"

    @property
    def elapsed_ns(self) -> int:
        """How long the load has lasted, by the latest report."""
        return max((shard.at_ns for shard in self._shards.values()), default=0)

    def reason_to_end(self) -> str:
        """Return why the load shall end now; empty if it shall go on."""
        elapsed_ns = self.elapsed_ns
        for condition in self._conditions:
            after_ns = condition.abort_after_ns
            if after_ns is not None and elapsed_ns >= after_ns and self._holds(condition.threshold) is False:
                return (
                    f"Ended after {elapsed_ns / 1e9:.0f} s instead of {self._duration_ns / 1e9:.0f} s: "
                    f"{condition.threshold} was broken (abort_after)"
                )
        if self._until is not None and self._holds(self._until):
            return f"Ended after {elapsed_ns / 1e9:.0f} s, when {self._until} came true (until)"
        return ""

    # --- what it judges ---

    def _value(self, threshold: Threshold) -> float | None:
        """Return what a threshold judges, so far: in the last window, in its stage, or of the whole load."""
        values = self._scope(threshold)
        if threshold.metric.name == "calls.success_ratio" and values.count("calls.requested"):
            # Calls that are still being set up have not failed.
            return 1 - values.count("calls.failed") / values.count("calls.requested")
        return values.value(threshold.metric, threshold.stat)

    def _scope(self, threshold: Threshold) -> Snapshot:
        if threshold.window_ns is not None:
            return self._since(self.elapsed_ns - threshold.window_ns).only(threshold.metric.names)
        return self._stages[threshold.stage] if threshold.stage else self._total

    def _holds(self, threshold: Threshold) -> bool | None:
        """Return whether a threshold holds so far; None where there is too little to tell."""
        if threshold.window_ns is not None and not self._is_full(threshold.window_ns, threshold.stage):
            return None
        value = self._value(threshold)
        samples = self._scope(threshold).samples(threshold.metric)
        if value is None or (samples is not None and samples < threshold.samples_needed(self._rules.tail_samples)):
            return None
        return threshold.holds(value)

    def _is_full(self, window_ns: int, stage: str | None) -> bool:
        """Tell whether the last window lies within the load, or within a stage: half a window says something else."""
        for name, start_ns, end_ns in self.description.stages:
            if name == stage:
                # Reports come once a second: the one of the stage's last moments may come so long after its end.
                return start_ns + window_ns <= self.elapsed_ns < end_ns + _SECOND_NS
        return window_ns <= self.elapsed_ns

    def _since(self, at_ns: int, shard: int | None = None) -> Snapshot:
        """Return what happened after a time, on all shards or one."""
        states = self._shards.values() if shard is None else [self._shards[shard]]
        return Snapshot.sum_of(
            Snapshot.from_plain(recent) for state in states for when_ns, recent in state.recent if when_ns > at_ns
        )

    @property
    def _duration_ns(self) -> int:
        return max(end_ns for _, _, end_ns in self.description.stages)

    def _of(self, shard: int) -> str:
        return f" (shard {shard})" if len(self._shards) > 1 else ""

    # --- what it shows ---

    def state(self) -> LiveState:
        """Return a picture of the load now."""
        recent = self._since(self.elapsed_ns - _RECENT_NS)
        total = self._total
        loss = self._catalogue.lookup("loss.ratio") if "loss.ratio" in self._catalogue else None
        mos = self._catalogue.lookup("mos") if "mos" in self._catalogue else None
        return LiveState(
            scenario=self.test if self.description.step else self.name,
            step=self.description.step,
            elapsed_s=self.elapsed_ns / 1e9,
            total_s=self._duration_ns / 1e9,
            stages=tuple(LiveStage(name, start / 1e9, end / 1e9) for name, start, end in self.description.stages),
            calls_now=sum(shard.calls_up for shard in self._shards.values()),
            calls_wanted=round(self._wanted(self.elapsed_ns)),
            established=total.count("calls.established"),
            failed=total.count("calls.failed"),
            dropped=total.count("calls.dropped"),
            figures=tuple(self._figures(recent)),
            loss_recent=None if loss is None else recent.value(loss),
            loss_whole=None if loss is None else total.value(loss),
            mos=None if mos is None else total.value(mos, "p50"),
            shards=tuple(self._shard_state(shard) for shard in sorted(self._shards)),
            thresholds=tuple(self._threshold_state(condition.threshold) for condition in self._conditions),
            events=tuple(self._events),
            recent_s=_RECENT_NS / 1e9,
            behind=self._behind(recent),
            is_scripted=self.description.is_scripted,
        )

    def _behind(self, recent: Snapshot) -> str:
        """Say how long a target that cannot keep up will take, at the pace of the last seconds; empty where it can."""
        total, elapsed_s = self._total, self.elapsed_ns / 1e9
        # In its first seconds a load has less than that to be measured by.
        span_s = min(elapsed_s, _RECENT_NS / 1e9)
        waiting = total.count("calls.requested") - _sum(total, _SET_UP)
        if self.elapsed_ns <= self._duration_ns:
            return _at_pace(waiting, "wait to be set up", _sum(recent, _SET_UP), span_s)
        if self.description.is_scripted:
            return ""  # nobody knows how long a conversation takes; each of its steps has a time-out
        up = sum(shard.calls_up for shard in self._shards.values())
        # Those that ended before were not the ones that the end of the plan hangs up.
        since_ns = max(self._duration_ns, self.elapsed_ns - _RECENT_NS)
        span_s = (self.elapsed_ns - since_ns) / 1e9
        return _at_pace(up + waiting, "are still to end", _sum(self._since(since_ns), _OVER), span_s)

    def _figures(self, recent: Snapshot) -> Iterator[LiveFigure]:
        for metric in self._shown:
            if metric.kind != "distribution":
                if (whole := self._total.value(metric)) is not None:
                    now, is_count = recent.value(metric), metric.kind == "count"
                    yield LiveFigure(metric.name, metric.unit, recent=now, whole=whole, is_count=is_count)
            elif self._total.histogram(metric.name).count:
                yield LiveFigure(
                    metric.name,
                    metric.unit,
                    recent_p50=recent.value(metric, "p50"),
                    recent_p99=recent.value(metric, "p99"),
                    whole_p50=self._total.value(metric, "p50"),
                    whole_p99=self._total.value(metric, "p99"),
                )

    def _shard_state(self, shard: int) -> LiveShard:
        state = self._shards[shard]
        recent = self._since(state.at_ns - _RECENT_NS, shard)

        def figure(name: str, stat: str) -> float | None:
            metric: Metric = self._catalogue.lookup(name)
            return recent.value(metric, stat)

        return LiveShard(
            shard=shard,
            calls=state.calls_up,
            pacing_p99_s=figure("harness.pacing_error", "p99"),
            receive_drops=state.receive_drops,
            cpu_ratio=figure("harness.cpu", "mean"),
        )

    def _threshold_state(self, threshold: Threshold) -> LiveThreshold:
        return LiveThreshold(str(threshold), self._value(threshold), threshold.unit, self._holds(threshold))

    def _wanted(self, at_ns: int) -> float:
        """Return how many calls the profile wants up, from its corners."""
        for (begin_ns, first), (end_ns, last) in pairwise(self.description.wanted):
            if begin_ns <= at_ns <= end_ns:
                # Two corners at one time are a step of the profile.
                return first + (last - first) * (at_ns - begin_ns) / max(1, end_ns - begin_ns)
        return 0.0

    # --- what there is so far ---

    def outcome(self, note: str) -> LoadOutcome:
        """Return the load so far as an outcome, without its single calls; ``note`` says why it is not whole."""
        return LoadOutcome(
            topology=self.description.topology,
            codec=self.description.codec,
            started_ns=self.description.started_ns,
            duration_ns=self.elapsed_ns,
            total=self._total,
            # A copy: the load goes on and adds to it while reports are made.
            series=self._series.copy(),
            notes=(note,),
        )


def _at_pace(calls: int, fate: str, done: int, span_s: float) -> str:
    """Say how long so many calls will take when ``done`` of them took ``span_s``; empty where that is soon."""
    if not done:
        is_long = calls and span_s >= _BEHIND_S
        return f"{counted(calls, 'call')} {fate}: none in the last {span_s:.0f} s" if is_long else ""
    needed_s = calls * span_s / done
    return (
        f"{counted(calls, 'call')} {fate}: {needed_s:.0f} s at {done / span_s:.3g} a second"
        if needed_s >= _BEHIND_S
        else ""
    )


def _sum(values: Snapshot, names: Iterable[str]) -> int:
    return sum(map(values.count, names))
