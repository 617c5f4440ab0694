"""Which process of ours does nothing, though it runs: told by a number that it counts up as long as it works."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

__all__ = ["Standstill", "stopped_by"]

MOST_BETWEEN_S = 2.0
"""Who looks once a second and did not for longer stood still himself: that time tells nothing of the other."""


class Standstill:
    """Watches one such number; to be told of it once a second, or more often."""

    def __init__(self) -> None:
        self._count: int | None = None
        self._looked_s = 0.0
        self._stood_s = 0.0

    def look(self, count: int, now_s: float) -> float:
        """Take note of the number; return for how long (s) it has been the same while somebody looked."""
        waited_s = min(now_s - self._looked_s, MOST_BETWEEN_S)
        self._stood_s = self._stood_s + waited_s if count == self._count else 0.0
        self._count, self._looked_s = count, now_s
        return self._stood_s


def stopped_by(pid: int) -> str:
    """Say, as the end of a sentence, which signal has stopped a child of ours (SIGSTOP, SIGTSTP); empty: none has."""
    with suppress(ChildProcessError):  # somebody else's child
        # WNOWAIT leaves the news there: whoever looks next is told as well.
        told = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        if told is not None and told.si_code == os.CLD_STOPPED:
            return f"; it was stopped by signal {told.si_status} ({signal.Signals(told.si_status).name})"
    return ""
