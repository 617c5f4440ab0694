"""How a media process is told what to do: requests and replies as lines of JSON over a stream socket.

The same on this host (a socket pair) and between hosts (TCP). Whoever loses the connection ends what was asked for over
it: a media process never outlives the one that started it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

if TYPE_CHECKING:
    import socket

__all__ = [
    "PROTOCOL",
    "AnyRequest",
    "Connect",
    "ControlLink",
    "Release",
    "Reply",
    "Request",
    "Reserve",
    "TakeSnapshot",
    "decode_reply",
    "encode",
]

PROTOCOL = 1
"""Version of this language; a relay greets with it, since it may be of another age than its client."""

MOST_LINE_BYTES = 1 << 16
"""Longest request; a longer one comes from somebody who does not speak this language."""

MOST_UNSENT_BYTES = 1 << 24
"""A client with so much unread does not read at all: it would fill the memory of the process that serves others."""


class Request(msgspec.Struct, frozen=True, tag_field="request", kw_only=True):
    """What all requests have.

    Attributes
    ----------
    number
        Chosen by the sender; the reply carries it.
    """

    number: int = 0


class Reserve(Request, frozen=True, tag="reserve"):
    """Lend a place to a call; the reply's result is ``[host, port]``, where Asterisk shall send its RTP."""

    call: str


class Connect(Request, frozen=True, tag="connect"):
    """Say from which address Asterisk's packets of a call come."""

    call: str
    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Release(Request, frozen=True, tag="release"):
    """End a call and take its place back."""

    call: str


class TakeSnapshot(Request, frozen=True, tag="snapshot"):
    """Ask for all figures; the result is a :class:`~pytest_ari_sla.metrics.snapshot.Snapshot` in its plain form."""


AnyRequest = Reserve | Connect | Release | TakeSnapshot


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a request; one with number 0 greets, as soon as the process is ready.

    Attributes
    ----------
    number
        The request's.
    result
        What was asked for, as plain built-ins.
    error
        Why it was refused; empty when it was not.
    leased, resting
        With an error that says that no port is free: the counts of :class:`~pytest_ari_sla.errors.PortsExhausted`.
    """

    number: int
    result: Any = None
    error: str = ""
    leased: int | None = None
    resting: int | None = None


_request_decoder: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
_reply_decoder = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """Return a message as a line."""
    return msgspec.json.encode(message) + b"\n"


def decode_reply(line: bytes) -> Reply:
    """Return the reply of a line.

    Raises
    ------
    msgspec.DecodeError
        When it is none.
    """
    return _reply_decoder.decode(line)


class ControlLink:
    """The serving end of a control connection; never blocks."""

    def __init__(self, stream: socket.socket) -> None:
        # A client that does not read its replies must not hold up the packets of all others.
        stream.setblocking(False)
        self.stream = stream
        self._received = bytearray()
        self._unsent = bytearray()

    def read(self) -> list[AnyRequest]:
        """Return the requests that have arrived whole.

        Raises
        ------
        ConnectionError
            When the other side is gone, or sends what is no request.
        """
        try:
            data = self.stream.recv(MOST_LINE_BYTES)
        except BlockingIOError:
            return []
        if not data:
            message = "the control connection was closed"
            raise ConnectionResetError(message)
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        if len(rest) > MOST_LINE_BYTES:
            message = f"a request of more than {MOST_LINE_BYTES} bytes"
            raise ConnectionAbortedError(message)
        try:
            return [_request_decoder.decode(line) for line in lines]
        except msgspec.DecodeError as error:
            message = f"not a request: {error}"
            # A stranger is cut off; the requests in front of its nonsense are not served either.
            raise ConnectionAbortedError(message) from error

    def write(self, reply: Reply) -> None:
        """Send a reply, as far as it goes at once; :meth:`flush` sends the rest.

        Raises
        ------
        ConnectionError
            When the other side is gone, or asks on and on without reading what it is told.
        """
        if len(self._unsent) > MOST_UNSENT_BYTES:
            message = f"{len(self._unsent):,} bytes of replies were not read"
            raise ConnectionAbortedError(message)
        self._unsent += encode(reply)
        self.flush()

    def flush(self) -> bool:
        """Send what is left of earlier replies; return whether all is sent.

        Raises
        ------
        ConnectionError
            When the other side is gone.
        """
        while self._unsent:
            try:
                sent = self.stream.send(self._unsent)
            except BlockingIOError:
                return False
            del self._unsent[:sent]
        return True
