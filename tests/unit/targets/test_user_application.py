"""The application under test as a process of ours, at a simulator."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.errors import ApplicationCrashed, AriAuthenticationFailed, AriUnreachable, UsageError
from pytest_ari_sla.targets.simulator.process import SimulatorProcess
from pytest_ari_sla.targets.user_application import UserApplication

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Subscribes as ``bot``; what else it does is its argument.
_BOT = """
import asyncio, base64, os, sys
import aiohttp

async def main():
    print("the bot begins", flush=True)
    if sys.argv[1] == "die":
        sys.exit("no licence")
    if sys.argv[1] == "idle":
        await asyncio.sleep(600)
    credentials = base64.b64encode(f"{os.environ['ARI_USER']}:{os.environ['ARI_PASSWORD']}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {credentials}"}) as session:
        async with session.ws_connect(os.environ["ARI_URL"] + "/ari/events?app=bot") as socket:
            async for message in socket:
                pass

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    """Return a simulator in a process of its own."""
    with SimulatorProcess() as process:
        yield process


@pytest.fixture
def bot(tmp_path: Path) -> str:
    """Return a command that starts a bot, but for its argument."""
    script = tmp_path / "bot.py"
    script.write_text(_BOT)
    return f"{sys.executable} {script}"


def test_it_is_there_when_start_returns_and_gone_after_stop(simulator: SimulatorProcess, bot: str) -> None:
    """It is told where ARI is by its environment."""
    with UserApplication(f"{bot} serve", simulator.endpoint) as application:
        application.ensure_alive()
        pid = application.pid
        assert application.served == {"bot"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    application.stop()


def test_asterisk_is_asked_without_the_proxy_of_the_environment(
    simulator: SimulatorProcess, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by all other requests of this tool."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with UserApplication(f"{bot} serve", simulator.endpoint) as application:
        assert application.served == {"bot"}


def test_an_asterisk_that_cannot_be_asked_is_named_as_for_a_load(simulator: SimulatorProcess, bot: str) -> None:
    """It is not the application's fault, and nothing of it is left."""
    refused = replace(simulator.endpoint, password="wrong")
    with pytest.raises(AriAuthenticationFailed, match="refused GET /applications"):
        UserApplication(f"{bot} serve", refused).start()
    nobody = replace(simulator.endpoint, base_url="http://127.0.0.1:9/ari")
    with pytest.raises(AriUnreachable, match="refused the connection"):
        UserApplication(f"{bot} serve", nobody).start()


def test_one_that_ends_before_it_has_subscribed_is_named_with_its_last_words(
    simulator: SimulatorProcess, bot: str
) -> None:
    """It is at fault, not Asterisk."""
    with pytest.raises(ApplicationCrashed, match=r"exit code 1 before it had subscribed\nthe bot begins\nno l"):
        UserApplication(f"{bot} die", simulator.endpoint).start()


def test_one_that_never_subscribes_is_given_up(simulator: SimulatorProcess, bot: str) -> None:
    """And ended."""
    with pytest.raises(ApplicationCrashed, match=r"did not subscribe to any events within 0\.1 s"):
        UserApplication(f"{bot} idle", simulator.endpoint, start_timeout_s=0.1).start()


def test_one_that_was_listed_already_cannot_be_told_from_who_was_there(simulator: SimulatorProcess, bot: str) -> None:
    """One that died is listed as long as something of it is left; the error says what may be the matter."""
    with (
        UserApplication(f"{bot} serve", simulator.endpoint),
        pytest.raises(ApplicationCrashed, match=r"or is one that Asterisk listed before \(bot\): then remove what"),
    ):
        UserApplication(f"{bot} idle", simulator.endpoint, start_timeout_s=0.1).start()


def test_one_that_ends_later_is_named(simulator: SimulatorProcess, bot: str) -> None:
    """Whoever asks next hears how."""
    with UserApplication(f"{bot} serve", simulator.endpoint) as application:
        os.kill(application.pid, 9)
        # Until its parent, which we are, has heard of its death.
        os.waitid(os.P_PID, application.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ApplicationCrashed, match=r"ended by signal 9 \(SIGKILL\)"):
            application.ensure_alive()


def test_commands_that_cannot_be_run(simulator: SimulatorProcess) -> None:
    """The name of what is missing is in the sentence."""
    with pytest.raises(ApplicationCrashed, match="'no-such-program --now' cannot be run: No such file"):
        UserApplication("no-such-program --now", simulator.endpoint).start()
    for command in ("python 'bot", "  "):
        with pytest.raises(UsageError, match="not a command line"):
            UserApplication(command, simulator.endpoint)
