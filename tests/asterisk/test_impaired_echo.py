from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.peers.echo.impairment_log import Action, load_log, overtaken

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

MS = 1_000_000
IMPAIRMENT = Impairment(loss=0.02, delay_ns=30 * MS, jitter_ns=5 * MS, duplicate=0.01, reorder=0.01, seed=7)

SCENARIO = '''
async def test_relayed_calls(load):
    """Ten callers talk through the relay to an echo server that is a bad network."""
    await load(calls=10, duration="5s", topology="relay")
'''


def run_scenario(asterisk: PrivateAsterisk, echo: str, folder: Path) -> dict[str, Any]:
    """Run the scenario in a pytest of its own; return its metrics from the report."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_scenario.py").write_text(SCENARIO)
    endpoint = asterisk.endpoint
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ari-url", asterisk.url, "--ari-echo", echo]
    ended = subprocess.run(
        [*command, "--sla-report", str(folder / "report"), "--sla-inconclusive", "pass", str(folder)],
        cwd=folder,
        env=os.environ | {"ARI_USER": endpoint.user, "ARI_PASSWORD": endpoint.password},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (scenario,) = json.loads((folder / "report" / "report.json").read_text())["scenarios"]
    metrics: dict[str, Any] = scenario["metrics"]
    return metrics


def test_measured_faults_are_the_ones_that_were_made(asterisk: PrivateAsterisk, tmp_path: Path) -> None:
    """Through a real Asterisk, the caller's and the relay's figures match the echo server's own log of what it did.

    Loss, duplicates and reordering exactly; the relay's round trip within 1 ms at p50, p90 and p99; the caller's, which
    goes through Asterisk as well, never below.
    """
    log_file = tmp_path / "echo.npz"
    with EchoServerProcess(impairment=IMPAIRMENT, log=log_file) as echo:
        metrics = run_scenario(asterisk, "{}:{}".format(*echo.address), tmp_path)
    log = load_log(log_file)
    actions = log["action"]
    dropped, again = (int(np.count_nonzero(actions == action)) for action in (Action.DROPPED, Action.SENT_AGAIN))
    sent: NDArray[np.void] = log[actions == Action.SENT]

    assert log["has_probe"].all()
    assert metrics["loss"]["sent"] == len(sent) + dropped > 2000
    assert metrics["loss"]["lost"] == metrics["relay"]["lost"] == dropped > 0
    assert metrics["loss"]["received"] == len(sent)
    assert metrics["duplicates"]["value"] == metrics["relay"]["duplicates"] == again > 0
    assert metrics["reordered"]["value"] == overtaken(log) > 0
    for stat in ("p50", "p90", "p99"):
        truth_s = np.percentile(sent["done_ns"], float(stat[1:])) / 1e9
        assert abs(metrics["relay_rtt"][stat] - truth_s) < 0.001
        assert metrics["rtt"][stat] > truth_s
