"""The processor time of other processes, as exactly as Linux knows it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["used_s"]


def used_s(pid: int) -> float:
    """Return the processor time that all threads of a process have used, in s to the nanosecond.

    ``getrusage`` and ``/proc/PID/stat`` count in ticks of some milliseconds on many kernels.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
