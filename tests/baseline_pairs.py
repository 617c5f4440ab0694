"""What ``--sla-baseline`` makes of runs of one build: ``python -m tests.baseline_pairs FOLDER_OF_ASTERISK``.

Runs one scenario several times on one Asterisk, and compares each run with each other one, both ways. Runs of the same
must never be worse than each other; a round trip that has become a fifth longer must be found each time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.reporting.comparison import compare_runs
from pytest_ari_sla.reporting.record.record_file import read_record
from pytest_ari_sla.session.plugins.registry import builtin_registry
from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
from tests.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.reporting.record.run_record import Comparison, RunRecord

SCENARIO = '''
async def test_load(load):
    """Calls, some seconds long."""
    await load(calls={calls}, duration="{seconds:g}s", topology="{topology}")
'''
MS = 1_000_000
PATIENCE_S = 600.0


def run(asterisk: PrivateAsterisk, folder: Path, scenario: str, *arguments: str) -> RunRecord:
    """Run a scenario in a session of its own; return its record."""
    folder.mkdir()
    session = Session(folder, asterisk)
    session.write("test_load.py", scenario)
    finished = session.start("--sla-inconclusive", "pass", *arguments).finish(timeout_s=PATIENCE_S)
    assert finished.exit_code == 0, finished.output
    return read_record(folder / "report" / "report.json")


def worse(before: RunRecord, after: RunRecord) -> list[Comparison]:
    """Return the figures that became worse."""
    (scenario,) = compare_runs(before, after, builtin_registry().catalogue).scenarios
    assert scenario.baseline is not None
    return [item for item in scenario.baseline.comparisons if item.verdict == "worse"]


def tell(title: str, pairs: Iterable[tuple[RunRecord, RunRecord]]) -> tuple[int, int]:
    """Print each figure that became worse; return how many pairs have one, and in how many it is the round trip."""
    found = [worse(before, after) for before, after in pairs]
    for item in (item for items in found for item in items):
        sys.stdout.write(f"  {item.sentence}\n")
    with_any = sum(map(bool, found))
    round_trips = sum(any(item.metric.startswith("rtt.p50") for item in items) for items in found)
    sys.stdout.write(f"{title}: {with_any} of {len(found)} pairs worse, {round_trips} of them in rtt.p50\n")
    return with_any, round_trips


def main() -> int:
    """Run, compare and print; return 0 where every pair came out as it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("asterisk", type=Path)
    parser.add_argument("--runs", type=int, default=6, help="of each kind; 6 make 30 ordered pairs")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--calls", type=int, default=10)
    options = parser.parse_args()
    shape = {"calls": options.calls, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as name, PrivateAsterisk(options.asterisk) as asterisk:
        folder = Path(name)
        bare = SCENARIO.format(topology="echo", **shape)
        same = [run(asterisk, folder / f"bare{number}", bare) for number in range(options.runs)]
        slow: dict[int, list[RunRecord]] = {50: [], 60: []}
        for number in range(options.runs):
            for delay_ms, runs in slow.items():
                with EchoServerProcess(impairment=Impairment(delay_ns=delay_ms * MS)) as echo:
                    relay = SCENARIO.format(topology="relay", **shape)
                    address = "{}:{}".format(*echo.address)
                    runs.append(run(asterisk, folder / f"relay{delay_ms}-{number}", relay, "--ari-echo", address))
    false_alarms, _ = tell("Runs of the same", permutations(same, 2))
    slower = list(product(slow[50], slow[60]))
    _, found = tell("A fifth longer, at 50 ms", slower)
    return int(false_alarms > 0 or found < len(slower))


if __name__ == "__main__":
    sys.exit(main())
