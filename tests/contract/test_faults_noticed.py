"""Each fault of the simulator is noticed by the tool, and the report says what was wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ari_sla.targets.simulator.process import SimulatorProcess

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(180)

ATTEMPTS = 3

_SCENARIO = '''
import pytest

pytestmark = pytest.mark.sla(
    "calls.success_ratio >= 100%", "calls.leaked == 0", "loss.ratio <= 1%", "rtt.p50 < 60ms", "duplicates == 0",
    "reordered == 0", "setup.p95 < 900ms",
)


async def test_echo(load):
    """A few callers talk to Echo()."""
    await load(calls=4, duration="3s", topology="echo")
'''


@dataclass(frozen=True)
class Outcome:
    """What came of a session.

    Attributes
    ----------
    output
        All that it printed, in one line.
    scenario
        The scenario's entry in the report; empty if there is none.
    """

    exit_code: int
    output: str
    scenario: dict[str, Any]

    def missed(self) -> set[str]:
        """Return the thresholds that failed."""
        return {one["expression"] for one in self.scenario["thresholds"] if one["verdict"] == "fail"}


def run_session(folder: Path, faults: dict[str, float]) -> Outcome:
    """Run the scenario against a simulator with faults, as a user would."""
    (folder / "test_scenario.py").write_text(_SCENARIO)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    with SimulatorProcess() as simulator:
        simulator.set_faults(**faults)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--sla-report", "report"]
        command += ["--ari-url", simulator.url, "--ari-user", simulator.user, "--sla-pacing-limit", "1m"]
        environment = {**os.environ, "ARI_PASSWORD": simulator.password, "COLUMNS": "200"}
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    report = folder / "report" / "report.json"
    scenarios = json.loads(report.read_text())["scenarios"] if report.exists() else []
    output = " ".join((result.stdout + result.stderr).split())
    return Outcome(result.returncode, output, scenarios[0] if scenarios else {})


def test_without_faults_all_is_well(tmp_path: Path) -> None:
    """What the others are measured against."""
    outcome = run_session(tmp_path, {})
    assert outcome.missed() == set(), outcome.output


@pytest.mark.parametrize(
    ("faults", "threshold", "words"),
    [
        ({"slow_request_ratio": 0.9, "slow_request_s": 1}, "setup.p95 < 900ms", "setup.p95 was"),
        pytest.param(
            {"max_media_channels": 2},
            "calls.success_ratio >= 100%",
            "POST /channels/externalMedia answered 500",
            marks=pytest.mark.soak,
        ),
        ({"stuck_channel_ratio": 0.9}, "calls.leaked == 0", "left behind on the target"),
        ({"rtp_loss_ratio": 0.1}, "loss.ratio <= 1%", "packets lost"),
        pytest.param({"rtp_duplicate_ratio": 0.2}, "duplicates == 0", "duplicates was", marks=pytest.mark.soak),
        pytest.param({"rtp_reorder_ratio": 0.2}, "reordered == 0", "reordered was", marks=pytest.mark.soak),
        ({"rtp_delay_s": 0.1}, "rtt.p50 < 60ms", "rtt.p50 was"),
        pytest.param({"rtp_jitter_s": 0.2}, "rtt.p50 < 60ms", "Asterisk was late", marks=pytest.mark.soak),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_fault_misses_its_threshold(tmp_path: Path, faults: dict[str, float], threshold: str, words: str) -> None:
    """What a fault spoils is what the report says was missed, in words; the verdict is no pass.

    A run that the tool itself does not trust, since this machine had other work, is repeated.
    """
    for _ in range(ATTEMPTS):
        outcome = run_session(tmp_path, faults)
        if outcome.scenario.get("verdict") != "inconclusive":
            break
    assert threshold in outcome.missed(), outcome.output
    assert words in outcome.output
    assert outcome.scenario["verdict"] == "fail"


@pytest.mark.parametrize(
    "faults",
    [
        {"delayed_event_ratio": 1, "delayed_event_s": 0.1},
        {"lost_event_ratio": 0.5},
        {"websocket_hang_after_s": 0.01},
    ],
    ids=lambda value: next(iter(value)),
)
def test_events_that_do_not_come_fail_no_call(tmp_path: Path, faults: dict[str, float]) -> None:
    """ARI is asked for the channels instead: calls are up, the notes blame the events, and that is not a pass."""
    outcome = run_session(tmp_path, faults)
    assert "4 established, 0 failed" in outcome.output
    assert "no event had told so" in outcome.output
    assert outcome.scenario["verdict"] != "pass"


def test_a_broken_event_socket_is_noted(tmp_path: Path) -> None:
    """Who closed it, and with which code; calls that live on are no failure."""
    assert "closed by Asterisk with code 1011" in run_session(tmp_path, {"websocket_close_after_s": 2}).output


def test_a_server_that_only_fails_is_at_fault(tmp_path: Path) -> None:
    """The session ends before a call is made."""
    outcome = run_session(tmp_path, {"failed_request_ratio": 1})
    assert "answered 500: A fault of the simulator (at fault: Asterisk)" in outcome.output


def test_a_crash_is_no_pass(tmp_path: Path) -> None:
    """Whenever it comes: before the load the network is told to refuse, in it packets are lost."""
    outcome = run_session(tmp_path, {"crash_after_s": 4})
    assert outcome.exit_code != 0
    assert not outcome.scenario or outcome.scenario["verdict"] != "pass"
