"""How many cores are ours to use: those that we may run on, or the CPU quota of a container where that is less."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Reader = Callable[[str], str | None]

__all__ = ["cpu_quota", "usable_cores"]


def usable_cores() -> float:
    """Return the cores that this process can keep busy; less than one where its quota is."""
    # Of the cores that the machine has, taskset or a cpuset may leave us a few.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(_read)
    return float(allowed) if quota is None else min(float(allowed), quota)


def cpu_quota(read: Reader) -> float | None:
    """Return how many cores the control groups of this process (cgroup v1 or v2) let it use; None: as many as it can.

    ``read`` returns what is in a file, and None for one that cannot be read. A group has no more than those above it,
    so the least of them counts (``cpu.max`` and ``cpu.cfs_quota_us`` in the kernel's documentation of control groups).
    """
    quotas = [quota for folder in _folders(read) if (quota := _quota_of(folder, read)) is not None]
    return min(quotas, default=None)


def _quota_of(folder: PurePosixPath, read: Reader) -> float | None:
    limit = read(f"{folder}/cpu.max")
    if limit is None:
        limit = f"{read(f'{folder}/cpu.cfs_quota_us') or ''} {read(f'{folder}/cpu.cfs_period_us') or ''}"
    # "max" (v2) and "-1" (v1) stand for no limit.
    match limit.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return int(quota) / int(period)
    return None


def _folders(read: Reader) -> Iterator[PurePosixPath]:
    """Yield the folders of our groups and of those above them, as far as they are mounted."""
    groups = dict(_groups(read("/proc/self/cgroup") or ""))
    for root, mounted, version in _mounts(read("/proc/self/mountinfo") or ""):
        if version in groups:
            # In a container, the group may be named as the host sees it, and the mount may show a part of the tree.
            path = PurePosixPath(groups[version])
            below = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
            folder = mounted / below
            yield from (folder, *(above for above in folder.parents if above.is_relative_to(mounted)))


def _groups(text: str) -> Iterator[tuple[str, str]]:
    """Yield the version and the path of the groups that rule over CPU time: lines of ``ID:CONTROLLERS:PATH``."""
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:  # "0::PATH": version 2 names none (cgroups(7))
            yield "cgroup2", path
        elif "cpu" in controllers.split(","):
            yield "cgroup", path


def _mounts(text: str) -> Iterator[tuple[str, PurePosixPath, str]]:
    """Yield root, mount point and version of each tree of control groups: see proc_pid_mountinfo(5)."""
    for line in text.splitlines():
        mount, _, system = line.partition(" - ")
        place, kind = mount.split(), system.split()
        if len(place) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" or (kind[0] == "cgroup" and "cpu" in kind[2].split(",")):
            yield place[3], PurePosixPath(place[4]), kind[0]


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None
