"""Calls over AudioSocket and WebSockets on a real Asterisk 22: every topology, peers that misbehave, and Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from tests.asterisk.test_scenarios import MARK, assert_nothing_left, wait_for_channels
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

pytestmark = [pytest.mark.usefixtures("marked"), pytest.mark.timeout(600)]  # several loads each

TRANSPORTS = ["audiosocket", "websocket", pytest.param("websocket-server", marks=pytest.mark.soak)]
CALLS = int(os.environ.get("STREAM_CALLS", "4"))
"""How many of each; ``make soak`` makes twenty."""

TOPOLOGIES = """
import pytest

@pytest.mark.parametrize("topology", ["echo", "pair", "relay", "conference"])
async def test_calls(load, topology):
    await load(calls={calls}, duration="2s", topology=topology, transport={transport!r})

async def test_mixed(load):
    await load(calls={calls}, duration="2s", topology="pair", other_transport={transport!r}, codec="L16")
"""

LONG = """
async def test_long(load):
    await load(calls={calls}, duration="60s", topology="pair", transport={transport!r})
"""

BURST = """
async def test_burst(load):
    await load(calls=4, duration="5s", transport={transport!r}, peer_faults={{"burst:100": "50%"}})
"""

FAULTY = """
FAULTS = ["mute", "listen_first", "slow_reader", "half_close", "reset", "refuse", "close_at_once"]

async def test_beside(load):
    await load(calls=36, duration="3s", transport="audiosocket", peer_faults=dict.fromkeys(FAULTS, "9%"))
"""


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes of a session be told from all others."""
    monkeypatch.setenv(MARK, secrets.token_hex(8))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_calls_of_every_topology_are_carried_and_measured(
    asterisk22: PrivateAsterisk, tmp_path: Path, transport: str
) -> None:
    """And pairs of RTP and a stream: all are up, and what they say comes through.

    TCP loses nothing, but a bridge may that is just being joined: a frame of a call, on a busy machine.
    """
    session = Session(tmp_path, asterisk22)
    session.write("test_topologies.py", TOPOLOGIES.format(transport=transport, calls=CALLS))
    done = session.start("--sla-inconclusive", "pass").finish(300)
    assert done.exit_code == 0, done.output
    assert len(done.scenarios) == 5
    for name, scenario in done.scenarios.items():
        loss = scenario["metrics"]["loss"]
        assert scenario["calls"]["failed"] == scenario["calls"]["leaked"] == 0, name
        assert loss["received"] > 0, name
        assert loss["lost"] <= CALLS, name
    assert_nothing_left(asterisk22)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ctrl_c_leaves_nothing_of_calls_over_streams(
    asterisk22: PrivateAsterisk, tmp_path: Path, transport: str
) -> None:
    """Neither channels nor bridges."""
    session = Session(tmp_path, asterisk22)
    session.write("test_long.py", LONG.format(transport=transport, calls=CALLS))
    running = session.start()
    wait_for_channels(asterisk22, 2 * CALLS)
    running.signal(signal.SIGINT, everybody=True)
    done = running.finish(60)
    assert done.exit_code == pytest.ExitCode.INTERRUPTED, done.output
    assert_nothing_left(asterisk22)


@pytest.mark.parametrize(("transport", "lasting_s"), [("websocket", 2.0), ("audiosocket", 0.0)])
def test_a_burst_into_a_websocket_is_latency_for_the_rest_of_the_call(
    asterisk22: PrivateAsterisk, tmp_path: Path, transport: str, lasting_s: float
) -> None:
    """100 frames of 20 ms; by call, so that it can be told which. AudioSocket's go to the other side at once."""
    session = Session(tmp_path, asterisk22)
    session.write("test_burst.py", BURST.format(transport=transport))
    done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    (scenario,) = done.scenarios.values()
    lasting = scenario["metrics"]["lasting_delay"]
    assert lasting["max"] == pytest.approx(lasting_s, abs=0.15)
    assert (lasting["legs"] > 0) == (lasting_s > 0)
    assert any("burst:100" in note for note in scenario["notes"])


def test_healthy_calls_do_not_notice_the_peers_that_misbehave_beside_them(
    asterisk22: PrivateAsterisk, tmp_path: Path
) -> None:
    """Some are mute, deaf, gone or never there: Asterisk carries all others, and nothing is left of anybody."""
    session = Session(tmp_path, asterisk22)
    session.write("test_faulty.py", FAULTY)
    done = session.run("--sla-inconclusive", "pass")
    assert done.exit_code == 0, done.output
    (scenario,) = done.scenarios.values()
    calls, loss = scenario["calls"], scenario["metrics"]["loss"]
    assert calls["failed"] == calls["dropped"] == calls["leaked"] == 0
    assert loss["sent"] > 0
    assert loss["lost"] <= CALLS
    [told] = [note for note in scenario["notes"] if "misbehaved on purpose" in note]
    names = ("mute", "listen_first", "slow_reader", "half_close", "reset", "refuse", "close_at_once")
    assert all(name in told for name in names), told
    assert_nothing_left(asterisk22)
