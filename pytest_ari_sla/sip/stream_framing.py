"""Where SIP messages end in a TCP stream (RFC 3261, 18.3)."""

from __future__ import annotations

import re

__all__ = ["FramingError", "StreamFramer"]

# Whoever sends no end must not fill the memory.
MOST_HEADER_BYTES = 64 * 1024
MOST_BODY_BYTES = 256 * 1024

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,7})[ \t]*\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


class FramingError(Exception):
    """Nobody can tell any more where the next message begins: the connection is of no use."""


class StreamFramer:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take in more of the stream; return the messages that are complete.

        Raises
        ------
        FramingError
            A message has no length, or is longer than any that we could want.
        """
        self._data += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        del self._data[: len(self._data) - len(self._data.lstrip(b"\r\n"))]  # keep-alives (RFC 5626, 4.4.1)
        end = self._data.find(_END)
        if end < 0:
            if len(self._data) > MOST_HEADER_BYTES:
                raise FramingError(f"no end of headers in {len(self._data)} bytes")
            return None
        length = _LENGTH.search(self._data, 0, end + len(_END))
        if length is None:  # it is mandatory in a stream: 20.14
            raise FramingError("a message without Content-Length")
        if int(length[1]) > MOST_BODY_BYTES:
            raise FramingError(f"a body of {int(length[1])} bytes")
        whole = end + len(_END) + int(length[1])
        if len(self._data) < whole:
            return None
        message = bytes(self._data[:whole])
        del self._data[:whole]
        return message
