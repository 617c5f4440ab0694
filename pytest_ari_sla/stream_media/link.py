"""A connection of the loop: a conversation on a non-blocking socket, and what the socket did not take at once."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from pytest_ari_sla.framing.media_control import MediaControl

if TYPE_CHECKING:
    from pytest_ari_sla.framing.conversations import Conversation
    from pytest_ari_sla.media.peer_faults import PeerFault

__all__ = ["NOBODY", "Link"]

NOBODY = -1
_SO_TIMESTAMPNS = 35
_AGAIN = (BlockingIOError, InterruptedError)


class Link:
    """One connection.

    Parameters
    ----------
    tcp
        Non-blocking; the link's own from now on.
    conversation
        What is spoken on it.

    Attributes
    ----------
    leg
        Whose it is; NOBODY as long as that is not known, and when the leg has been forgotten.
    is_known
        Whether it has been looked for whose it is.
    slot
        When it sends.
    silence
        What it is sent as long as it has no stream.
    place
        Frames of this leg's stream that have come.
    is_heard
        Whether frames that come are the leg's: from the start of its stream on.
    is_closed
        Whether the socket is gone.
    control
        The control side of a WebSocket.
    is_muted, is_deaf, wants_closing
        Whether nothing is sent, nothing is read, and the connection is to end: faults on purpose.
    frames_seen
        Frames that have come, heard or not.
    fault
        How this peer misbehaves once its stream has begun.
    frame_bytes, kind
        Of the frames that its stream has.
    """

    def __init__(self, tcp: socket.socket, conversation: Conversation) -> None:
        tcp.setblocking(False)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tcp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.tcp = tcp
        self.descriptor = tcp.fileno()
        self.conversation = conversation
        self.leg = NOBODY
        self.is_known = False
        self.slot = 0
        self.silence = b""
        self.place = 0
        self.is_heard = False
        self.is_closed = False
        self.control = MediaControl()
        self.since_ns = time.monotonic_ns()
        self.is_muted = self.is_deaf = self.wants_closing = False
        self.frames_seen = 0
        self.fault: PeerFault | None = None
        self.frame_bytes, self.kind = 0, 0
        self._unsent = bytearray()

    @property
    def is_ready(self) -> bool:
        """Whether a frame can be sent whole, or at least be begun."""
        return (
            not (self._unsent or self.is_muted)
            and self.conversation.is_open
            and not self.is_closed
            and not self.conversation.ended
        )

    @property
    def has_unsent(self) -> bool:
        """Whether the socket has not taken all."""
        return bool(self._unsent)

    def send(self, frame: bytes | memoryview) -> bool:
        """Send a frame; return whether it went on its way: what the socket does not take at once follows."""
        try:
            sent = self.tcp.send(frame)
        except _AGAIN:
            return False
        except OSError:
            self.is_closed = True  # reading finds out why
            return False
        if sent < len(frame):
            self._unsent += frame[sent:]
        return True

    def flush(self) -> bool:
        """Send what waits, and what the conversation has to say; return whether all has gone."""
        self._unsent += self.conversation.outgoing
        self.conversation.outgoing.clear()
        while self._unsent and not self.is_closed:
            try:
                sent = self.tcp.send(self._unsent)
            except _AGAIN:
                return False
            except OSError:
                self.is_closed = True
                break
            del self._unsent[:sent]
        return True

    def shut(self, how: int) -> None:
        """Close one half of the connection."""
        try:
            self.tcp.shutdown(how)
        except OSError:
            self.is_closed = True  # it has gone already

    def close(self) -> None:
        """Close the socket; twice does no harm."""
        self.is_closed = True
        self.tcp.close()
