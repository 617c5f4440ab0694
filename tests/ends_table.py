"""Ends whole sessions in every way, on a real Asterisk, and tells what is left: ``python -m tests.ends_table``.

Each session is pytest alone or a fleet of two, with calls up; what it leaves is looked for after the end, for at most
ten seconds. Several run side by side on one Asterisk: ids there tell whose they are.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.udp.port_blocks import default_lock_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.ari.endpoint import AriEndpoint

__all__ = ["ENDS", "LIMIT_S", "SIDE_BY_SIDE", "THERE_S", "End", "EndedSession", "Left", "run_end"]

CALLS = 4
LIMIT_S = 10.0
THERE_S, ENDED_S = 300.0, 120.0
"""How long a session may take to get to where it is ended, and to end, on a machine that does much else."""

TIMEOUT_S = 4.0
"""What pytest-timeout allows a load that has its calls up."""

SIDE_BY_SIDE = 4
"""Sessions mostly wait: more of them than there are cores."""

_MARK = "ARI_SLA_ENDS_TABLE"
_INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
_CONFTEST = """
import asyncio, os, time
from pathlib import Path
from pytest_ari_sla.fleet.stash import load_maker_of
from pytest_ari_sla.session import supervisor
from pytest_ari_sla.session.loads import load_maker

PHASE = "{phase}"
test = ""

def reach(phase, pause_s=0.0):
    if phase == PHASE and "test_long" in test:
        Path("up").touch()
        return pause_s
    return 0.0

def pytest_runtest_setup(item):
    global test
    test = item.nodeid
    Path("run").write_text(load_maker_of(item.config).facts.run_id)
    Path(os.environ.get("PYTEST_XDIST_WORKER", "alone")).write_text(str(os.getpid()))

if PHASE == "interim":
    supervisor.INTERIM_INTERVAL_NS = 1_000_000_000

check_target = load_maker.check_target

async def slow_check(*arguments):
    await asyncio.sleep(reach("preflight", 2.0))
    return await check_target(*arguments)

load_maker.check_target = slow_check

def pytest_ari_sla_call_started(call):
    reach("set-up")

def pytest_ari_sla_call_ended(call):
    reach("tear-down")

def pytest_ari_sla_update_run_record(record):
    time.sleep(reach("reporting", 4.0))

async def time_out(item, method):
    # From here on: a limit that counts from the test's beginning ends it before its calls are up, on a busy machine.
    from pytest_timeout import Settings

    item.ihook.pytest_timeout_cancel_timer(item=item)
    item.ihook.pytest_timeout_set_timer(item=item, settings=Settings({timeout}, method, False, True))
    await asyncio.sleep({there})
"""
_TEST = """
import asyncio, ctypes, os
from pathlib import Path
import pytest

async def test_before(load):
    await load(calls=1, duration="100ms")

async def test_long(load, ari, request):
    from conftest import PHASE, load_maker_of, reach, time_out

    prefix = "sla-" + load_maker_of(request.config).facts.run_id

    async def end():
        while len([one for one in await ari.channels() if one.id.startswith(prefix)]) < {legs}:
            await asyncio.sleep(0.1)
        reach("load")
        while PHASE == "interim" and not Path("report", "report.json").exists():
            await asyncio.sleep(0.05)
        reach("interim")
        while not Path("end").exists():
            await asyncio.sleep(0.05)
        {inside}

    ending = asyncio.create_task(end())
    loading = asyncio.create_task(load(calls={calls}, duration="{duration}", topology="{topology}",
                                       transport="{transport}"))
    if "{inside}" == "pass":
        await loading
        ending.cancel()
    for task in (await asyncio.wait((ending, loading), return_when=asyncio.FIRST_COMPLETED))[0]:
        task.result()
