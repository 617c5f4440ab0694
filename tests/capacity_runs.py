"""What ``capacity`` finds where the answer is known: ``python -m tests.capacity_runs [--runs 20] [--asterisk FOLDER]``.

Without a folder each run has a simulator of its own, whose media is one server with a seeded service time: what it
carries is known, and must be found within the precision. With one, five searches on a private Asterisk that is pinned
to one core must agree.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.targets.private_asterisk import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session

if TYPE_CHECKING:
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


def found(target: StartedTarget, folder: Path, scenario: str, *arguments: str) -> dict[str, Any]:
    """Search once; return the answer."""
    session = Session(folder, target)
    session.write("test_capacity.py", scenario)
    done = session.start("--sla-inconclusive", "pass", *arguments).finish(timeout_s=600)
    (only,) = done.scenarios.values()
    capacity: dict[str, Any] = only["capacity"]
    sys.stdout.write(f"  {capacity['sentence']}\n")
    sys.stdout.flush()
    return capacity


def on_simulators(runs: int, seed: int, *arguments: str) -> bool:
    """Search on simulators that carry so many calls; tell whether each answer is right."""
    right = 0
    for number in range(runs):
        limit = random.Random(seed + number).randrange(10, 60)
        # Half a call more than the limit: it is neither just carried nor just not.
        faults = {"rtp_service_s": PACKET_S / (limit + 0.5), "seed": seed + number}
        scenario = SCENARIO.format(start=8, most=200, hold="4s", precision=PRECISION_PERCENT, limit="rtt.p50 < 60ms")
        with tempfile.TemporaryDirectory() as folder, SimulatorProcess(faults=faults) as simulator:
            answer = found(simulator, Path(folder), scenario, *arguments)
        is_right = limit - max(1.0, limit * PRECISION_PERCENT / 100) <= answer["calls"] <= limit
        right += is_right and answer["limited_by"] == "target"
        sys.stdout.write(f"limit {limit}: found {answer['calls']}{'' if is_right else ', which is wrong'}\n")
    sys.stdout.write(f"Right within {PRECISION_PERCENT:g} %: {right} of {runs}\n")
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
    options = parser.parse_args()
    arguments = ("-n", str(options.workers)) if options.workers else ()
    if options.asterisk is not None:
        return int(not on_one_core(options.asterisk, options.runs or 5, *arguments))
    return int(not on_simulators(options.runs or 20, options.seed, *arguments))


if __name__ == "__main__":
    sys.exit(main())
