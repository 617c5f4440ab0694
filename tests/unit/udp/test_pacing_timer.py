import os
import subprocess
import sys

from pytest_ari_sla.udp.pacing_timer import may_use_realtime

ASK = "import os; from pytest_ari_sla.udp.pacing_timer import ask_for_realtime; print(ask_for_realtime())"


def test_asking_whether_realtime_is_allowed_changes_nothing() -> None:
    """The doctor asks; it must not run on under SCHED_FIFO itself."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    may_use_realtime()
    assert (os.sched_getscheduler(0), os.sched_getparam(0)) == before


def test_a_process_gets_realtime_exactly_where_it_may() -> None:
    """Refusal is no error: packets are then moved at normal priority, and the report says so."""
    told = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout.strip()
    assert told == str(may_use_realtime())