"""


@dataclass(frozen=True)
class End:
    """One way to end a session.

    Attributes
    ----------
    inside
        What the test itself does; ``pass`` where the end comes from outside.
    number, everybody
        The signal from outside, and whether it goes to the whole process group.
    victim
        A process of the session that it goes to instead: what its command line holds, or ``gw*``.
    again_s
        When it comes a second time.
    phase, topology, transport
        Where the session is when it comes, and with what calls.
    arguments
        More of pytest's command line.
    codes
        The exit codes that there may be.
    reported
        Whether the end leaves the time to write a report.
    is_further
        A variant of another end, which `make soak` tries, and `make test` does not.
    """

    inside: str = "pass"
    number: signal.Signals | None = None
    everybody: bool = False
    victim: str = ""
    again_s: float | None = None
    phase: str = "load"
    topology: str = "pair"
    transport: str = "rtp"
    arguments: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    reported: bool = False
    is_further: bool = False

    @property
    def duration(self) -> str:
        """How long the load lasts: where the end comes after it, not for long."""
        return "1s" if self.phase in ("tear-down", "reporting") else "60s"


_TERM, _KILL, _FLEET = signal.SIGTERM, signal.SIGKILL, ("-n", "2")
_TIME_OUT, _TIMEOUT = "await time_out(request.node, '{}')", (f"--timeout={THERE_S}",)
ENDS = {
    "Ctrl-C": End(number=signal.SIGINT, everybody=True, codes=(2,), reported=True, is_further=True),
    "SIGTERM": End(number=_TERM, codes=(143,), reported=True),
    "SIGTERM to the group": End(number=_TERM, everybody=True, codes=(143,), reported=True, is_further=True),
    "SIGHUP": End(number=signal.SIGHUP, codes=(129,), reported=True),
    "SIGTERM in the preflight": End(number=_TERM, phase="preflight", codes=(143,), reported=True, is_further=True),
    "SIGTERM in the set-up": End(number=_TERM, phase="set-up", codes=(143,), reported=True),
    "SIGTERM in the tear-down": End(number=_TERM, phase="tear-down", codes=(143,), reported=True, is_further=True),
    "SIGTERM while reporting": End(number=_TERM, phase="reporting", codes=(143,), reported=True),
    "SIGTERM twice": End(number=_TERM, again_s=1.5, phase="reporting", codes=(-_TERM,), is_further=True),
    "SIGKILL in the set-up": End(number=_KILL, phase="set-up", codes=(-_KILL,), is_further=True),
    "pytest.exit": End("pytest.exit()", codes=(2,), reported=True),
    "pytest-timeout, signal": End(
        _TIME_OUT.format("signal"), arguments=_TIMEOUT, codes=(1,), reported=True, is_further=True
    ),
    "pytest-timeout, thread": End(_TIME_OUT.format("thread"), arguments=_TIMEOUT, codes=(1,), reported=True),
    "os._exit": End("os._exit(7)", codes=(7,), is_further=True),
    "os.abort": End("os.abort()", codes=(-signal.SIGABRT,), is_further=True),
    "segfault": End("ctypes.string_at(0)", codes=(-signal.SIGSEGV,)),
    "SIGKILL": End(number=_KILL, codes=(-_KILL,)),
    "SIGKILL after an interim report": End(
        number=_KILL, phase="interim", codes=(-_KILL,), reported=True, is_further=True
    ),
    "SIGKILL over WebSockets": End(number=_KILL, transport="websocket", codes=(-_KILL,), is_further=True),
    "SIGKILL to the group": End(number=_KILL, everybody=True, codes=(-_KILL,), is_further=True),
    "relay killed": End(number=_KILL, victim=r"relay\.relay_worker", topology="relay", codes=(1,), reported=True),
    "media loop killed": End(
        number=_KILL, victim=r"pytest_ari_sla\.\w+\.loop\b", codes=(1,), reported=True, is_further=True
    ),
    "fleet: pytest-timeout, thread": End(
        _TIME_OUT.format("thread"), arguments=(*_FLEET, *_TIMEOUT), codes=(1,), reported=True, is_further=True
    ),
    "fleet: Ctrl-C": End(number=signal.SIGINT, everybody=True, arguments=_FLEET, codes=(2,), reported=True),
    "fleet: SIGTERM": End(number=_TERM, arguments=_FLEET, codes=(143,), reported=True),
    "fleet: SIGTERM to the group": End(
        number=_TERM, everybody=True, arguments=_FLEET, codes=(143,), reported=True, is_further=True
    ),
    "fleet: SIGTERM to a worker": End(
        number=_TERM, victim="gw0", arguments=_FLEET, codes=(1, 2), reported=True, is_further=True
    ),
    "fleet: SIGKILL to a worker": End(number=_KILL, victim="gw0", arguments=_FLEET, codes=(1,), reported=True),
    "fleet: SIGKILL to both workers": End(
        number=_KILL, victim="gw*", arguments=_FLEET, codes=(1,), reported=True, is_further=True
    ),
    "fleet: SIGKILL after an interim report": End(
        number=_KILL, everybody=True, phase="interim", arguments=_FLEET, codes=(-_KILL,), reported=True, is_further=True
    ),
    "fleet: SIGKILL to the group": End(number=_KILL, everybody=True, arguments=_FLEET, codes=(-_KILL,)),
}


@dataclass
class Left:
    """What a session left ten seconds after its end; ``took_s`` is from the signal to that."""

    code: int = 0
    took_s: float = 0.0
    channels: list[str] = field(default_factory=list)
    bridges: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    report: bool = False
    after_s: float = 0.0
    output: str = field(default="", repr=False)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is left."""
        return not (self.channels or self.bridges or self.processes or self.blocks)


