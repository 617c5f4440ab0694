"""A connection of the loop: a conversation on a non-blocking socket, and what the socket did not take at once.

What sending and receiving must know of all of them at once is in columns: a slot needs no Python for each.
"""

from __future__ import annotations

import socket
import time
from enum import IntEnum, auto
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.framing.media_control import MediaControl
from pytest_ari_sla.udp.datagrams import SO_TIMESTAMPNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.framing.conversations import Conversation
    from pytest_ari_sla.media.peer_faults import PeerFault

__all__ = ["NOBODY", "Link", "LinkTable", "Route"]

_AGAIN = (BlockingIOError, InterruptedError)


NOBODY = -1
"""A leg or a descriptor that is none."""

_FEWEST_ROWS = 256


class Route(IntEnum):
    """Where a read goes that is one whole frame; any other one goes to the conversation."""

    CONVERSATION = 0
    """To the conversation: it is in the middle of a message."""
    NOWHERE = auto()
    """The leg has no stream yet, or none any more."""
    RING = auto()
    """To the leg."""


class LinkTable:
    """All connections of a loop.

    Parameters
    ----------
    legs
        Most legs at one time.

    Attributes
    ----------
    of_leg
        The connection of each leg that has one.
    writable
        By leg: the descriptor that its next frame is written to; NOBODY where it cannot be now.
    leg
        int32, by descriptor, like all that follow. Whose a connection is; NOBODY as long as that is not known, and when
        the leg has been forgotten.
    route
        int8, a :class:`Route`. Where a read goes that is one whole frame.
    place
        int64. Frames of the leg's stream that have come.
    seen
        int64. All other reads.
    """

    def __init__(self, legs: int) -> None:
        self.of_leg: dict[int, Link] = {}
        self.writable = [NOBODY] * legs
        self.leg: NDArray[np.int32] = np.full(_FEWEST_ROWS, NOBODY, np.int32)
        self.route: NDArray[np.int8] = np.zeros(_FEWEST_ROWS, np.int8)
        self.place: NDArray[np.int64] = np.zeros(_FEWEST_ROWS, np.int64)
        self.seen: NDArray[np.int64] = np.zeros(_FEWEST_ROWS, np.int64)

    def add(self, descriptor: int) -> None:
        """Take a new connection in: the columns may hold what is left of an earlier one's."""
        while descriptor >= len(self.leg):
            self._grow()
        self.leg[descriptor] = NOBODY
        self.route[descriptor] = Route.CONVERSATION
        self.place[descriptor] = self.seen[descriptor] = 0

    def _grow(self) -> None:
        for name in ("leg", "route", "place", "seen"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, column)))  # doubled: the new half is overwritten by add()


class Link:
    """One connection.

    Parameters
    ----------
    tcp
        Non-blocking; the link's own from now on.
    conversation
        What is spoken on it.
    table
        Where it is told what sending and receiving must know of it; :meth:`settle` keeps that true.

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
    is_heard
        Whether frames that come are the leg's: from the start of its stream on.
    is_closed
        Whether the socket is gone.
    control
        The control side of a WebSocket.
    watched_for
        The events of epoll that the loop has asked for.
    is_muted, is_deaf, wants_closing
        Whether nothing is sent, nothing is read, and the connection is to end: faults on purpose.
    fault
        How this peer misbehaves once its stream has begun.
    frame_bytes, kind
        Of the frames that its stream has.
    """

    def __init__(self, tcp: socket.socket, conversation: Conversation, table: LinkTable) -> None:
        tcp.setblocking(False)
        # Asterisk drops a call whose AudioSocket payload is more than 5 ms behind its header: Nagle must not wait.
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tcp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.tcp = tcp
        self.descriptor = tcp.fileno()
        self.conversation = conversation
        self.leg = NOBODY
        self.is_known = False
        self.slot = 0
        self.silence = b""
        self.is_heard = False
        self.is_closed = False
        self.control = MediaControl()
        self.since_ns = time.monotonic_ns()
        self.watched_for = 0
        self.is_muted = self.is_deaf = self.wants_closing = False
        self.fault: PeerFault | None = None
        self.frame_bytes, self.kind = 0, 0
        self._unsent = bytearray()
        self._table = table
        table.add(self.descriptor)

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
    def frames_seen(self) -> int:
        """Frames that have come, heard or not, and whatever else."""
        return int(self._table.seen[self.descriptor] + self._table.place[self.descriptor])

    def join(self, leg: int, slot: int) -> None:
        """Be a leg's from now on."""
        self.leg, self.slot = leg, slot
        self._table.of_leg[leg] = self
        self._table.leg[self.descriptor] = leg
        self.settle()

    def leave(self) -> None:
        """Be nobody's any more."""
        self._withdraw()
        self._table.leg[self.descriptor] = self.leg = NOBODY
        self.is_heard = False
        self.settle()

    def hear(self) -> None:
        """Let all frames that come be the leg's, the next one its first."""
        self.is_heard = True
        self._table.place[self.descriptor] = 0
        self.settle()

    def settle(self) -> None:
        """Tell of all that has changed."""
        if self.is_closed:
            return
        plain = Route.RING if self.is_heard else Route.NOWHERE
        self._table.route[self.descriptor] = plain if self.conversation.takes_plain else Route.CONVERSATION
        if self.leg != NOBODY:
            is_writable = self.is_ready and self.control.may_send
            self._table.writable[self.leg] = self.descriptor if is_writable else NOBODY

    def _withdraw(self) -> None:
        """Let nothing more be written for the leg here: another connection may have the same descriptor soon."""
        if self._table.of_leg.get(self.leg) is self:  # else the leg has another connection by now
            del self._table.of_leg[self.leg]
            self._table.writable[self.leg] = NOBODY

    def send(self, frame: bytes | memoryview) -> bool:
        """Send a frame; return whether it went on its way: what the socket does not take at once follows."""
        if self._unsent:  # behind what waits already: a stream must stay in order
            self._unsent += frame
            return True
        try:
            sent = self.tcp.send(frame)
        except _AGAIN:
            return False
        except OSError:
            self._fail()
            return False
        if sent < len(frame):
            self.keep(frame[sent:])
        return True

    def keep(self, rest: bytes | memoryview) -> None:
        """Send the rest of a frame as soon as the socket takes it, before anything else."""
        self._unsent += rest
        self.settle()

    def flush(self) -> bool:
        """Send what waits, and what the conversation has to say; return whether all has gone."""
        self._unsent += self.conversation.outgoing
        self.conversation.outgoing.clear()
        while self._unsent and not self.is_closed:
            try:
                sent = self.tcp.send(self._unsent)
            except _AGAIN:
                break
            except OSError:
                self._fail()
                break
            del self._unsent[:sent]
        self.settle()
        return self.is_closed or not self._unsent

    def is_alive(self) -> bool:
        """Whether there may be more to read, after a read that failed."""
        try:
            return bool(self.tcp.recv(1, socket.MSG_PEEK))  # a peek of nothing is the end of the stream
        except _AGAIN:
            return True
        except OSError:
            return False

    def shut(self, how: int) -> None:
        """Close one half of the connection."""
        try:
            self.tcp.shutdown(how)
        except OSError:
            self._fail()  # it has gone already

    def _fail(self) -> None:
        """Note that nothing can be sent any more; reading finds out why."""
        self._withdraw()
        self.is_closed = True

    def close(self) -> None:
        """Close the socket; twice does no harm."""
        self._withdraw()
        self.is_closed = True
        self.tcp.close()
