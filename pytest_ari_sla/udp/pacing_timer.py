"""Wakes the media loop at absolute times, as exactly as the system lets it."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["ask_for_realtime", "may_use_realtime"]

REALTIME_PRIORITY = 10


def ask_for_realtime() -> bool:
    """Ask for SCHED_FIFO, so that a wake-up never waits for another program; return whether it was granted.

    Where it is not allowed (it takes root or CAP_SYS_NICE), nothing changes.
    """
    if not hasattr(os, "sched_setscheduler"):
        return False
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REALTIME_PRIORITY))
    # Asked, as whoever started us may have given it already (chrt -f).
    return os.sched_getscheduler(0) == os.SCHED_FIFO


def may_use_realtime() -> bool:
    """Tell whether this process may use SCHED_FIFO; its own scheduling is as before afterwards."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        return ask_for_realtime()
    finally:
        os.sched_setscheduler(0, before, parameters)
