"""What the echo server and the relay share for streams: connections on a loop, each with what its peer has not read."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.peers.door import Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.framing.conversations import Conversation
    from pytest_ari_sla.peers.ready_loop import ReadyLoop

__all__ = ["MOST_UNSENT_BYTES", "StreamConnection", "StreamServer"]

_READ_BYTES = 1 << 16
MOST_UNSENT_BYTES = 1 << 18
"""Whoever does not read what is sent loses it: nobody's memory is filled."""


class StreamConnection:
    """One connection, from its first byte to its last.

    Parameters
    ----------
    server
        Whose it is; told of what comes, and of the end.
    tcp
        Its own from now on.
    conversation
        What is spoken on it.

    Attributes
    ----------
    partner
        The connection that its frames go to; None where there is none (yet).
    was_heard
        Whether anything has come by it.
    error
        What the system said when it failed; empty: it has not.
    """

    def __init__(self, server: StreamServer, tcp: socket.socket, conversation: Conversation) -> None:
        tcp.setblocking(False)
        # Nagle's algorithm would hold a frame back until the one before it is acknowledged.
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = server
        self._tcp = tcp
        self.conversation = conversation
        self.partner: StreamConnection | None = None
        self.was_heard = False
        self.error = ""
        self._unsent = bytearray()

    def send(self, payload: bytes, kind: int) -> bool:
        """Send a frame as soon as the peer takes it; return whether it will: not where too much waits already."""
        if len(self._unsent) > MOST_UNSENT_BYTES or self.conversation.ended:
            return False
        # Before the frame: the answer to a handshake may wait there, where a first frame came in the same read.
        self._queue_own_words()
        self._unsent += self.conversation.frame(payload, kind)
        return True

    def turn(self) -> None:
        """Read what has come, let the server answer, and write."""
        try:
            self._read()
            self._server.take(self)
            self.conversation.frames.clear()
            self.conversation.texts.clear()
        except OSError as error:
            self._fail(error)
        self.flush()

    def _fail(self, error: OSError) -> None:
        self.error = self.error or str(error)
        self.conversation.ended = self.conversation.ended or str(error)

    def _read(self) -> None:
        try:
            data = self._tcp.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self.was_heard = True
            self.conversation.receive(data)
        else:
            self.conversation.finish()

    def flush(self) -> None:
        """Write what the peer takes; the rest goes when it reads."""
        conversation = self.conversation
        self._queue_own_words()
        if len(self._unsent) > 2 * MOST_UNSENT_BYTES:  # more than frames can be: answers that it asks for without end
            conversation.ended = conversation.ended or "the peer asks on and on, and does not read"
        try:
            sent = self._tcp.send(self._unsent) if self._unsent else 0
            del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)
        if conversation.ended:
            self._server.end(self)
        else:
            # Only while something waits: a socket can nearly always be written, and would wake the loop all the time.
            self._server.loop.watch(self._tcp, self.turn, also_writing=bool(self._unsent))

    def _queue_own_words(self) -> None:
        self._unsent += self.conversation.outgoing
        self.conversation.outgoing.clear()

    def close(self) -> None:
        """Watch it no longer, and close it."""
        self._server.loop.forget(self._tcp)
        self._tcp.close()


class StreamServer(ABC):
    """Serves connections; a context manager that closes those that are left.

    Parameters
    ----------
    loop
        Where connections are watched.

    Attributes
    ----------
    connections, dropped, faults
        Counts: connections ever, frames whose receiver did not read, and what peers did wrong.
    """

    def __init__(self, loop: ReadyLoop) -> None:
        self.loop = loop
        self._open: set[StreamConnection] = set()
        self.connections = self.dropped = self.faults = 0

    @abstractmethod
    def take(self, connection: StreamConnection) -> None:
        """Do what is to be done with the frames that have come."""

    def listen(self, listener: socket.socket, make_conversation: Callable[[], Conversation]) -> None:
        """Serve whoever connects to a listening socket."""
        Door(self.loop, listener, lambda tcp: self.serve(tcp, make_conversation()))

    def serve(self, tcp: socket.socket, conversation: Conversation) -> None:
        """Serve one connection until it ends."""
        self.connections += 1
        # Who connects as a WebSocket client speaks first: nothing would come that wakes it up.
        self.open(tcp, conversation).turn()

    def open(self, tcp: socket.socket, conversation: Conversation) -> StreamConnection:
        """Return a connection of ours."""
        connection = StreamConnection(self, tcp, conversation)
        self._open.add(connection)
        self.loop.watch(tcp, connection.turn)
        return connection

    def end(self, connection: StreamConnection) -> None:
        """Close a connection that has ended."""
        # A relay's connection is ended with its partner, and once more at the end of its own turn.
        if connection in self._open:
            self._open.discard(connection)
            self._close(connection)

    def _close(self, connection: StreamConnection) -> None:
        self.faults += sum(connection.conversation.faults.values())
        connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            self._close(connection)
        self._open.clear()

    @property
    def is_idle(self) -> bool:
        """Whether there is no connection."""
        return not self._open
