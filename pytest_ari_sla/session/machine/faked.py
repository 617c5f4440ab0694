"""Whether something in this process fakes what a load needs to be real: its clocks, and its file system.

Libraries for unit tests do that (freezegun, time-machine, pyfakefs). With a clock that stands still a load would
never end, with another date its figures would be those of another time.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from pytest_ari_sla.errors import UsageError

__all__ = ["check_nothing_is_faked"]

_PROC = Path("/proc/self")
_APART_NS = 2_000_000_000
"""Further apart two readings of one clock never are; the kernel dates files to 10 ms."""


def check_nothing_is_faked() -> None:
    """Find out whether clocks and files are the machine's own.

    Raises
    ------
    UsageError
        They are not.
    """
    if sys.platform != "linux":
        return
    # First: a fake file system has no time of files that could be believed.
    if not _PROC.exists():
        raise UsageError(
            "the file system of this process is faked (pyfakefs): a load needs the real one; begin it before the fake, "
            "or let the fake see the real folders"
        )
    if _is_off(time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)) or _is_off(time.time_ns(), _file_ns()):
        raise UsageError(
            "the clock of this process is faked (freezegun, time-machine): calls need the machine's own time; let the "
            "test fake it before load() or after it, not meanwhile"
        )


def _is_off(reading_ns: int, real_ns: int) -> bool:
    return abs(reading_ns - real_ns) > _APART_NS


def _file_ns() -> int:
    """Return the time by which the kernel dates a new file: whatever replaces clocks does not reach there."""
    descriptor = os.memfd_create("ari-sla-clock")
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)
