"""Echo server and relay for streams, as processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FRAME", "WITHIN_S", "ended", "running"]

WITHIN_S = 60.0
FRAME = bytes(range(256)) + bytes(64)


@contextmanager
def running(module: str, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a module of peers; yield what it says first, and the process, which is ended at the end."""
    command = [sys.executable, "-m", f"pytest_ari_sla.peers.{module}", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline(), process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """End one in order; return its last words."""
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    return said
