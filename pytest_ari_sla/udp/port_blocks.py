"""Blocks of ports that one process holds against all others of the same user on this machine.

A block is held by ``flock`` on a file of its own. The kernel drops the lock when the process ends, however it ends, so
there is nothing to clean up after a crash. The files are empty and stay: removing one while another process opens it
would give two processes the same block.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections import deque
from pathlib import Path

from pytest_ari_sla.errors import UsageError

__all__ = ["BLOCK_PORTS", "PortBlocks", "default_lock_folder"]

BLOCK_PORTS = 128
"""Ports in a block; blocks begin at multiples of it, so that runs with different ranges agree on them."""


def default_lock_folder() -> Path:
    """Return this user's folder for lock files; it need not outlive a restart of the machine."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):  # after su, it may name the folder of another user
        return Path(runtime) / "pytest-ari-sla-ports"
    return Path(tempfile.gettempdir()) / f"pytest-ari-sla-ports-{os.getuid()}"


class PortBlocks:
    """The blocks of a range of ports, claimed one by one.

    Parameters
    ----------
    low, high
        First and last port of the range.
    lock_folder
        Where the lock files are; it is made, for this user only, if it does not exist.

    Raises
    ------
    UsageError
        If the lock folder belongs to somebody else: whoever owns it could keep us from all ports.
    """

    def __init__(self, low: int, high: int, lock_folder: Path) -> None:
        self._low = low
        self._high = high
        self._folder = lock_folder
        self._unclaimed = deque(range(low - low % BLOCK_PORTS, high + 1, BLOCK_PORTS))
        self._locks: list[int] = []
        lock_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not stat(): in a common /tmp, a link of somebody else's could lead into a folder of ours.
        status = lock_folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise UsageError(
                f"the lock folder {lock_folder} is not a folder of this user; remove it or name another one"
            )

    @property
    def held_by_others(self) -> int:
        """How many blocks of the range this process does not hold."""
        return len(self._unclaimed)

    def claim(self) -> range | None:
        """Claim one more block.

        Returns
        -------
        The even ports of the block's pairs inside the range; None where other processes hold all blocks that are left.
        """
        for _ in range(len(self._unclaimed)):
            start = self._unclaimed.popleft()
            lock = self._lock(start)
            if lock is not None:
                self._locks.append(lock)
                return self._pairs(start)
            self._unclaimed.append(start)  # its holder may have ended by the next time
        return None

    def close(self) -> None:
        """Give all blocks up."""
        while self._locks:
            os.close(self._locks.pop())
        self._unclaimed.clear()

    def _pairs(self, start: int) -> range:
        first = max(start, self._low)
        last = min(start + BLOCK_PORTS - 1, self._high)
        return range(first + first % 2, last, 2)  # an even port below ``last`` has its odd neighbour in the range

    def _lock(self, start: int) -> int | None:
        # A child that inherited it would hold the block after our death.
        handle = os.open(self._folder / f"{start}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Not lockf(): its locks are the process's, so that two managers in one process would get the same block.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle
