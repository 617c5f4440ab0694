from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.load.meters.host_share import CoreTimes, HostShare, SystemTimes
from pytest_ari_sla.metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

STAT = "{pid} (a) b) S 1 1 1 0 -1 0 0 0 0 0 {user} {system} 7 7 20 0 1 0 5 6\n"


class Proc:
    """A folder like the kernel's ``/proc``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def process(self, pid: int, *children: int, user: int, system: int = 0) -> None:
        """Let there be a process with these ticks, and with children of its second thread."""
        folder = self.folder / str(pid)
        for thread, text in ((pid, ""), (pid + 1000, " ".join(map(str, children)))):
            (folder / "task" / str(thread)).mkdir(parents=True, exist_ok=True)
            (folder / "task" / str(thread) / "children").write_text(text)
        (folder / "stat").write_text(STAT.format(pid=pid, user=user, system=system))

    def cores(self, *rows: str) -> None:
        """Let each core have these times."""
        lines = [f"cpu{number} {row}" for number, row in enumerate(rows)]
        (self.folder / "stat").write_text("\n".join(["cpu 9 9 9 9 9 9 9 9 9 9", *lines, "intr 1 2", ""]))


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    """A machine of three cores, of which we may run on two."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    return Proc(tmp_path)


def test_ours_is_what_the_session_started_but_the_target(proc: Proc) -> None:
    """The target may be a child of ours, and have children; cores that we may not run on are nobody's concern."""
    proc.cores("10 0 5 80 5 0 0 0 10 0", "1000 0 0 0 0 0 0 0 0 0", "20 0 0 70 0 5 5 0 0 0")
    proc.process(1, 2, 3, user=7, system=1)
    proc.process(2, user=20, system=10)
    proc.process(3, 4, user=400)
    proc.process(4, user=500)
    assert SystemTimes(1, 3, proc.folder).read() == CoreTimes(ours=38, busy=15 + 30, whole=200)
    assert SystemTimes(1, None, proc.folder).read() == CoreTimes(ours=938, busy=45, whole=200)


def test_a_process_that_is_gone_has_no_times(proc: Proc) -> None:
    """It may end between being found and being read."""
    proc.cores("10 0 0 90 0 0 0 0 0 0")
    proc.process(1, 2, user=7)
    assert SystemTimes(1, None, proc.folder).read() == CoreTimes(ours=7, busy=10, whole=100)


def test_where_the_system_does_not_tell_there_are_no_samples(tmp_path: Path) -> None:
    """Nothing is made up."""
    share = HostShare(SystemTimes(1, None, tmp_path))
    share.read()
    assert Snapshot(share.values()).histogram("harness.host_ours").count == 0


class Readings(SystemTimes):
    """Times that a test has chosen."""

    def __init__(self, *times: CoreTimes | None) -> None:
        self._readings = iter(times)

    def read(self) -> CoreTimes | None:
        """Return the next."""
        return next(self._readings)


@pytest.mark.parametrize(
    ("ours", "busy", "starving"),
    [
        (82, 100, 1),
        (40, 95, 1),
        (39, 100, 0),
        (60, 94, 0),
        (95, 100, 0),
    ],
    ids=["a loop of ours", "at both limits", "others' fault", "some cores are idle", "nobody else wants them"],
)
def test_a_target_starves_where_we_take_what_it_wants(ours: int, busy: int, starving: int) -> None:
    """The cores are all busy, much of that is ours, and there is somebody who waits."""
    share = HostShare(Readings(CoreTimes(50, 50, 1000), CoreTimes(50 + ours, 50 + busy, 1100)))
    share.read()
    measured = Snapshot(share.values())
    assert measured.count("harness.starving") == starving
    assert measured.histogram("harness.host_ours").max == ours * 100
    assert measured.histogram("harness.host_others").max == (busy - ours) * 100


def test_times_that_went_back_are_none_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of ours that has ended takes its times along; a second without a tick tells nothing."""
    readings = Readings(CoreTimes(500, 500, 1000), CoreTimes(300, 520, 1100), CoreTimes(300, 520, 1100), None)
    share = HostShare(readings)
    for _ in range(3):
        share.read()
    measured = Snapshot(share.values())
    assert (measured.histogram("harness.host_ours").count, measured.histogram("harness.host_ours").max) == (1, 0)


def test_the_work_of_a_child_is_found_on_this_machine() -> None:
    """By the real kernel: a child that computes adds to what is ours."""
    times = SystemTimes(os.getpid(), None)
    before = times.read()
    with subprocess.Popen([sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        now = times.read()
        child.communicate(b"")
    assert before is not None
    assert now is not None
    assert now.ours - before.ours >= 10


WORK = """
import sys, time
while time.process_time() < 0.5: pass
print(flush=True)
sys.stdin.read()
"""
