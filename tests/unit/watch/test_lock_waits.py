from __future__ import annotations

import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.watch.lock_waits import LockWait, lock_waits, mutex_waited_for, told

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = 0x7F0B8000EC50
DEADLOCKED = """
import ctypes, threading
libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
print(threading.get_native_id(), ctypes.addressof(mutex), flush=True)
threading.Thread(target=libc.pthread_mutex_lock, args=(mutex,), daemon=True).start()
input()
"""
"""Its second thread waits for a mutex that its first holds."""


@pytest.mark.parametrize(
    ("syscall", "lock"),
    [
        (f"202 {LOCK:#x} 0x80 0x2 0x0 0x0 0x0 0x7ffd 0x7f0b", LOCK),
        (f"202 {LOCK:#x} 0x0 0x2 0x0 0x0 0x0 0x7ffd 0x7f0b", LOCK),
        (f"202 {LOCK:#x} 0x189 0x0 0x0 0x0 0xffffffff 0x7ffd 0x7f0b", None),
        (f"202 {LOCK:#x} 0x80 0x1 0x0 0x0 0x0 0x7ffd 0x7f0b", None),
        ("7 0x7f0b 0x2 0xffffffff 0x0 0x0 0x0 0x7ffd 0x7f0b", None),
        ("running", None),
        ("-1 0x7ffd 0x7f0b", None),
    ],
)
def test_a_thread_waits_for_a_mutex_or_for_something_else(syscall: str, lock: int | None) -> None:
    """A condition variable, a socket, or nothing."""
    assert mutex_waited_for(syscall, "x86_64") == lock


def test_where_system_calls_have_numbers_that_are_not_known_nobody_waits() -> None:
    """Nothing is better than a guess."""
    assert mutex_waited_for(f"202 {LOCK:#x} 0x80 0x2 0x0 0x0 0x0", "riscv64") is None


def test_waits_for_one_lock_are_told_together() -> None:
    """With the thread that holds it, where that is known."""
    assert told([LockWait(3, LOCK, 9), LockWait(5, LOCK, 9), LockWait(4, 0x10, 0)]) == [
        "lock 0x7f0b8000ec50, held by thread 9: threads 3, 5 wait",
        "lock 0x10, held by a thread that is not known: thread 4 waits",
    ]


@pytest.fixture
def deadlocked() -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A process with a thread that waits for ever, the id of the thread that holds the mutex, and its address."""
    command = [sys.executable, "-c", DEADLOCKED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        holder, mutex = map(int, process.stdout.readline().split())
        yield process, holder, mutex
        process.kill()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="system calls are known of these only")
def test_the_owner_of_a_lock_is_found_in_a_living_process(deadlocked: tuple[subprocess.Popen[str], int, int]) -> None:
    """Without a debugger, and without stopping it."""
    process, holder, mutex = deadlocked
    found: list[LockWait] = []
    while not found:  # until the second thread has come to the mutex
        assert process.poll() is None
        found = [wait for wait in lock_waits(process.pid) if wait.lock == mutex]
    assert found[0].owner == holder
    assert found[0].thread != holder


def test_of_a_process_that_is_gone_nothing_is_said() -> None:
    """It may end while we look."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert lock_waits(process.pid) == []
