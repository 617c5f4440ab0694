from __future__ import annotations

import os
import signal
import subprocess

from pytest_ari_sla.children.standstill import Standstill, stopped_by


def test_a_number_that_does_not_change_tells_for_how_long_its_process_stands_still() -> None:
    """Counted from the first look that found it, and anew after each change."""
    watch = Standstill()
    assert [watch.look(count, now_s) for count, now_s in ((5, 1.0), (5, 2.0), (5, 3.5), (6, 4.5), (6, 5.0))] == [
        0.0,
        1.0,
        2.5,
        0.0,
        0.5,
    ]


def test_time_in_which_nobody_looked_is_not_the_others() -> None:
    """Both were stopped for a minute: that is no reason to give the other up."""
    watch = Standstill()
    watch.look(5, 0.0)
    assert watch.look(5, 60.0) == 2.0


def test_a_child_that_was_stopped_is_told_by_its_signal() -> None:
    """One that runs, or runs again, or is somebody else's, is not."""
    with subprocess.Popen(["sleep", "60"]) as child:
        assert stopped_by(child.pid) == ""
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert stopped_by(child.pid) == "; it was stopped by signal 19 (SIGSTOP)"
        os.kill(child.pid, signal.SIGCONT)
        os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
        assert stopped_by(child.pid) == ""
        child.kill()
    assert stopped_by(os.getppid()) == ""
