"""A small process that ends a program and removes a folder when its parent died without doing so.

Run as ``python -m pytest_ari_sla.targets.orphan_guard PARENT_PID PROGRAM_PID FOLDER``. A parent that is killed
(SIGKILL, out of memory) runs no exit handler; this process does its work then. A parent that stops in good order
terminates it.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["guard", "main"]

_GRACE_S = 3.0


def guard(parent: int, program: int, folder: Path) -> None:
    """Wait until the parent is dead, then end the program and remove the folder.

    Process file descriptors name a process even when its number is used again.
    """
    program_handle = _handle_of(program)
    parent_handle = _handle_of(parent)
    # A parent that died while this process started has handed it to another one.
    if parent_handle is not None and os.getppid() == parent:
        _wait_for_exit(parent_handle, None)
    if program_handle is not None:
        _end(program_handle)
    shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str]) -> None:
    """Read the three arguments and guard."""
    parent, program, folder = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    guard(parent, program, folder)


def _handle_of(process: int) -> int | None:
    try:
        return os.pidfd_open(process)
    except ProcessLookupError:
        return None


def _wait_for_exit(handle: int, timeout_s: float | None) -> bool:
    readable, _, _ = select.select([handle], [], [], timeout_s)
    return bool(readable)


def _end(handle: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        if _wait_for_exit(handle, _GRACE_S):
            return


if __name__ == "__main__":
    main(sys.argv[1:])
