"""The relay for streams: each connection of Asterisk's has one to the echo server; frames are sent on, and back.

An echo server of streams returns frames in their order: the time between a frame and the next one to come back is its
round trip, as long as nothing is dropped, which is counted.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.arguments import argument
from pytest_ari_sla.framing.conversations import LEG_PARAMETER, AudioSocketClient, WebSocketClient
from pytest_ari_sla.peers.addresses import address_of_peer, address_to_listen_at
from pytest_ari_sla.peers.reflector import TurnaroundMeter
from pytest_ari_sla.peers.stream_command import run_server, stream_parser
from pytest_ari_sla.peers.stream_server import StreamConnection, StreamServer
from pytest_ari_sla.udp.host_limits import is_limit, limit_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.framing.conversations import Conversation
    from pytest_ari_sla.peers.ready_loop import ReadyLoop

__all__ = ["StreamRelay", "main"]

_CONNECT_ATTEMPTS_MORE = 1
"""After the first: an echo server that does not accept is given up after 1 + 2 s (RFC 6298, 2)."""

_MOST_WAITING = 1 << 12
"""Frames of a call whose return is awaited, 82 s of them: an echo server that returns none must not fill our memory."""


class StreamRelay(StreamServer):
    """Relays what connections bring to an echo server, and back.

    Parameters
    ----------
    loop
        Where connections are watched.
    echo
        The echo server's address.
    transport
        What Asterisk speaks; the echo server is spoken to in the same way.

    Attributes
    ----------
    forwarded, returned
        Frames that were sent on to the echo server, and back to Asterisk.
    unreached
        Connections of Asterisk's that had none to the echo server.
    why_unreached
        What the last one of these met with.
    round_trips
        From here to the echo server and back, each frame.
    """

    def __init__(self, loop: ReadyLoop, echo: Address, transport: str) -> None:
        super().__init__(loop)
        self._echo = echo
        self._transport = transport
        self._sent_ns: dict[StreamConnection, deque[int]] = {}
        self.forwarded = self.returned = self.unreached = 0
        self.why_unreached = ""
        self.round_trips = TurnaroundMeter()

    def take(self, connection: StreamConnection) -> None:
        """Send all frames on; the first thing that Asterisk says tells whose the connection is."""
        conversation = connection.conversation
        if connection.partner is None and conversation.is_open:
            self._pair(connection)
        partner = connection.partner
        if partner is None or not conversation.frames:
            return
        is_echo = connection in self._sent_ns
        if is_echo:
            self._note_returned(connection, len(conversation.frames))
        for frame in conversation.frames:
            taken = partner.send(frame, conversation.audio_kind)
            self.dropped += not taken
            if taken and is_echo:
                self.returned += 1
            elif taken:
                self._sent_ns[partner].append(time.monotonic_ns())
                self.forwarded += 1
        partner.flush()

    def _pair(self, connection: StreamConnection) -> None:
        try:
            tcp = _connecting(self._echo)
        except OSError as error:
            self._note_unreached(limit_words(error) if is_limit(error) else str(error))
            raise
        # What is sent before it is connected waits, as for any peer that does not read yet.
        partner = self.open(tcp, self._conversation_with_echo(connection.conversation.key))
        self._sent_ns[partner] = deque(maxlen=_MOST_WAITING)
        connection.partner, partner.partner = partner, connection
        partner.flush()

    def _note_unreached(self, why: str) -> None:
        if not self.unreached:  # once: all calls meet with the same
            sys.stderr.write(f"ari-sla: the echo server cannot be reached: {why}\n")
            sys.stderr.flush()
        self.unreached += 1
        self.why_unreached = why

    def _conversation_with_echo(self, key: str) -> Conversation:
        if self._transport == "audiosocket":
            return AudioSocketClient(key)
        host, port = self._echo
        return WebSocketClient(f"/?{LEG_PARAMETER}={key.strip('/')}", f"{host}:{port}")

    def _note_returned(self, echo: StreamConnection, frames: int) -> None:
        now_ns, waiting = time.monotonic_ns(), self._sent_ns[echo]
        # A foreign echo server may send more than it was sent: such a frame has no round trip.
        first = [waiting.popleft() for _ in range(min(frames, len(waiting)))]
        self.round_trips.record(now_ns - np.array(first, np.int64))

    def end(self, connection: StreamConnection) -> None:
        """Close a connection that has ended, and the one beyond it."""
        super().end(connection)
        # Connections of Asterisk's are not in it.
        if self._sent_ns.pop(connection, None) is not None and not connection.was_heard and connection.error:
            self._note_unreached(connection.error)
        partner, connection.partner = connection.partner, None
        # Without the second question the two would end each other for ever.
        if partner is not None and partner.partner is not None:
            partner.conversation.close()
            partner.conversation.ended = partner.conversation.ended or "the other side has ended"
            partner.flush()


def _connecting(address: Address) -> socket.socket:
    """Return a socket that is on its way to an address: others are served meanwhile."""
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        tcp.setblocking(False)
        if sys.platform == "linux":
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, _CONNECT_ATTEMPTS_MORE)
        number = tcp.connect_ex(address)
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
    except OSError:
        tcp.close()
        raise
    return tcp


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; where it has connected itself, until that connection ends."""
    parser = stream_parser("ari-sla relay", "Relay the frames of streams between Asterisk and an echo server.")
    parser.add_argument(
        "--echo", type=argument(address_of_peer), required=True, metavar="HOST:PORT", help="where the echo server is"
    )
    parser.add_argument(
        "--listen",
        type=argument(address_to_listen_at),
        default=("127.0.0.1", 0),
        metavar="HOST:PORT",
        help="where Asterisk connects to",
    )
    options = parser.parse_args(argv)
    relay = run_server(parser, options, options.listen, lambda loop: StreamRelay(loop, options.echo, options.transport))
    rtt = relay.round_trips.histogram()
    sys.stdout.write(f"{relay.connections:>12,}  connections\n{relay.forwarded:>12,}  frames sent to the echo server\n")
    sys.stdout.write(f"{relay.returned:>12,}  frames returned to Asterisk\n")
    sys.stdout.write(f"{relay.dropped:>12,}  frames dropped, since their receiver did not read\n")
    sys.stdout.write(f"{relay.faults:>12,}  faults of peers\n")
    if relay.unreached:
        sys.stdout.write(f"{relay.unreached:>12,}  calls for which it was not reached ({relay.why_unreached})\n")
    if rtt.count:
        median, p99 = (rtt.percentile(rank) / 1e6 for rank in (50, 99))
        sys.stdout.write(f"{median:>12.3f}  ms to the echo server and back (median; 99th percentile {p99:.3f})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
