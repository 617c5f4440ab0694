"""The command line of the echo server and of the relay for streams: who connects, and until when it runs."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import uuid
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pytest_ari_sla.arguments import argument
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.framing.conversations import AudioSocketServer, WebSocketClient, WebSocketServer
from pytest_ari_sla.peers.ready_loop import ReadyLoop
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.framing.conversations import Conversation
    from pytest_ari_sla.peers.stream_server import StreamServer

Server = TypeVar("Server", bound="StreamServer")

__all__ = ["STREAMS", "run_server", "stream_parser", "transport_of"]

_LISTENING: dict[str, Callable[[], Conversation]] = {"audiosocket": AudioSocketServer, "websocket": WebSocketServer}
"""Transports at which Asterisk connects to us."""

STREAMS = (*_LISTENING, "websocket-server")
"""Those, and the one where we connect to Asterisk."""

_CONNECT_S = 10.0
_BACKLOG = 1000
"""A whole load may connect while this process does something else."""


class _WebSocketUrl(NamedTuple):
    host: str
    port: int
    authority: str
    target: str


def _parse_url(text: str) -> _WebSocketUrl:
    """Read ``ws://HOST[:PORT]/PATH[?QUERY]``.

    Raises
    ------
    UsageError
        It is no such URL, or wants TLS.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, 80 if parts.port is None else parts.port  # RFC 6455, section 3
    except ValueError:
        host, port = None, 0
    if not host or not port or parts.scheme != "ws" or "@" in parts.netloc:
        raise UsageError(f"{text!r} cannot be connected to; write ws://HOST:8088/media/ID (no wss: TLS is not spoken)")
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return _WebSocketUrl(host, port, parts.netloc, target)


def transport_of(argv: Sequence[str] | None) -> str:
    """Return which transport a command line asks for: each has options of its own."""
    # Options of the others, which it passes over, are no abbreviations of its one.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--transport", default="rtp")
    return str(parser.parse_known_args(argv)[0].transport)


def stream_parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that both have."""
    parser = argparse.ArgumentParser(program, description=description)
    parser.add_argument("--transport", choices=STREAMS, required=True)
    parser.add_argument(
        "--connect",
        type=argument(_parse_url),
        metavar="URL",
        help="ws://HOST:8088/media/ID: with --transport websocket-server",
    )
    parser.add_argument("--realtime", choices=("auto", "off"), default="auto", help="SCHED_FIFO, where allowed")
    return parser


def run_server(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    listening: Address,
    make_server: Callable[[ReadyLoop], Server],
) -> Server:
    """Serve until Ctrl-C or SIGTERM; where it has connected itself, until that connection ends.

    Parameters
    ----------
    parser, options
        What is wrong with the options is said by the parser, which ends the program.
    listening
        Where it listens, unless it connects.
    make_server
        Makes what serves.
    """
    if (options.connect is not None) != (options.transport == "websocket-server"):
        parser.error("--connect goes with --transport websocket-server, which needs it")
    with ReadyLoop() as loop, make_server(loop) as server:
        for end in (signal.SIGTERM, signal.SIGINT):
            signal.signal(end, lambda *_: loop.stop())
        try:
            where = _connect(server, options.connect) if options.connect else _listen(server, options, listening)
        except OSError as error:
            parser.error(str(error))
        sys.stdout.write(f"{parser.prog.split()[-1]} of {options.transport} {where}\n")
        sys.stdout.flush()
        if options.realtime == "auto":
            ask_for_realtime()
        # One that has connected has nothing to do any more when its connection has ended.
        loop.run(lambda: 0 if options.connect and server.is_idle else None, loop.stop)
    return server


def _listen(server: StreamServer, options: argparse.Namespace, listening: Address) -> str:
    listener = socket.create_server(listening, backlog=_BACKLOG)
    server.listen(listener, _LISTENING[options.transport])
    host, port = listener.getsockname()
    if options.transport == "audiosocket":
        return f"at {host}:{port}, for AudioSocket({uuid.uuid4()},{host}:{port}) and ExternalMedia"
    return f"at ws://{host}:{port}/"


def _connect(server: StreamServer, where: _WebSocketUrl) -> str:
    tcp = socket.create_connection((where.host, where.port), timeout=_CONNECT_S)
    server.serve(tcp, WebSocketClient(where.target, where.authority))
    return f"connected to ws://{where.authority}{where.target}"
