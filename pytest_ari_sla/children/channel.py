"""The channel between two processes of ours on one host: typed messages, each whole, some with a file attached.

A socket pair that keeps messages apart (SOCK_SEQPACKET). The kernel closes the end of a process that ends, whatever
the way: the other side then reads the end of the channel.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

__all__ = ["Channel", "Received"]

T = TypeVar("T")

MOST_BYTES = 1 << 16
"""Longest message; a longer one would not be delivered whole."""


class Received(NamedTuple, Generic[T]):
    """A message, and the descriptor that came with it; None where there was none."""

    message: T
    handle: int | None


class Channel(Generic[T]):
    """One end.

    Parameters
    ----------
    stream
        A connected socket that keeps messages apart.
    expected
        What the other side sends: a (tagged) msgspec type.
    """

    def __init__(self, stream: socket.socket, expected: Any = None) -> None:
        self._stream = stream
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(expected)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with a message, or at the channel's end."""
        return self._stream.fileno()

    def send(self, message: msgspec.Struct, handle: int | None = None) -> None:
        """Send a message, with a descriptor if it is about one.

        Raises
        ------
        OSError
            The other side is gone.
        """
        socket.send_fds(self._stream, [msgspec.msgpack.encode(message)], [] if handle is None else [handle])

    def receive(self) -> Received[T] | None:
        """Return the next message; None at the channel's end.

        Raises
        ------
        BlockingIOError
            There is none yet, and the socket does not wait.
        OSError
            This process may open no more files, so that the descriptor of a message is lost.
        """
        data, handles, flags, _ = socket.recv_fds(self._stream, MOST_BYTES, 1)
        if flags & socket.MSG_CTRUNC and not handles:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # without it the order would be about nothing
        if not data:  # we send no empty message: that is the end (recv(2))
            return None
        return Received(self._decoder.decode(data), handles[0] if handles else None)

    def is_over(self) -> bool:
        """Whether the other side has closed it, and all that it said has been received; does not wait."""
        # MSG_PEEK: SOCK_SEQPACKET throws away what of a message does not fit into one recv.
        return bool(select.select([self._stream], [], [], 0)[0]) and not self._stream.recv(1, socket.MSG_PEEK)

    def close(self) -> None:
        """Close this end; twice does no harm."""
        self._stream.close()
