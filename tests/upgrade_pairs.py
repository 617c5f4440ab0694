"""What ``--sla-against`` makes of two targets: ``python -m tests.upgrade_pairs [--asterisk FOLDER] [--runs 20]``.

The same target twice must not be "worse" but for one in twenty runs; a simulator whose media takes a fifth longer must
be found as often. Without a folder, both are simulators.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.targets.started_target import StartedTarget

SCENARIO = '''
async def test_load(load):
    """Calls, some seconds long."""
    await load(calls={calls}, duration="{seconds:g}s")
'''
DELAY_S = 0.05
SLOWER = 1.2
MISSES = 1 / 20
PATIENCE_S = 600.0
"""Four loads one after the other, also on a machine that others use."""


def compared(before: StartedTarget, after: StartedTarget, folder: Path, scenario: str) -> dict[str, str]:
    """Load both targets in turns; return the verdict of each figure, and that of the change under ``change``."""
    endpoint = before.endpoint
    session = Session(folder, after)
    session.write("test_load.py", scenario)
    address = endpoint.base_url.replace("://", f"://{endpoint.user}:{endpoint.password}@")
    done = session.start("--sla-inconclusive", "pass", "--sla-against", address).finish(timeout_s=PATIENCE_S)
    assert done.report is not None, done.output
    last = done.report["scenarios"][-1]["baseline"]
    assert last is not None, done.output
    for item in last["comparisons"]:
        if item["verdict"] == "worse":
            sys.stdout.write(f"  {item['sentence']}\n")
    return {item["metric"]: item["verdict"] for item in last["comparisons"]} | {
        "change": done.report["comparison"]["verdict"]
    }


def pairs(
    runs: int,
    make: Callable[[], tuple[StartedTarget, StartedTarget]],
    scenario: str,
    judge: Callable[[dict[str, str]], bool],
) -> int:
    """Compare so often; return how often the outcome is what it should be."""
    good = 0
    for _ in range(runs):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            before, after = (stack.enter_context(target) for target in make())
            good += judge(compared(before, after, folder, scenario))
            sys.stdout.flush()
    return good


def main() -> int:
    """Run, compare and print; return 0 where enough pairs came out as they should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--asterisk", type=Path, help="compare this Asterisk with itself, and not a simulator")
    parser.add_argument("--runs", type=int, default=20, help="of each kind")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--calls", type=int, default=10)
    options = parser.parse_args()
    scenario = SCENARIO.format(calls=options.calls, seconds=options.seconds)

    def same() -> tuple[StartedTarget, StartedTarget]:
        if options.asterisk is not None:
            return PrivateAsterisk(options.asterisk), PrivateAsterisk(options.asterisk)
        return SimulatorProcess(), SimulatorProcess()

    def slower() -> tuple[StartedTarget, StartedTarget]:
        late = ({"rtp_delay_s": DELAY_S}, {"rtp_delay_s": DELAY_S * SLOWER})
        return SimulatorProcess(faults=late[0]), SimulatorProcess(faults=late[1])

    quiet = pairs(options.runs, same, scenario, lambda found: found["change"] != "worse")
    sys.stdout.write(f"The same twice: not worse in {quiet} of {options.runs}\n")
    found = pairs(options.runs, slower, scenario, lambda found: found["rtt.p50"] == "worse")
    sys.stdout.write(f"A fifth slower: found in {found} of {options.runs}\n")
    enough = options.runs * (1 - MISSES)
    return int(quiet < enough or found < enough)


if __name__ == "__main__":
    sys.exit(main())
