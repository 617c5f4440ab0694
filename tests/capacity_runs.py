"""What ``capacity`` finds where the answer is known: ``python -m tests.capacity_runs [--runs 20] [--asterisk FOLDER]``.

Without a folder each run has a simulator of its own, whose media is one server with a seeded service time: what it
carries is known, and must be found within the precision; with ``--throttled``, where the load generator is kept from
its processor, nothing may be found. With a folder, five searches on a private Asterisk that is pinned to one core must
agree.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_ari_sla.targets.started_target import StartedTarget

SCENARIO = '''
import pytest

@pytest.mark.sla("calls.failed == 0", "{limit}")
async def test_how_many(capacity):
    """How many calls at a time?"""
    await capacity(start={start}, most={most}, hold="{hold}", settle="1s", precision="{precision:g}%")
'''
PACKET_S = 0.02
PRECISION_PERCENT = 5.0
AGREEMENT = 0.05
PATIENCE_S = 900.0
PACING_LIMIT = "5ms"
RUNNING_S, HALTED_S = 0.03, 0.05


def found(
    target: StartedTarget, folder: Path, scenario: str, *arguments: str, throttled: bool = False
) -> dict[str, Any]:
    """Search once; return the answer."""
    session = Session(folder, target)
    session.write("test_capacity.py", scenario)
    running = session.start("--sla-inconclusive", "pass", "--sla-pacing-limit", PACING_LIMIT, *arguments)
    with halted_by_turns(running.process.pid) if throttled else nullcontext():
        done = running.finish(timeout_s=PATIENCE_S)
    (only,) = done.scenarios.values()
    capacity: dict[str, Any] = only["capacity"]
    sys.stdout.write(f"  {capacity['sentence']}\n")
    sys.stdout.flush()
    return capacity


@contextmanager
def halted_by_turns(group: int) -> Iterator[None]:
    """Keep a process group from the processor for more than half of the time."""
    over = threading.Event()

    def halt() -> None:
        with suppress(ProcessLookupError):  # it has ended
            while not over.wait(RUNNING_S):
                os.killpg(group, signal.SIGSTOP)
                time.sleep(HALTED_S)
                os.killpg(group, signal.SIGCONT)

    halting = threading.Thread(target=halt)
    halting.start()
    try:
        yield
    finally:
        over.set()
        halting.join()


def on_simulators(runs: int, seed: int, *arguments: str, throttled: bool) -> bool:
    """Search on simulators that carry so many calls; tell whether each answer is right."""
    right = 0
    for number in range(runs):
        carried = random.Random(seed + number).randrange(10, 60) + 0.5
        faults = {"rtp_service_s": PACKET_S / carried, "seed": seed + number}
        scenario = SCENARIO.format(start=8, most=200, hold="4s", precision=PRECISION_PERCENT, limit="rtt.p50 < 60ms")
        with tempfile.TemporaryDirectory() as folder, SimulatorProcess(faults=faults) as simulator:
            answer = found(simulator, Path(folder), scenario, *arguments, throttled=throttled)
        error = answer["calls"] - carried
        if throttled:
            is_right = answer["limited_by"] == "generator" and error < 0
        else:
            is_right = answer["limited_by"] == "target" and abs(error) <= max(1.0, carried * PRECISION_PERCENT / 100)
        right += is_right
        sys.stdout.write(f"carries {carried}: {answer['calls']}, {'right' if is_right else 'wrong'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"Right{'' if throttled else f' within {PRECISION_PERCENT:g} %'}: {right} of {runs}\n")
    return right == runs


def on_one_core(asterisk: Path, runs: int, *arguments: str) -> bool:
    """Search on one Asterisk on one core; tell whether the answers agree."""
    core = max(os.sched_getaffinity(0))
    scenario = SCENARIO.format(start=200, most=3000, hold="10s", precision=PRECISION_PERCENT, limit="rtt.p99 < 60ms")
    answers: list[int] = []
    longest_s = 0.0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder, PrivateAsterisk(asterisk) as target:
            for task in Path(f"/proc/{target.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {core})
            began_s = time.monotonic()
            answers.append(found(target, Path(folder), scenario, *arguments)["calls"])
            longest_s = max(longest_s, time.monotonic() - began_s)
    middle = sorted(answers)[len(answers) // 2]
    agree = sum(abs(answer - middle) <= AGREEMENT * middle for answer in answers)
    sys.stdout.write(f"Within {AGREEMENT:.0%} of {middle}: {agree} of {runs} ({answers}), {longest_s:.0f} s at most\n")
    return agree == runs and middle > 0


def main() -> int:
    """Search, compare and print; return 0 where the answers are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--asterisk", type=Path, help="search on this Asterisk, pinned to one core")
    parser.add_argument("--runs", type=int, default=None, help="20 on simulators, 5 on an Asterisk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="make the calls with so many workers (-n)")
    parser.add_argument("--throttled", action="store_true", help="keep the generator from its processor")
    options = parser.parse_args()
    arguments = ("-n", str(options.workers)) if options.workers else ()
    if options.asterisk is not None:
        return int(not on_one_core(options.asterisk, options.runs or 5, *arguments))
    return int(not on_simulators(options.runs or 20, options.seed, *arguments, throttled=options.throttled))


if __name__ == "__main__":
    sys.exit(main())
