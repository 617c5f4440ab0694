"""Ends whole sessions in every way, on a real Asterisk, and tells what is left: ``python -m tests.ends_table``.

Each session is pytest alone or a fleet of two, with calls up; what it leaves is looked for after the end, for at most
ten seconds.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_ari_sla.targets.private_asterisk import PrivateAsterisk
from pytest_ari_sla.udp.port_blocks import default_lock_folder

__all__ = ["ENDS", "End", "Left", "run_end"]

CALLS = 4
LIMIT_S = 10.0
_MARK = "ARI_SLA_ENDS_TABLE"
_INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
_TEST = """
import asyncio, ctypes, os
from pathlib import Path
import pytest

async def test_before(load):
    await load(calls=1, duration="100ms")

async def test_long(load, ari):
    async def end():
        while len([one for one in await ari.channels() if one.id.startswith("sla-")]) < {legs}:
            await asyncio.sleep(0.1)
        Path("up").write_text("up")
        while not Path("end").exists():
            await asyncio.sleep(0.05)
        {inside}

    tasks = asyncio.create_task(end()), asyncio.create_task(load(calls={calls}, duration="60s", topology="pair"))
    if "{inside}" == "pass":
        await tasks[1]
    for task in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
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
    arguments
        More of pytest's command line.
    codes
        The exit codes that there may be.
    reported
        Whether the end leaves the time to write a report.
    """

    inside: str = "pass"
    number: signal.Signals | None = None
    everybody: bool = False
    arguments: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()
    reported: bool = False


ENDS = {
    "Ctrl-C": End(number=signal.SIGINT, everybody=True, codes=(2,), reported=True),
    "SIGTERM": End(number=signal.SIGTERM, codes=(143,), reported=True),
    "SIGTERM to the group": End(number=signal.SIGTERM, everybody=True, codes=(143,), reported=True),
    "SIGHUP": End(number=signal.SIGHUP, codes=(129,), reported=True),
    "pytest.exit": End("pytest.exit()", codes=(2,), reported=True),
    "pytest-timeout, signal": End(arguments=("--timeout=8", "--timeout-method=signal"), codes=(1,), reported=True),
    "pytest-timeout, thread": End(arguments=("--timeout=8", "--timeout-method=thread"), codes=(1,)),
    "os._exit": End("os._exit(7)", codes=(7,)),
    "os.abort": End("os.abort()", codes=(-signal.SIGABRT,)),
    "segfault": End("ctypes.string_at(0)", codes=(-signal.SIGSEGV,)),
    "SIGKILL": End(number=signal.SIGKILL, codes=(-signal.SIGKILL,)),
    "SIGKILL to the group": End(number=signal.SIGKILL, everybody=True, codes=(-signal.SIGKILL,)),
    "fleet: SIGTERM": End(number=signal.SIGTERM, arguments=("-n", "2"), codes=(143,), reported=True),
    "fleet: SIGKILL to the group": End(
        number=signal.SIGKILL, everybody=True, arguments=("-n", "2"), codes=(-signal.SIGKILL,)
    ),
}


@dataclass
class Left:
    """What a session left after ten seconds."""

    code: int = 0
    channels: list[str] = field(default_factory=list)
    bridges: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    report: bool = False
    after_s: float = 0.0

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is left."""
        return not (self.channels or self.bridges or self.processes or self.blocks)


def run_end(end: End, asterisk: PrivateAsterisk, folder: Path) -> Left:
    """End one session and return what is left of it."""
    mark = secrets.token_hex(8)
    (folder / "pytest.ini").write_text(_INI)
    (folder / "test_long.py").write_text(_TEST.format(inside=end.inside, calls=CALLS, legs=2 * CALLS))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--sla-report",
        "report",
        "--sla-live",
        "off",
        "--sla-pacing-limit",
        "1m",
    ]
    command += ["--ari-url", asterisk.url, "--ari-user", asterisk.user, *end.arguments, "test_long.py"]
    environment = {**os.environ, _MARK: mark, "ARI_PASSWORD": asterisk.password, "XDG_RUNTIME_DIR": str(folder)}
    with (folder / "output.txt").open("w") as output:
        session = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait_until_up(session, folder)
            (folder / "end").touch()
            if end.number is not None:
                (os.killpg if end.everybody else os.kill)(session.pid, end.number)
            code = session.wait(60)
            return _look(code, asterisk, folder, mark)
        finally:
            for process in _marked(mark):
                os.kill(int(process.split()[0]), signal.SIGKILL)


def _wait_until_up(session: subprocess.Popen[bytes], folder: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not (folder / "up").exists():
        if session.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError((folder / "output.txt").read_text())
        time.sleep(0.05)


def _look(code: int, asterisk: PrivateAsterisk, folder: Path, mark: str) -> Left:
    began_s = time.monotonic()
    while True:
        left = Left(
            code=code,
            channels=_listed(asterisk, "channels"),
            bridges=_listed(asterisk, "bridges"),
            processes=_marked(mark),
            blocks=_locked(folder / default_lock_folder().name),
            report=(folder / "report" / "report.json").exists(),
            after_s=time.monotonic() - began_s,
        )
        if left.is_nothing or left.after_s > LIMIT_S:
            return left
        time.sleep(0.1)


def _listed(asterisk: PrivateAsterisk, what: str) -> list[str]:
    request = urllib.request.Request(f"{asterisk.url}/{what}")
    request.add_header("Authorization", asterisk.endpoint.authorization)
    with urllib.request.urlopen(request, timeout=5) as response:
        records: list[dict[str, Any]] = json.load(response)
    return [record["id"] for record in records]


def _marked(mark: str) -> list[str]:
    """Return the processes that inherited a session's mark, but for those that only wait to be reaped."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(f"{folder.name} {(folder / 'cmdline').read_text().replace(chr(0), ' ')}")
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def _locked(folder: Path) -> list[str]:
    found = []
    for path in folder.glob("*") if folder.exists() else ():
        with path.open("rb") as block:
            try:
                fcntl.flock(block, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(path.name)
    return found


def main() -> int:
    """Print the table; return 1 if anything was left, or a report is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asterisk", type=Path, help="root folder of a provisioned Asterisk")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", default="", help="ends whose name holds this")
    arguments = parser.parse_args()
    bad = 0
    print("| end | runs | exit codes | channels | bridges | processes | port blocks | clean after | reports |")
    print("|---|---|---|---|---|---|---|---|---|")
    with PrivateAsterisk(arguments.asterisk) as asterisk:
        for name, end in ENDS.items():
            if arguments.only not in name:
                continue
            lefts = []
            for _ in range(arguments.runs):
                with tempfile.TemporaryDirectory(prefix="ari-sla-ends-") as folder:
                    lefts.append(run_end(end, asterisk, Path(folder)))
            counts = [sum(len(getattr(left, what)) for left in lefts) for what in ("channels", "bridges")]
            counts += [sum(len(getattr(left, what)) for left in lefts) for what in ("processes", "blocks")]
            codes = sorted({left.code for left in lefts})
            reports = sum(left.report for left in lefts)
            slowest_s = max(left.after_s for left in lefts)
            cells = [name, len(lefts), codes, *counts, f"{slowest_s:.1f} s", f"{reports} of {len(lefts)}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            wrong_code = not set(codes) <= set(end.codes)
            bad += any(counts) or wrong_code or (end.reported and reports < len(lefts))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
