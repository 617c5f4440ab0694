"""Whole sessions on real Asterisks: what a user sees, and that nothing is left behind, whatever happened."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.sessions.session import Session

if TYPE_CHECKING:
    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk
    from tests.sessions.session import Finished

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "pytest_ari_sla" / "reporting" / "record" / "report.schema.json"
MARK = "ARI_SLA_TEST_MARK"

FREED = '''
def test_ports_are_free_again(port_manager):
    """Loads that are over hold no ports."""
    assert port_manager.counts().leased == 0
'''

LONG = '''
async def test_long(load):
    """More calls, and for longer, than anybody waits for."""
    await load(calls=10, duration="60s", topology="{topology}")
'''

FAILING = '''
import asyncio

async def test_failing(load):
    """Fails while its load is in full flow."""
    loading = asyncio.create_task(load(calls=10, duration="60s", topology="pair"))
    await asyncio.sleep(2)
    assert not loading.done()
    assert False, "for a reason of its own"

async def test_next(load):
    """Is none the worse for it."""
    result = await load(calls=2, duration="1s")
    assert result.calls.established == 2
'''

BROKEN = '''
import pytest

@pytest.mark.sla("rtt.p50 < 1us", "calls.success_ratio >= 100%")
async def test_broken(load):
    """Asks for more than light could do."""
    await load(calls=2, duration="1s")
'''


@pytest.fixture
def session(asterisk: PrivateAsterisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A project whose target is a real Asterisk, and whose processes can be told from all others."""
    monkeypatch.setenv(MARK, secrets.token_hex(8))
    assert everything_at(asterisk) == []
    return Session(tmp_path, asterisk)


def everything_at(asterisk: PrivateAsterisk) -> list[str]:
    """Return the ids of all channels and bridges that an Asterisk has."""
    return [item["id"] for what in ("channels", "bridges") for item in ask(asterisk, what)]


def ask(asterisk: PrivateAsterisk, what: str) -> list[dict[str, Any]]:
    """Ask an Asterisk's ARI for a list."""
    request = urllib.request.Request(f"{asterisk.endpoint.base_url}/{what}")
    request.add_header("Authorization", asterisk.endpoint.authorization)
    with urllib.request.urlopen(request, timeout=5) as response:
        answer: list[dict[str, Any]] = json.load(response)
    return answer


def processes_left() -> list[str]:
    """Return the command lines of processes that this test's sessions started and that still run."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if (
                folder.name.isdecimal()
                and int(folder.name) != os.getpid()
                and mark in (folder / "environ").read_bytes()
            ):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended while we looked
            continue
    return [command for command in found if command]


def assert_nothing_left(asterisk: PrivateAsterisk) -> None:
    """No channel, no bridge, no process; each of them may take a moment to go."""
    deadline_s = time.monotonic() + 5
    while (left := [*everything_at(asterisk), *processes_left()]) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert left == []


def wait_for_channels(asterisk: PrivateAsterisk, count: int) -> None:
    """Wait until an Asterisk has so many channels."""
    deadline_s = time.monotonic() + 30
    while len(ask(asterisk, "channels")) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_the_smoke_scenarios_pass_and_leave_nothing_behind(asterisk: PrivateAsterisk, session: Session) -> None:
    """Ten calls for five seconds over each topology: no packet lost, a plausible RTT, a valid report."""
    shutil.copy(ROOT / "scenarios" / "test_smoke.py", session.folder)
    session.write("test_z_freed.py", FREED)
    # Whether this machine was too busy to judge is not what is tested.
    done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    assert list(done.scenarios) == ["test_echo", "test_pair", "test_relay"]
    for scenario in done.scenarios.values():
        assert scenario["calls"]["established"] == scenario["calls"]["requested"] == 10
        assert scenario["calls"]["failed"] == scenario["calls"]["dropped"] == scenario["calls"]["leaked"] == 0
        loss, legs = scenario["metrics"]["loss"], 20 if scenario["topology"] == "pair" else 10
        assert loss["lost"] == 0
        assert loss["sent"] + scenario["metrics"]["harness"]["not_sent"] == legs * 250
        delay = "one_way" if scenario["topology"] == "pair" else "rtt"
        assert 20e-6 < scenario["metrics"][delay]["p50"] < 0.05
    jsonschema.validate(done.report, json.loads(SCHEMA.read_text()))
    assert_nothing_left(asterisk)


@pytest.mark.parametrize("topology", ["pair", "relay"])
def test_ctrl_c_in_mid_run_leaves_nothing_behind(asterisk: PrivateAsterisk, session: Session, topology: str) -> None:
    """The terminal interrupts all processes at once: pytest ends by itself, with its own exit code for that."""
    session.write("test_long.py", LONG.format(topology=topology))
    running = session.start()
    wait_for_channels(asterisk, 20)
    time.sleep(1)
    began_s = time.monotonic()
    running.signal(signal.SIGINT, everybody=True)
    done = running.finish(30)
    assert done.exit_code == pytest.ExitCode.INTERRUPTED, done.output
    assert time.monotonic() - began_s < 15
    assert "KeyboardInterrupt" in done.output
    assert "Traceback" not in done.output
    assert_nothing_left(asterisk)


def test_a_failing_test_leaves_nothing_behind(asterisk: PrivateAsterisk, session: Session) -> None:
    """Also where its load is still running: it is ended, and the next test starts from nothing."""
    session.write("test_failing.py", FAILING)
    done = session.run()
    assert done.exit_code == 1
    assert (done.count("failed"), done.count("passed")) == (1, 1), done.output
    assert "for a reason of its own" in done.output
    assert_nothing_left(asterisk)


def test_a_broken_threshold_is_one_sentence_then_the_evidence(asterisk: PrivateAsterisk, session: Session) -> None:
    """Exit code 1; the sentence holds limit and measured value, as the report does."""
    session.write("test_broken.py", BROKEN)
    done = session.run("--sla-pacing-limit", "10s")
    assert done.exit_code == 1
    threshold = only_scenario(done)["thresholds"][0]
    assert threshold["verdict"] == "fail"
    assert threshold["limit"] == 1e-6
    assert threshold["value"] > 1e-6
    assert re.search(r"^E? *SLA fail: rtt\.p50 was [\d.]+ .s, limit < 1 µs", done.output, re.MULTILINE), done.output
    assert "calls.success_ratio" in done.output
    assert "Traceback" not in done.output
    assert_nothing_left(asterisk)


def only_scenario(done: Finished) -> dict[str, Any]:
    """Return the only scenario of a report."""
    (scenario,) = done.scenarios.values()
    return scenario
