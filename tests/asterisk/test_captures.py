"""Captured calls of a load on a real Asterisk, as tshark reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.echo.impairment import Impairment

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

MS = 1_000_000
MOST_AT_THE_EDGES = 2
BAD_NETWORK = Impairment(loss=0.03, delay_ns=10 * MS, jitter_ns=4 * MS, seed=3)

SCENARIO = '''
async def test_relayed_calls(load):
    """Five callers talk through the relay to an echo server that is a bad network."""
    await load(calls=5, duration="5s", topology="relay")
'''


def run_scenario(asterisk: PrivateAsterisk, echo: str, folder: Path) -> dict[str, Any]:
    """Run the scenario in a pytest of its own, keeping the packets of all calls; return its part of the report."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_scenario.py").write_text(SCENARIO)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ari-url", asterisk.url, "--ari-echo", echo]
    report = folder / "report"
    ended = subprocess.run(
        [*command, "--sla-capture", "all", "--sla-report", str(report), "--sla-inconclusive", "pass", str(folder)],
        cwd=folder,
        env=os.environ | {"ARI_USER": asterisk.endpoint.user, "ARI_PASSWORD": asterisk.endpoint.password},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (scenario,) = json.loads((report / "report.json").read_text())["scenarios"]
    found: dict[str, Any] = scenario
    return found


def rtp_streams(capture: Path) -> dict[str, list[str]]:
    """Return tshark's columns of each RTP stream, from the number of packets on, by its source port."""
    table = subprocess.run(
        ["tshark", "-r", str(capture), "-q", "-z", "rtp,streams"], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split() for line in table.splitlines() if "0x" in line]
    assert {row[7] for row in rows} == {"g711U"}, table
    return {row[3]: row[8:] for row in rows}


def test_tshark_sees_the_loss_and_jitter_that_the_report_tells(asterisk: PrivateAsterisk, tmp_path: Path) -> None:
    """Of each call, tshark counts the same packets, and finds the same loss and jitter.

    A packet that was lost before the first or after the last one that arrived leaves no gap: we know of it, since we
    sent it, and tshark cannot. A packet that we left unsent, being late, leaves a gap in what was sent, and is nobody's
    loss. Our jitter of a call is its last value, which lies between tshark's extremes; the mean
    of our samples, one a second, is near the mean of tshark's, one a packet.
    """
    with EchoServerProcess(impairment=BAD_NETWORK) as echo:
        scenario = run_scenario(asterisk, "{}:{}".format(*echo.address), tmp_path)
    means_ms = []
    gaps = 0
    for call in scenario["call_table"]:
        streams = rtp_streams(tmp_path / "report" / "captures" / f"{call['id'].removesuffix('.')}.pcapng")
        assert len(streams) == 2
        sent, received = sorted(streams.values(), key=lambda columns: int(columns[1]))
        values = call["values"]
        unsent = int(sent[1])
        gaps += unsent
        assert int(sent[0]) == values["loss.sent"]
        assert int(received[0]) == values["loss.sent"] - values["loss.lost"]
        lost = int(received[1]) - unsent
        assert 0 < lost <= values["loss.lost"] <= lost + MOST_AT_THE_EDGES
        lowest_ms, mean_ms, highest_ms = (float(text) for text in received[6:9])
        assert lowest_ms <= values["jitter"] * 1e3 <= highest_ms
        means_ms.append(mean_ms)
    assert gaps <= scenario["metrics"]["harness"]["not_sent"]
    assert scenario["metrics"]["jitter"]["mean"] * 1e3 == pytest.approx(sum(means_ms) / len(means_ms), rel=0.25)
