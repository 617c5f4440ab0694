"""What this generator takes from the cores that its target runs on too, where both are on one machine.

A target that gets no processor time answers late, or not at all: no fault of its own where we have taken it. Only the
cores that we may run on count (affinity, cpusets): what has cores of its own is not starved by us.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_ari_sla.metrics.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["CoreTimes", "HostShare", "SystemTimes"]

_RESOLUTION = 10_000
_BUSY = 0.95
"""Share of the cores from which on nothing more can run on them at once."""
_OURS = 0.4
"""Taking less than this, we are not what others wait for."""
_OTHERS = 0.1
"""Where others want less than this, they hardly wait."""
_UTIME = 11
"""Place of a process's user time behind its name in ``/proc/PID/stat``; its system time follows."""
_IDLE = slice(3, 5)
"""Idle, and idle while a disk works, among the times of a core; guest time, from place 8 on, is in user time too."""


class CoreTimes(NamedTuple):
    """Processor time since the machine's start, in the kernel's ticks: ours, of whoever was busy, and all there was."""

    ours: int
    busy: int
    whole: int


class SystemTimes:
    """Reads processor times of this machine.

    Parameters
    ----------
    root
        The process that began the session; it and all that it started are ours.
    target
        A process among those that is the target, with all that it started; None: it is none of them.
    proc
        Where the kernel tells.
    """

    def __init__(self, root: int, target: int | None, proc: Path = Path("/proc")) -> None:
        self._root, self._target, self._proc = root, target, proc
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        self._cores = {f"cpu{number}" for number in cores}

    def read(self) -> CoreTimes | None:
        """Return the times until now; None where this system does not tell."""
        try:
            lines = (self._proc / "stat").read_text().splitlines()
        except OSError:
            return None
        rows = [
            list(map(int, fields[1:9])) for line in lines if (fields := line.split())[:1] and fields[0] in self._cores
        ]
        whole, idle = sum(map(sum, rows)), sum(sum(row[_IDLE]) for row in rows)
        return CoreTimes(sum(map(self._ticks_of, self._tree(self._root))), whole - idle, whole)

    def _tree(self, pid: int) -> Iterator[int]:
        if pid == self._target:
            return
        yield pid
        for children in (self._proc / str(pid) / "task").glob("*/children"):
            for child in _words(children):
                yield from self._tree(int(child))

    def _ticks_of(self, pid: int) -> int:
        # The name, in brackets, may hold anything.
        fields = _words(self._proc / str(pid) / "stat", after=")")
        return sum(map(int, fields[_UTIME : _UTIME + 2]))


def _words(path: Path, after: str = "") -> list[str]:
    """Return what a file of a process holds; nothing once the process is gone."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    return (text.rpartition(after)[2] if after else text).split()


class HostShare:
    """Compares readings, and keeps what lies between each and the next.

    Parameters
    ----------
    times
        Where they come from.
    """

    NAMES: Collection[str] = ("harness.host_ours", "harness.host_others", "harness.starving")

    def __init__(self, times: SystemTimes) -> None:
        self._times = times
        self._before = times.read()
        self._ours, self._others = Histogram(), Histogram()
        self._starving = 0

    def read(self) -> None:
        """Take a reading."""
        before, now = self._before, self._times.read()
        self._before = now
        # the last: two readings within one tick of the kernel
        if before is None or now is None or now.whole <= before.whole:
            return
        whole = now.whole - before.whole
        busy = min(max((now.busy - before.busy) / whole, 0.0), 1.0)  # the kernel's columns are not read at one moment
        # A process that ends takes its times along.
        ours = min(max((now.ours - before.ours) / whole, 0.0), busy)
        self._ours.record_one(round(ours * _RESOLUTION))
        self._others.record_one(round((busy - ours) * _RESOLUTION))
        self._starving += busy >= _BUSY and ours >= _OURS and busy - ours >= _OTHERS

    def values(self) -> dict[str, Histogram | int]:
        """Return all that was read since the beginning, by metric name."""
        return dict(zip(self.NAMES, (self._ours, self._others, self._starving), strict=True))
