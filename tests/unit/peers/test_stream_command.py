"""Where a peer of streams connects to."""

from __future__ import annotations

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pytest_ari_sla.peers.relay.stream_relay import StreamRelay
from pytest_ari_sla.peers.stream_command import run_server, stream_parser

if TYPE_CHECKING:
    import argparse

    from pytest_ari_sla.peers.ready_loop import ReadyLoop


def options_of(url: str) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """Return a command line that connects to a URL."""
    parser = stream_parser("ari-sla echo-server", "")
    return parser, parser.parse_args(["--transport", "websocket-server", "--realtime", "off", "--connect", url])


@pytest.mark.parametrize(
    "url",
    [
        "wss://pbx:8088/media/1",
        "http://pbx/media/1",
        "ws://:80/",
        "ws://pbx:0/",
        "ws://pbx:x/",
        "ws://a:b@pbx/",
        "ws://[",
    ],
)
def test_what_it_cannot_connect_to_is_a_usage_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """TLS above all: it would be spoken to in clear."""
    with pytest.raises(SystemExit):
        options_of(url)
    assert "write ws://HOST:8088/media/ID (no wss: TLS is not spoken)" in capsys.readouterr().err


def test_the_whole_of_a_url_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its query too, and by the name that it has."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process is pytest's
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        parser, options = options_of(f"ws://localhost:{port}/media/1?a=b&c=d")

        def make(loop: ReadyLoop) -> StreamRelay:
            return StreamRelay(loop, ("127.0.0.1", 9), "websocket-server")

        def answer() -> bytes:
            tcp, _ = listener.accept()
            with tcp:
                return tcp.recv(1 << 16)

        with ThreadPoolExecutor(1) as thread:
            request = thread.submit(answer)
            run_server(parser, options, ("127.0.0.1", 0), make)
    head = request.result().split(b"\r\n")
    assert head[0] == b"GET /media/1?a=b&c=d HTTP/1.1"
    assert f"Host: localhost:{port}".encode() in head
