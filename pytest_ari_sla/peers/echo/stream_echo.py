"""The echo server for streams: sends each frame of an AudioSocket or WebSocket connection back on it, at once."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_ari_sla.arguments import argument, parse_port
from pytest_ari_sla.framing.conversations import AudioSocketServer, WebSocketClient, WebSocketServer
from pytest_ari_sla.peers.ready_loop import ReadyLoop
from pytest_ari_sla.udp.pacing_timer import ask_for_realtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_ari_sla.framing.conversations import Conversation

__all__ = ["LISTENING", "StreamEcho", "main"]

_READ_BYTES = 1 << 16
MOST_UNSENT_BYTES = 1 << 18
"""A peer that does not read its echo loses it: nobody's memory is filled."""

LISTENING: dict[str, Callable[[], Conversation]] = {"audiosocket": AudioSocketServer, "websocket": WebSocketServer}
"""Transports at which Asterisk connects to us."""


class StreamEcho:
    """Echoes what connections bring.

    Parameters
    ----------
    loop
        Where connections are watched.

    Attributes
    ----------
    connections, frames, dropped, faults
        Counts: connections ever, frames sent back, frames that found their peer not reading, and what peers did wrong.
    """

    def __init__(self, loop: ReadyLoop) -> None:
        self._loop = loop
        self._open: set[socket.socket] = set()
        self.connections = self.frames = self.dropped = self.faults = 0

    def listen(self, listener: socket.socket, make_conversation: Callable[[], Conversation]) -> None:
        """Serve whoever connects to a listening socket."""
        listener.setblocking(False)
        self._loop.watch(listener, lambda: self._accept(listener, make_conversation))

    def _accept(self, listener: socket.socket, make_conversation: Callable[[], Conversation]) -> None:
        try:
            tcp, _ = listener.accept()
        except OSError:
            return  # gone again before it was accepted
        self.serve(tcp, make_conversation())

    def serve(self, tcp: socket.socket, conversation: Conversation) -> None:
        """Serve one connection until it ends."""
        tcp.setblocking(False)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self._open.add(tcp)
        unsent = bytearray()
        self._loop.watch(tcp, lambda: self._turn(tcp, conversation, unsent))
        self._turn(tcp, conversation, unsent)

    def _turn(self, tcp: socket.socket, conversation: Conversation, unsent: bytearray) -> None:
        try:
            self._read(tcp, conversation)
            self._answer(conversation, unsent)
            sent = tcp.send(unsent) if unsent else 0
            del unsent[:sent]
        except BlockingIOError:
            pass  # the rest goes when the peer reads
        except OSError as error:
            conversation.ended = conversation.ended or str(error)
        if conversation.ended:
            self._end(tcp, conversation)
        else:
            self._loop.watch(tcp, lambda: self._turn(tcp, conversation, unsent), also_writing=bool(unsent))

    def _read(self, tcp: socket.socket, conversation: Conversation) -> None:
        try:
            data = tcp.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if data:
            conversation.receive(data)
        else:
            conversation.finish()

    def _answer(self, conversation: Conversation, unsent: bytearray) -> None:
        unsent += conversation.outgoing
        conversation.outgoing.clear()
        for frame in conversation.frames:
            if len(unsent) > MOST_UNSENT_BYTES:
                self.dropped += 1
            else:
                unsent += conversation.frame(frame, conversation.audio_kind)
                self.frames += 1
        conversation.frames.clear()
        conversation.texts.clear()

    def _end(self, tcp: socket.socket, conversation: Conversation) -> None:
        self.faults += sum(conversation.faults.values())
        self._loop.forget(tcp)
        self._open.discard(tcp)
        tcp.close()

    def close(self) -> None:
        """Close all connections."""
        for tcp in self._open:
            tcp.close()
        self._open.clear()

    @property
    def is_idle(self) -> bool:
        """Whether there is no connection."""
        return not self._open


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ari-sla echo", description="Send every frame of a stream back.")
    parser.add_argument("--transport", choices=(*LISTENING, "websocket-server"), required=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=argument(parse_port), default=0, help="TCP port (default: a free one)")
    parser.add_argument("--connect", metavar="URL", help="ws://HOST:8088/media/ID: with --transport websocket-server")
    parser.add_argument("--realtime", choices=("auto", "off"), default="auto", help="SCHED_FIFO, where allowed")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; where it has connected itself, until that connection ends."""
    parser = _parser()
    options = parser.parse_args(argv)
    if (options.connect is not None) != (options.transport == "websocket-server"):
        parser.error("--connect goes with --transport websocket-server, which needs it")
    with ReadyLoop() as loop:
        echo = StreamEcho(loop)
        for end in (signal.SIGTERM, signal.SIGINT):
            signal.signal(end, lambda *_: loop.stop())
        try:
            where = _connect(echo, options.connect) if options.connect else _listen(echo, options)
        except OSError as error:
            parser.error(str(error))
        sys.stdout.write(f"{options.transport} echo {where}\n")
        sys.stdout.flush()
        if options.realtime == "auto":
            ask_for_realtime()
        # One that has connected has nothing to do any more when its connection has ended.
        loop.run(lambda: 0 if options.connect and echo.is_idle else None, loop.stop)
        echo.close()
    sys.stdout.write(f"{echo.connections:>12,}  connections\n{echo.frames:>12,}  frames sent back\n")
    sys.stdout.write(f"{echo.dropped:>12,}  frames dropped, since their peer did not read\n")
    sys.stdout.write(f"{echo.faults:>12,}  faults of peers\n")
    return 0


def _listen(echo: StreamEcho, options: argparse.Namespace) -> str:
    listener = socket.create_server((options.host, options.port), backlog=1000)
    echo.listen(listener, LISTENING[options.transport])
    host, port = listener.getsockname()
    if options.transport == "audiosocket":
        return f"at {host}:{port}, for AudioSocket({uuid.uuid4()},{host}:{port}) and ExternalMedia"
    return f"at ws://{host}:{port}/"


def _connect(echo: StreamEcho, url: str) -> str:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    echo.serve(socket.create_connection((host, port)), WebSocketClient(parts.path, f"{host}:{port}"))
    return f"connected to {url}"


if __name__ == "__main__":
    sys.exit(main())
