"""What a real Asterisk says of its calls' RTP, against what their other end has measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.asterisk.test_voice_bot import SIP, whom
from tests.sessions.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.targets.asterisk.private import PrivateAsterisk

# From then on what Asterisk sends is not taken as these calls', as if it were lost on its way.
DEAF = """
import asyncio

import pytest

from pytest_ari_sla.rtp_media.transport import RtpTransport
from pytest_ari_sla.watch import rtp_questions

@pytest.fixture(autouse=True)
def deaf(monkeypatch):
    start = RtpTransport.start

    def start_and_lose(transport, endpoint, remote, frames):
        start(transport, endpoint, remote, frames)
        asyncio.get_running_loop().call_later(0.7, transport._sources.forget, endpoint.socket, remote)

    monkeypatch.setattr(RtpTransport, "start", start_and_lose)
    monkeypatch.setattr(rtp_questions, "_PATIENCE_S", 60.0)  # a busy machine answers as well
"""
SCENARIO = """
async def test_loss(load):
    await load(calls=2, duration="2s", topology="caller", {caller})
"""


def test_what_is_lost_at_the_end_is_missing_in_its_figures(asterisk22: PrivateAsterisk, tmp_path: Path) -> None:
    """Our RTCP cannot tell of it, since nothing comes after it; Asterisk says that nothing was lost (asterisk#2012)."""
    asterisk22.ensure_alive()
    session = Session(tmp_path, asterisk22)
    session.write("conftest.py", DEAF)
    caller = whom(asterisk22, SIP).replace("bot@", "echo@")
    session.write("test_loss.py", SCENARIO.format(caller=caller))
    done = session.run("--sla", "target.rtp_statistics_off == 0", "--sla-inconclusive", "pass")
    assert done.exit_code == 1, done.output
    scenario = done.scenarios["test_loss"]
    target = scenario["metrics"]["target"]
    assert target["rtp_statistics_off"] == target["rtp_statistics_compared"] == 2, done.output
    assert "of them were lost" in done.output
    assert target["leaked_files"] == target["leaked_ports"] == 0, done.output
