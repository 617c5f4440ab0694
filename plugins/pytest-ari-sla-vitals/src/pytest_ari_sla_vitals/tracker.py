"""The tracker: reads the vitals once a second while a load runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla import Histogram, Metric
from pytest_ari_sla_vitals.asterisk_process import AsteriskProcess, Vitals
from pytest_ari_sla_vitals.leak import GrowthWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla import AriEndpoint, PacketBatch, TrackerContext

__all__ = ["VitalsTracker"]

READING_NS = 1_000_000_000
CPU_STEP = 0.001  # histograms hold whole numbers: thousandths of a core

LEVELS = (
    Metric("vitals.cpu", "distribution", "ratio", "CPU of Asterisk each second; 100% is one core", resolution=CPU_STEP),
    Metric("vitals.rss", "distribution", "B", "Memory of Asterisk in RAM", resolution=1),
    Metric("vitals.open_files", "distribution", "count", "File descriptors of Asterisk", resolution=1),
    Metric("vitals.threads", "distribution", "count", "Threads of Asterisk", resolution=1),
    Metric("vitals.channels", "distribution", "count", "Active channels, also those of others", resolution=1),
    Metric("vitals.queued_tasks", "distribution", "count", "Tasks waiting in all taskprocessors", resolution=1),
)
# Counts, because a count may be corrected from second to second; a histogram only ever takes in more.
GROWTHS = (
    Metric("vitals.rss_growth", "count", "B", "Rise of vitals.rss at constant load: a leak of memory"),
    Metric("vitals.open_files_growth", "count", "count", "Rise of vitals.open_files at constant load"),
    Metric("vitals.threads_growth", "count", "count", "Rise of vitals.threads at constant load"),
)


def _find(endpoint: AriEndpoint) -> AsteriskProcess | None:
    return AsteriskProcess.listening_at(endpoint.host, endpoint.port)


class VitalsTracker:
    """Reads CPU, memory, files, threads, channels and queues of an Asterisk on this host.

    One process of the fleet reads, the first one; everywhere else, and for an Asterisk on another host, there are no
    samples.

    Parameters
    ----------
    warm_up_s
        How long the first wave of calls lasts, before readings count for growth. Falls count as 0.
    find
        Finds the process behind an ARI address.
    """

    name = "vitals"
    metrics: Sequence[Metric] = LEVELS + GROWTHS

    def __init__(self, warm_up_s: float = 20.0, find: Callable[[AriEndpoint], AsteriskProcess | None] = _find) -> None:
        self._warm_up_s = warm_up_s
        self._find = find
        self._process: AsteriskProcess | None = None
        self._reset()

    def _reset(self) -> None:
        self._levels = {metric.name: Histogram() for metric in LEVELS}
        self._growths = {metric.name: GrowthWatch(self._warm_up_s) for metric in GROWTHS}
        self._known_growth: dict[str, int] = {}
        self._before: tuple[int, float] | None = None
        self._next_reading_ns = 0

    def begin(self, context: TrackerContext) -> None:
        """Find the process of the target."""
        self._reset()
        # Workers on one host would count the same process several times.
        is_reader = context.shard == 1 and context.ari is not None
        self._process = self._find(context.ari) if is_reader and context.ari is not None else None

    def observe(self, batch: PacketBatch) -> None:
        """Packets say nothing about the process."""

    def advance(self, now_ns: int) -> None:
        """Take a reading, if it is time."""
        if now_ns < self._next_reading_ns:
            return
        # Time is told whenever a call ends as well: each reading costs Asterisk two commands.
        self._next_reading_ns = now_ns + READING_NS * 9 // 10
        vitals = self._process.read() if self._process is not None else None
        if vitals is None:
            return
        self._note_cpu(now_ns, vitals.cpu_s)
        self._note("vitals.rss", vitals.rss_bytes)
        self._note("vitals.open_files", vitals.open_files)
        self._note("vitals.threads", vitals.threads)
        self._note("vitals.channels", vitals.channels)
        self._note("vitals.queued_tasks", vitals.queued_tasks)
        self._watch_growth(now_ns, vitals)

    def _note(self, name: str, level: int | None) -> None:
        if level is not None:
            self._levels[name].record_one(level)

    def _note_cpu(self, now_ns: int, cpu_s: float) -> None:
        """Record the share of a core that was used since the reading before."""
        # Two readings at one time would divide by zero.
        if self._before is not None and now_ns > self._before[0]:
            share = (cpu_s - self._before[1]) * 1e9 / (now_ns - self._before[0])
            self._levels["vitals.cpu"].record_one(round(share / CPU_STEP))
        self._before = now_ns, cpu_s

    def _watch_growth(self, now_ns: int, vitals: Vitals) -> None:
        # Without the number of channels nobody knows whether the load was constant.
        if vitals.channels is None:
            return
        levels = vitals.rss_bytes, vitals.open_files, vitals.threads
        for watch, level in zip(self._growths.values(), levels, strict=True):
            watch.add(now_ns / 1e9, vitals.channels, level)
        for name, watch in self._growths.items():
            growth = watch.growth()
            if growth is not None:
                # A leak does not shrink, and thresholds have one side only.
                self._known_growth[name] = max(0, round(growth))

    def release(self, legs: NDArray[np.int32]) -> None:
        """Nothing is kept for a leg."""

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return the levels so far, and the growths as far as they can be told by now."""
        return {**self._levels, **self._known_growth}

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Nothing is known of single legs."""
        return {}