class EndedSession:
    """A session that is to be ended; a context manager that in any case ends all its processes.

    Parameters
    ----------
    end
        How.
    endpoint
        Its target.
    folder
        Where its files are; an empty one.
    """

    def __init__(self, end: End, endpoint: AriEndpoint, folder: Path) -> None:
        self._end = end
        self._endpoint = endpoint
        self._folder = folder
        self._mark = secrets.token_hex(8)
        values = {"inside": end.inside, "calls": CALLS, "legs": 2 * CALLS}
        test = _TEST.format(**values, duration=end.duration, topology=end.topology, transport=end.transport)
        for name, text in {
            "pytest.ini": _INI,
            "conftest.py": _CONFTEST.format(phase=end.phase, timeout=TIMEOUT_S, there=THERE_S),
            "test_long.py": test,
        }.items():
            (folder / name).write_text(text)

    def __enter__(self) -> EndedSession:
        end, endpoint, folder = self._end, self._endpoint, self._folder
        # Hypothesis imports all of itself at the end of a session.
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:hypothesispytest",
            "--sla-report",
            "report",
            "--sla-live",
            "off",
        ]
        command += ["--sla-pacing-limit", "1m", "--ari-url", endpoint.base_url, "--ari-user", endpoint.user]
        environment = {
            **os.environ,
            _MARK: self._mark,
            "ARI_PASSWORD": endpoint.password,
            "XDG_RUNTIME_DIR": str(folder),
        }
        with (folder / "output.txt").open("w") as output:
            self._process = subprocess.Popen(
                [*command, *end.arguments, "test_long.py"],
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes():
            os.kill(int(process.split()[0]), signal.SIGKILL)
        self._process.wait()

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self._folder / "output.txt").read_text()

    def end(self) -> None:
        """Wait until it is where the end is to come, and end it."""
        self.wait_until_there()
        began_s = time.monotonic()
        (self._folder / "end").touch()
        if self._end.number is not None:
            self._send(self._end.number)
            if self._end.again_s is not None:
                time.sleep(self._end.again_s)
                self._send(self._end.number)
        self._process.wait(ENDED_S)
        self._took_s = time.monotonic() - began_s

    def wait_until_there(self) -> None:
        """Wait until it is where the end is to come."""
        deadline_s = time.monotonic() + THERE_S
        while not (self._folder / "up").exists():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(self.output)
            time.sleep(0.05)

    def _send(self, number: signal.Signals) -> None:
        victim = self._end.victim
        if not victim:
            (os.killpg if self._end.everybody else os.kill)(self._process.pid, number)
        elif workers := list(self._folder.glob(victim)):
            for worker in workers:
                os.kill(int(worker.read_text()), number)
        else:
            (process,) = (process for process in self.processes() if re.search(victim, process))
            os.kill(int(process.split()[0]), number)

    def left(self) -> Left:
        """Return what is left ten seconds after the end, or as soon as nothing is."""
        began_s = time.monotonic()
        while True:
            left = Left(
                code=self._process.returncode,
                took_s=self._took_s,
                channels=self._listed("channels"),
                bridges=self._listed("bridges"),
                processes=self.processes(),
                blocks=_locked(self._folder / default_lock_folder().name),
                report=self._is_reported(),
                after_s=time.monotonic() - began_s,
                output=self.output,
            )
            if left.is_nothing or left.after_s > LIMIT_S:
                return left
            time.sleep(0.1)

    def _listed(self, what: str) -> list[str]:
        request = urllib.request.Request(f"{self._endpoint.base_url}/{what}")
        request.add_header("Authorization", self._endpoint.authorization)
        with urllib.request.urlopen(request, timeout=5) as response:
            records: list[dict[str, Any]] = json.load(response)
        prefix = f"sla-{(self._folder / 'run').read_text()}-"
        return [record["id"] for record in records if record["id"].startswith(prefix)]

    def _is_reported(self) -> bool:
        """Tell whether the report holds the load that was ended, and not only the one before."""
        path = self._folder / "report" / "report.json"
        if not path.exists():
            return False
        return any("test_long" in scenario["nodeid"] for scenario in json.loads(path.read_text())["scenarios"])

    def processes(self) -> list[str]:
        """Return its processes, those that inherited its mark, but for those that only wait to be reaped."""
        return list(_marked(self._mark))


