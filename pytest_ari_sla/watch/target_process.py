"""Whether the process of a target on this machine has ended: then nothing of ours is left in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TargetProcess"]

_STATE, _START = 0, 19
"""Places behind the name in ``/proc/PID/stat``; the start is in ticks since the machine's (proc_pid_stat(5))."""


@dataclass(frozen=True)
class TargetProcess:
    """A process, by its number and by when it began: numbers come round.

    Attributes
    ----------
    pid, started
        The two.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> TargetProcess | None:
        """Return a process that runs; None where there is none."""
        fields = _fields(pid)
        return cls(pid, fields[_START]) if fields else None

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more, also where nobody has waited for it yet."""
        fields = _fields(self.pid)
        return not fields or fields[_STATE] in ("Z", "X") or fields[_START] != self.started


def _fields(pid: int) -> list[str]:
    try:
        # The name, in brackets, may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
