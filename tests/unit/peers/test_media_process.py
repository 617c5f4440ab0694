from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.peers import media_process as media_process
from pytest_ari_sla.peers.control import TakeSnapshot
from pytest_ari_sla.peers.echo.echo_process import EchoServerProcess
from pytest_ari_sla.peers.media_process import MediaProcess

STUBBORN = "tests.unit.peers.stubborn_process"


@pytest.fixture(autouse=True)
def _find_the_stubborn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children do not look for modules in the present folder."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


def test_a_process_that_does_not_end_is_killed() -> None:
    """Stopping takes its time of grace and no more, whatever the process is doing."""
    process = MediaProcess(STUBBORN, ["stay"])
    assert process.launch() == "ready"
    began = time.monotonic()
    assert process.stop() == -signal.SIGKILL
    assert time.monotonic() - began < 0.5
    assert process.pid is None
    assert process.stop() == 0  # twice does no harm


def test_a_process_that_ends_at_once_is_told() -> None:
    """Its exit code is part of the sentence, and nothing is left running."""
    process = MediaProcess("tests.unit.peers.no_such_module", [])
    with pytest.raises(MediaLoopFailed, match="exit code 1"):
        process.launch()
    assert process.pid is None


def test_a_process_that_speaks_another_language_is_told() -> None:
    """What is no reply is an error at once, not a time-out, and ends the process."""
    process = MediaProcess(STUBBORN, ["babble"])
    with pytest.raises(MediaLoopFailed, match="not a reply"):
        process.launch()
    assert process.pid is None


def test_a_process_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a reply for ever."""
    monkeypatch.setattr(media_process, "REPLY_TIMEOUT_S", 0.05)
    with MediaProcess(STUBBORN, ["stay"]) as process:
        process.launch()
        with pytest.raises(MediaLoopFailed, match=r"within 0\.05 s"):
            process.request(TakeSnapshot())


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was stopped for a while answers all that it was asked meanwhile."""
    with MediaProcess(STUBBORN, ["late"]) as process:
        process.launch()
        with monkeypatch.context() as hasty:
            hasty.setattr(media_process, "REPLY_TIMEOUT_S", 0.01)
            with pytest.raises(MediaLoopFailed, match="did not answer"):
                process.request(TakeSnapshot())
        assert process.request(TakeSnapshot()) == "answer 2"


def test_a_process_that_was_not_launched_takes_no_orders() -> None:
    """Neither requests nor clients find it."""
    process = MediaProcess(STUBBORN, ["stay"])
    with pytest.raises(MediaLoopFailed, match="not running"):
        process.request(TakeSnapshot())
    with pytest.raises(MediaLoopFailed, match="not running"):
        process.share_control()


def test_a_process_that_was_killed_is_named_with_the_signal() -> None:
    """While it runs, and after a stop, there is nothing to tell."""
    with EchoServerProcess(realtime=False) as server:
        server.ensure_alive()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(MediaLoopFailed, match=r"the echo server was ended by signal 9 \(SIGKILL\)"):
            server.ensure_alive()
    server.ensure_alive()
