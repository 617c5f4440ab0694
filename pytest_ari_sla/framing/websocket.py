"""WebSocket frames (RFC 6455), as much of them as media takes: no extensions, both roles, any pieces.

A framer of our own, since media is read from a thousand sockets in one loop, with the kernel's stamps. Measured for a
masked frame of 160 bytes: wsproto takes 30 µs, the sans-I/O protocol of websockets 12 µs; picows and aiohttp are bound
to an event loop, which does not tell when a frame came. Most frames come whole and one at a time: those are taken apart
by :mod:`pytest_ari_sla.framing.plain_frames`, many at once. This is for all others.
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from typing import NamedTuple

__all__ = [
    "MOST_MESSAGE_BYTES",
    "CloseCode",
    "Opcode",
    "WebSocketMessage",
    "WebSocketParser",
    "apply_mask",
    "close_payload",
    "encode",
    "frame_header",
]

MOST_MESSAGE_BYTES = 65_536
"""Asterisk itself closes at more than 65,500 bytes."""

_MOST_CONTROL_BYTES = 125  # RFC 6455, 5.5
_MASK_BYTES = 4


class Opcode(IntEnum):
    """RFC 6455, 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """RFC 6455, 7.4.1: those that we send."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    TOO_BIG = 1009


_OPCODES = frozenset(Opcode)


class WebSocketMessage(NamedTuple):
    """A whole message, or a control frame: those come between the parts of a message."""

    opcode: Opcode
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a CLOSE; 1005 where it has none (RFC 6455, 7.1.5)."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005


class _Frame(NamedTuple):
    is_last: bool
    opcode: Opcode
    payload: bytes


def apply_mask(payload: bytes | bytearray | memoryview, mask: bytes) -> bytes:
    """Mask a payload, or undo it (RFC 6455, 5.3)."""
    size = len(payload)
    # One XOR of two large numbers costs less than one for each byte.
    pattern = (mask * (size // _MASK_BYTES + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")


def frame_header(opcode: int, size: int, mask: bytes | None = None, *, is_last: bool = True) -> bytes:
    """Return what stands before a payload of so many bytes."""
    first = (0x80 if is_last else 0) | opcode
    flag = 0 if mask is None else 0x80
    # 7 bits, or 126 and 16 bits, or 127 and 64 bits (RFC 6455, 5.2).
    if size < 126:
        header = bytes((first, flag | size))
    elif size < 1 << 16:
        header = bytes((first, flag | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, flag | 127)) + size.to_bytes(8, "big")
    return header + (mask or b"")


def encode(opcode: int, payload: bytes, *, masked: bool, is_last: bool = True) -> bytes:
    """Return a frame; masked with a fresh key where a client sends it."""
    mask = secrets.token_bytes(_MASK_BYTES) if masked else None
    body = payload if mask is None else apply_mask(payload, mask)
    return frame_header(opcode, len(payload), mask, is_last=is_last) + body


def close_payload(code: int) -> bytes:
    """Return the payload of a CLOSE, without a reason in words."""
    return code.to_bytes(2, "big")


class WebSocketParser:
    """Takes bytes as they come, in any pieces, and gives whole messages.

    After a fault that RFC 6455 wants a connection failed for, nothing more is understood, and :attr:`failed` says why.

    Parameters
    ----------
    masked
        Whether the peer is a client, whose frames must be masked; those of a server must not.
    most_bytes
        Longest message.

    Attributes
    ----------
    faults
        What a peer did wrong, by kind: ``reserved_bits``, ``unknown_opcode``, ``masking``, ``bad_control``,
        ``bad_continuation``, ``giant``; ``truncated`` for a frame or message whose end never came.
    failed
        The fault after which nothing was understood any more; empty as long as all is well.
    """

    def __init__(self, *, masked: bool, most_bytes: int = MOST_MESSAGE_BYTES) -> None:
        self._masked = masked
        self._most_bytes = most_bytes
        self._waiting = bytearray()
        self._parts: list[bytes] = []
        self._opcode: Opcode | None = None
        self.faults: dict[str, int] = {}
        self.failed = ""

    @property
    def is_between_messages(self) -> bool:
        """Whether no frame and no message has begun without its end."""
        return not (self._waiting or self.failed) and self._opcode is None

    def feed(self, data: bytes | bytearray | memoryview) -> list[WebSocketMessage]:
        """Take bytes, and return the messages and control frames that they complete."""
        messages: list[WebSocketMessage] = []
        self._waiting += data
        at = 0
        while (found := self._frame(at)) is not None:
            frame, at = found
            message = self._join(frame)
            if message is not None:
                messages.append(message)
        del self._waiting[:at]  # once for all frames: each deletion moves what is left
        if self.failed:
            self._waiting.clear()
        return messages

    def finish(self) -> None:
        """Note that nothing more comes."""
        if not self.failed and not self.is_between_messages:
            self._count("truncated")
        self._waiting.clear()
        self._parts.clear()
        self._opcode = None

    def _frame(self, at: int) -> tuple[_Frame, int] | None:
        """Return the frame that begins at a place, and where it ends; None where it is not whole, or not sound."""
        waiting = self._waiting
        left = len(waiting) - at
        if self.failed or left < 2:
            return None
        first, second = waiting[at], waiting[at + 1]
        opcode, size = first & 0x0F, second & 0x7F
        fault = self._fault_of(first, second)
        if fault:
            self._fail(fault)
            return None
        body = at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if left < 2 + width:
                return None
            size = int.from_bytes(waiting[body : body + width], "big")
            body += width
        if size > self._most_bytes:  # before any payload is kept: the header may announce 2**63 bytes
            self._fail("giant")
            return None
        mask_bytes = _MASK_BYTES if self._masked else 0
        end = body + mask_bytes + size
        if end > len(waiting):
            return None
        payload = bytes(waiting[body + mask_bytes : end])
        if mask_bytes:
            payload = apply_mask(payload, bytes(waiting[body : body + mask_bytes]))
        return _Frame(bool(first & 0x80), Opcode(opcode), payload), end

    def _fault_of(self, first: int, second: int) -> str:
        """Return what is wrong with the first two bytes of a frame; empty where nothing is."""
        opcode = first & 0x0F
        if first & 0x70:  # no extension was agreed on that could use them (RFC 6455, 5.2)
            return "reserved_bits"
        if opcode not in _OPCODES:
            return "unknown_opcode"
        if bool(second & 0x80) != self._masked:  # RFC 6455, 5.1
            return "masking"
        # not in parts, and short (RFC 6455, 5.5)
        if opcode >= Opcode.CLOSE and (not first & 0x80 or second & 0x7F > _MOST_CONTROL_BYTES):
            return "bad_control"
        return ""

    def _join(self, frame: _Frame) -> WebSocketMessage | None:
        """Return the message that a frame completes."""
        if frame.opcode >= Opcode.CLOSE:  # may come between the parts of a message (RFC 6455, 5.4)
            return WebSocketMessage(frame.opcode, frame.payload)
        # A message has one beginning, and no other one begins before its end (RFC 6455, 5.4).
        if (frame.opcode == Opcode.CONTINUATION) != (self._opcode is not None):
            self._fail("bad_continuation")
            return None
        opcode = self._opcode or frame.opcode
        if not self._parts and frame.is_last:
            self._opcode = None
            return WebSocketMessage(opcode, frame.payload)
        self._opcode = opcode
        self._parts.append(frame.payload)
        if sum(map(len, self._parts)) > self._most_bytes:
            self._fail("giant")
            return None
        if not frame.is_last:
            return None
        payload = b"".join(self._parts)
        self._parts.clear()
        self._opcode = None
        return WebSocketMessage(opcode, payload)

    def _fail(self, fault: str) -> None:
        self._count(fault)
        self.failed = fault

    def _count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1
