"""The command line of ``ari-sla bot``, and an Asterisk that does not let it in."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.cli import main
from pytest_ari_sla.targets.simulator.process import SimulatorProcess

if TYPE_CHECKING:
    from pathlib import Path


def test_a_wrong_password_is_named_as_for_a_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With or without ARI's path, in one sentence and without a traceback."""
    with SimulatorProcess() as simulator:
        host = simulator.url.split("/")[2]
        for url in (f"http://eve:wrong@{host}", f"http://eve:wrong@{host}/ari/"):
            assert main(["bot", url, "--log", str(tmp_path / "bot.jsonl")]) == 1
            told = capsys.readouterr().err
            assert "(at fault: " in told
            assert "password" in told
            assert "wrong" not in told


def test_nobody_at_the_address_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main(["bot", f"http://a:b@127.0.0.1:{port}", "--log", str(tmp_path / "bot.jsonl")]) == 1
    assert "refused the connection; is Asterisk running" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("ftp://pbx",), ("http://a:b@pbx", "--fault", "loud")])
def test_a_wrong_command_line_ends_with_2(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is connected."""
    monkeypatch.delenv("ARI_URL", raising=False)
    assert main(["bot", *words]) == 2
