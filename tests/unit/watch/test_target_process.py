"""Whether a process has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from pytest_ari_sla.watch.target_process import TargetProcess


def has_ended(process: TargetProcess) -> bool:
    """Look anew."""
    return process.has_ended


def test_a_process_that_runs_has_not_ended() -> None:
    """This one, for example."""
    this = TargetProcess.of(os.getpid())
    assert this is not None
    assert not this.has_ended
    assert replace(this, started="1").has_ended, "an older one of this number has"


def test_a_process_has_ended_also_before_anybody_waits_for_it() -> None:
    """And afterwards; one that is gone cannot be watched any more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watched = TargetProcess.of(process.pid)
        assert watched is not None
        assert has_ended(watched) is False
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(watched) is True
    assert has_ended(watched) is True
    assert TargetProcess.of(process.pid) is None
