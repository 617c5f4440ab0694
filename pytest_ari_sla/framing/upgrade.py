"""The HTTP exchange that a WebSocket begins with (RFC 6455, 4), without any I/O; both roles."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MEDIA_PROTOCOL", "HeadReader", "UpgradeReply", "UpgradeRequest", "accept_key", "refusal"]

MEDIA_PROTOCOL = "media"
"""The sub-protocol of chan_websocket."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_MOST_HEAD_BYTES = 8192
_END = b"\r\n\r\n"


def accept_key(key: str) -> str:
    """Return what a server answers to a client's key (RFC 6455, 4.2.2)."""
    # Not for security: an OpenSSL in FIPS mode would refuse SHA-1 otherwise.
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


class HeadReader:
    """Collects the head of an HTTP message; what follows it belongs to the WebSocket.

    Attributes
    ----------
    fault
        Why there is none: it is too long. Empty as long as all is well.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self.fault = ""

    def feed(self, data: bytes | bytearray | memoryview) -> tuple[bytes, bytes] | None:
        """Take bytes; return the head and what follows when its end has come."""
        self._data += data
        at = self._data.find(_END)
        if at < 0 or at > _MOST_HEAD_BYTES:
            if len(self._data) > _MOST_HEAD_BYTES:
                self.fault = f"an HTTP head of more than {_MOST_HEAD_BYTES} bytes"
            return None
        return bytes(self._data[:at]), bytes(self._data[at + len(_END) :])


def _lines(head: bytes) -> tuple[str, dict[str, str]]:
    """Return the first line of a head, and its fields by their names in lower case."""
    # knows every byte: nonsense is refused in words, and does not raise
    first, *rest = head.decode("latin-1").split("\r\n")
    fields: dict[str, str] = {}
    for line in rest:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()  # names of fields have no case (RFC 9110, 5.1)
    return first, fields


@dataclass(frozen=True)
class UpgradeRequest:
    """What a client asks for.

    Attributes
    ----------
    target
        Path and query.
    key
        Its challenge.
    host
        The server, as ``host:port``.
    protocols
        Sub-protocols that it offers.
    """

    target: str
    key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(16)).decode())
    host: str = ""
    protocols: tuple[str, ...] = (MEDIA_PROTOCOL,)

    @classmethod
    def parse(cls, head: bytes) -> UpgradeRequest | str:
        """Return the request of a head; a sentence where it is none for a WebSocket."""
        first, fields = _lines(head)
        words = first.split(" ")
        if len(words) != 3 or words[0] != "GET":
            return "it is not a GET request"
        if "websocket" not in fields.get("upgrade", "").lower() or not fields.get("sec-websocket-key"):
            return "it does not ask for a WebSocket"
        protocols = tuple(filter(None, map(str.strip, fields.get("sec-websocket-protocol", "").split(","))))
        return cls(words[1], fields["sec-websocket-key"], fields.get("host", ""), protocols)

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query's parameters; what ``v(…)`` of the dial string holds."""
        return dict(parse_qsl(urlsplit(self.target).query))

    def render(self) -> bytes:
        """Return the request as it is sent."""
        lines = [
            f"GET {self.target} HTTP/1.1",
            f"Host: {self.host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self.key}",
            "Sec-WebSocket-Version: 13",
        ]
        if self.protocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(self.protocols)}")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class UpgradeReply:
    """What a server answers.

    Attributes
    ----------
    status
        101 where it agrees.
    accept
        Its answer to the challenge.
    protocol
        The sub-protocol that it has chosen; empty: none.
    reason
        What it says of its status.
    """

    status: int
    accept: str = ""
    protocol: str = ""
    reason: str = ""

    @classmethod
    def to(cls, request: UpgradeRequest) -> UpgradeReply:
        """Return the reply that agrees to a request."""
        chosen = MEDIA_PROTOCOL if MEDIA_PROTOCOL in request.protocols else ""
        return cls(101, accept_key(request.key), chosen, "Switching Protocols")

    @classmethod
    def parse(cls, head: bytes) -> UpgradeReply:
        """Return the reply of a head; one with status 0 where it is no HTTP."""
        first, fields = _lines(head)
        words = first.split(" ", 2)
        is_http = len(words) >= 2 and words[0].startswith("HTTP/1.") and words[1].isdecimal()
        return cls(
            int(words[1]) if is_http else 0,
            fields.get("sec-websocket-accept", ""),
            fields.get("sec-websocket-protocol", ""),
            words[2] if is_http and len(words) > 2 else "",
        )

    def fault(self, request: UpgradeRequest) -> str:
        """Return why this does not agree to a request; empty where it does."""
        if self.status != 101:
            return f"the server answered {self.status} {self.reason}".rstrip() if self.status else "it speaks no HTTP"
        return "" if self.accept == accept_key(request.key) else "the server's Sec-WebSocket-Accept is wrong"

    def render(self) -> bytes:
        """Return the reply as it is sent."""
        lines = [
            f"HTTP/1.1 {self.status} {self.reason}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {self.accept}",
        ]
        if self.protocol:
            lines.append(f"Sec-WebSocket-Protocol: {self.protocol}")
        return "\r\n".join([*lines, "", ""]).encode()


def refusal(status: int, reason: str) -> bytes:
    """Return a reply that refuses, and ends the connection."""
    return f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
