"""Holds a fleet to its size: ``python -m tests.fleet_at_size`` puts 2,000 calls on this machine by ``pytest -n 2``.

The whole tool works as in any session: two workers that make and measure calls, a controller that merges and judges,
reports. Only the peer is not Asterisk, whose limit on two cores lies below that, but a reflector in C. It stands for
another machine, so it goes before other programs where that is allowed (SCHED_FIFO); it shares the cores all the same,
and RTT says how long it had to wait: the schedule is what counts here.

Prints the verdict, each shard's own health, and how far the sum of calls was from the ramp that was asked for. Ends
with 1 unless the schedule was held: all calls established and no packet dropped by our own sockets, at most 0.1 % of
all packets more than 5 ms late and as many not sent, at most 0.01 % lost, and the ramp kept within 2 % of its top.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.__main__ import compile_native

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_PORT, PORTS = 63_000, 512  # every second one; above those that the kernel gives out, and the benchmarks'
SETTLE_S = 60
RAMP_LIMIT = 0.02
LATE_LIMIT_S, LATE_SHARE = 0.005, 0.001
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
CONFTEST = f'''
from collections import Counter

from pytest_ari_sla.load.calls.call import CallLeg


class Reflected:
    """One leg, whose packets a reflector on this machine sends back; nothing is asked of ARI."""

    name, heard_leg, relay_legs = "reflected", (0,), 0

    def __init__(self):
        self._taken = Counter()

    async def establish(self, call):
        """Give every leg of a socket a port of its own: senders are known by their addresses."""
        (end,) = call.endpoints
        port = {FIRST_PORT} + 2 * (self._taken[end.offer] % {PORTS})
        self._taken[end.offer] += 1
        call.legs.append(CallLeg(call.id, ("127.0.0.1", port), end))


def pytest_ari_sla_register_topologies():
    return [Reflected()]
'''
SCENARIO = '''
import pytest

from pytest_ari_sla import hold, ramp


@pytest.mark.sla("harness.receive_drops == 0", "loss.ratio <= 0.01%", "calls.success_ratio >= 100%")
async def test_size(load):
    """Many calls that end at a reflector."""
    await load(stages=[ramp(CALLS, over="RAMPs"), hold("HOLDs")], topology="reflected")
'''


@contextmanager
def reflector(folder: Path, seconds: float) -> Iterator[None]:
    """Run the reflector in C."""
    compile_native(folder)
    command = [str(folder / "reflector"), str(FIRST_PORT), str(PORTS), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if not process.stdout.readline():
        sys.exit(f"the reflector could not listen on the ports from {FIRST_PORT} on")
    _put_first(process.pid)
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def _put_first(pid: int) -> None:
    with suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))


def run_fleet(folder: Path, calls: int, ramp_s: int, hold_s: int) -> dict[str, Any]:
    """Run a session of two workers in a folder; return its only scenario."""
    (folder / "pytest.ini").write_text(INI)
    (folder / "conftest.py").write_text(CONFTEST)
    scenario = SCENARIO.replace("CALLS", str(calls)).replace("RAMP", str(ramp_s)).replace("HOLD", str(hold_s))
    (folder / "test_size.py").write_text(scenario)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--sla-live", "off", "--sla-report", "report"]
    with reflector(folder, ramp_s + hold_s + SETTLE_S):
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    report = folder / "report" / "report.json"
    if not report.exists():
        sys.exit(done.stdout)
    record = json.loads(report.read_text())
    found: dict[str, Any] = record["scenarios"][0]
    return found


def worst_ramp_error(scenario: dict[str, Any], calls: int, ramp_s: int, hold_s: int) -> tuple[float, float]:
    """Return by which share of all calls those requested, and those established, were off at worst."""
    series = scenario["time_series"]
    seconds = [int(second) for second in series["t"] if second < ramp_s + hold_s - 1]
    wanted = [min(calls, calls * (second + 1) / ramp_s) for second in seconds]
    requested = list(accumulate(count or 0 for count in series["calls.requested"]))

    def worst(column: list[float]) -> float:
        return max(abs(have - want) for have, want in zip(column, wanted, strict=False)) / calls

    return worst(requested), worst(series["calls.active"])


def is_held(scenario: dict[str, Any], ramp_errors: tuple[float, float]) -> bool:
    """Tell whether the fleet kept what it promises."""
    metrics = scenario["metrics"]
    punctual = metrics["harness.pacing_error"]["p999"] <= LATE_LIMIT_S
    punctual &= metrics["harness"]["not_sent"] <= LATE_SHARE * metrics["loss"]["sent"]
    return scenario["verdict"] == "pass" and punctual and max(ramp_errors) <= RAMP_LIMIT


def main(arguments: list[str] | None = None) -> int:
    """Run it, print what came out, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet_at_size", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--ramp", type=int, default=10, metavar="SECONDS")
    parser.add_argument("--hold", type=int, default=10, metavar="SECONDS")
    options = parser.parse_args(arguments)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        scenario = run_fleet(Path(folder), options.calls, options.ramp, options.hold)
    errors = worst_ramp_error(scenario, options.calls, options.ramp, options.hold)
    figures = scenario["metrics"]
    say = sys.stdout.write
    say(f"verdict     {scenario['verdict']}: {scenario['reason']}\n")
    established = scenario["calls"]["established"]
    say(f"calls       {established:,} of {options.calls:,}; load average of this machine before: {load_before:.1f}\n")
    say(f"ramp        off by {errors[0]:.2%} requested, {errors[1]:.2%} established, at worst\n")
    say(f"packets     {figures['loss']['sent']:,} sent, {figures['harness']['not_sent']} not sent\n")
    say(f"lost        {figures['loss']['lost']}, of these in our own buffers {figures['harness']['receive_drops']}\n")
    late = figures["harness.pacing_error"]
    say(f"late        {late['p99'] * 1e3:.2f} ms p99, {late['p999'] * 1e3:.2f} ms p99.9\n")
    say(f"RTT         {figures['rtt']['p50'] * 1e3:.2f} ms p50, {figures['rtt']['p99'] * 1e3:.2f} ms p99\n")
    for shard in scenario["harness"]:
        worst = f"{shard['pacing_p99_s'] * 1e3:.2f} ms p99, {shard['pacing_max_s'] * 1e3:.2f} ms at worst"
        say(f"shard {shard['shard']}     late by {worst}; {shard['cpu_ratio']:.0%} of a core; {shard['scheduler']}\n")
    held = is_held(scenario, errors)
    say("held\n" if held else "NOT held\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