def _marked(mark: str) -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={mark}".encode() in (folder / "environ").read_bytes():
                yield f"{folder.name} {(folder / 'cmdline').read_text().replace(chr(0), ' ')}"
        except OSError:
            continue  # ended meanwhile, or somebody else's


def _locked(folder: Path) -> list[str]:
    found = []
    for path in folder.glob("*") if folder.exists() else ():
        with path.open("rb") as block:
            try:
                fcntl.flock(block, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(path.name)
    return found


def run_end(end: End, endpoint: AriEndpoint, folder: Path) -> Left:
    """End one session and return what is left of it."""
    with EndedSession(end, endpoint, folder) as session:
        session.end()
        return session.left()


def _row(name: str, end: End, lefts: list[Left]) -> tuple[str, bool]:
    """Return a line of the table, and whether all is as it should be."""
    kinds = ("channels", "bridges", "processes", "blocks")
    counts = [sum(len(getattr(left, kind)) for left in lefts) for kind in kinds]
    codes = sorted({left.code for left in lefts})
    reports = sum(left.report for left in lefts)
    slowest_s = max(left.after_s for left in lefts)
    took_s = max(left.took_s for left in lefts)
    cells = [name, len(lefts), codes, *counts, f"{took_s:.1f} s", f"{slowest_s:.1f} s", f"{reports} of {len(lefts)}"]
    is_good = not any(counts) and set(codes) <= set(end.codes) and (reports == len(lefts) or not end.reported)
    return "| " + " | ".join(map(str, cells)) + " |", is_good


def main() -> int:
    """Print the table; return 1 if anything was left, or a report is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asterisk", type=Path, help="root folder of a provisioned Asterisk")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", default="", help="ends whose name holds this")
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE)
    arguments = parser.parse_args()
    say = sys.stdout.write
    say("| end | runs | exit codes | channels | bridges | processes | port blocks | took | clean after | reports |\n")
    say("|---|---|---|---|---|---|---|---|---|---|\n")
    are_good = []
    with PrivateAsterisk(arguments.asterisk) as asterisk, ThreadPoolExecutor(arguments.side_by_side) as pool:

        def run(end: End) -> Left | None:
            with tempfile.TemporaryDirectory(prefix="ari-sla-ends-") as folder:
                try:
                    left = run_end(end, asterisk.endpoint, Path(folder))
                    if not left.is_nothing:
                        sys.stderr.write(f"{end}\n{left}\n{left.output}\n")
                    return left
                except Exception:
                    traceback.print_exc()
                    return None  # the other rows may be hours away

        chosen = {name: end for name, end in ENDS.items() if arguments.only in name}
        running = {name: [pool.submit(run, end) for _ in range(arguments.runs)] for name, end in chosen.items()}
        for name, end in chosen.items():
            lefts = [left for one in running[name] if (left := one.result()) is not None]
            line, is_good = _row(name, end, lefts) if lefts else (f"| {name} | 0 |", False)
            say(line + "\n")
            sys.stdout.flush()
            are_good.append(is_good and len(lefts) == arguments.runs)
    return int(not all(are_good))


if __name__ == "__main__":
    sys.exit(main())
