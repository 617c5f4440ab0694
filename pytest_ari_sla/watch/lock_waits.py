"""Which threads of a process wait for a lock, and which thread holds it, as the kernel and the process's memory tell.

A thread that waits for a mutex of glibc is in the system call futex(2) on the mutex's first word, with the value 2
("taken, and others wait"); the word at offset 8 is the owner's thread id (``struct __pthread_mutex_s``: lock, count,
owner). Waits for a condition have other values and are left out.
"""

from __future__ import annotations

import platform
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LockWait", "lock_waits", "mutex_waited_for", "told"]

_FUTEX = {"x86_64": 202, "aarch64": 98}
# linux/futex.h: FUTEX_WAIT, and FUTEX_PRIVATE_FLAG for locks within one process.
_WAIT = 0
_PRIVATE = 128
_CONTENDED = 2
_OWNER_OFFSET = 8


class LockWait(NamedTuple):
    """A thread that waits for a lock.

    Attributes
    ----------
    thread
        Its id.
    lock
        Address of the mutex.
    owner
        Id of the thread that holds it; 0 where that is not known.
    """

    thread: int
    lock: int
    owner: int


def mutex_waited_for(syscall: str, machine: str) -> int | None:
    """Return the address of the mutex that a thread waits for; None: it waits for none.

    Parameters
    ----------
    syscall
        A line of ``/proc/PID/task/TID/syscall``: number, six arguments, stack and program counter in hex.
    machine
        As ``uname -m`` calls it.
    """
    words = syscall.split()
    if len(words) < 4 or not words[0].isdecimal() or int(words[0]) != _FUTEX.get(machine):
        return None
    address, operation, value = (int(word, 16) for word in words[1:4])
    is_mutex = operation & ~_PRIVATE == _WAIT and value == _CONTENDED
    return address if is_mutex else None


def lock_waits(pid: int) -> list[LockWait]:
    """Return the threads of a process that wait for locks; none where we may not look into it, or it is gone."""
    found = []
    # Unbuffered: a buffer would show the memory as it was at an earlier read.
    with suppress(OSError), Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        tasks = sorted(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir())
        for task in tasks:
            with suppress(OSError, struct.error):  # it has ended meanwhile
                line = Path(f"/proc/{pid}/task/{task}/syscall").read_text()
                if (lock := mutex_waited_for(line, platform.machine())) is not None:
                    memory.seek(lock + _OWNER_OFFSET)
                    (owner,) = struct.unpack("i", memory.read(4))
                    # Released between the two reads, the word names no thread any more.
                    found.append(LockWait(task, lock, owner if owner in tasks else 0))
    return found


def told(waits: Iterable[LockWait]) -> list[str]:
    """Return the waits in words, those who wait for the same lock together."""
    by_lock: dict[tuple[int, int], list[int]] = {}
    for wait in waits:
        by_lock.setdefault((wait.lock, wait.owner), []).append(wait.thread)
    return [
        f"lock {lock:#x}, held by {f'thread {owner}' if owner else 'a thread that is not known'}: "
        f"thread{'s' if len(threads) > 1 else ''} {', '.join(map(str, threads))} wait{'s' if len(threads) == 1 else ''}"
        for (lock, owner), threads in by_lock.items()
    ]
