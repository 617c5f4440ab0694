"""AudioSocket: messages of a type, a length and a payload over TCP, as Asterisk's ``res_audiosocket`` speaks them.

Nothing here raises on what a peer sends: any bytes are messages, and those that no peer should send are counted.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

__all__ = [
    "AUDIO_RATES_HZ",
    "HEADER_BYTES",
    "MOST_PAYLOAD_BYTES",
    "AudioSocketMessage",
    "AudioSocketParser",
    "Kind",
    "audio_kind",
    "encode",
    "is_audio",
]

HEADER_BYTES = 3
MOST_PAYLOAD_BYTES = 0xFFFF
GIANT_BYTES = 8192
"""More than 20 ms of slin192 (7,680 bytes): no frame of Asterisk's core is as long."""


class Kind(IntEnum):
    """Types of messages."""

    HANG_UP = 0x00
    UUID = 0x01
    DTMF = 0x03  # since 22.4
    SLIN = 0x10
    SLIN12 = 0x11
    SLIN16 = 0x12
    SLIN24 = 0x13
    SLIN32 = 0x14
    SLIN44 = 0x15
    SLIN48 = 0x16
    SLIN96 = 0x17
    SLIN192 = 0x18
    ERROR = 0xFF  # reserved: nothing in Asterisk 22.10 sends it


AUDIO_RATES_HZ = {
    Kind.SLIN: 8000,
    Kind.SLIN12: 12000,
    Kind.SLIN16: 16000,
    Kind.SLIN24: 24000,
    Kind.SLIN32: 32000,
    Kind.SLIN44: 44100,
    Kind.SLIN48: 48000,
    Kind.SLIN96: 96000,
    Kind.SLIN192: 192000,
}
"""Types that carry audio (16 bit, mono, little-endian), with their sample rates; all but the first since 22.7."""

_KNOWN = frozenset(Kind)
_FIRST_AUDIO, _LAST_AUDIO = int(Kind.SLIN), int(Kind.SLIN192)


class AudioSocketMessage(NamedTuple):
    """One message.

    Attributes
    ----------
    kind
        Its type; a :class:`Kind` where that is known.
    payload
        At most 65,535 bytes.
    """

    kind: int
    payload: bytes

    @property
    def uuid(self) -> UUID | None:
        """The call's UUID, where this is such a message."""
        return UUID(bytes=self.payload) if self.kind == Kind.UUID and len(self.payload) == 16 else None


def audio_kind(rate_hz: int) -> Kind:
    """Return the type for audio of a sample rate.

    Raises
    ------
    ValueError
        There is none.
    """
    for kind, known_hz in AUDIO_RATES_HZ.items():
        if known_hz == rate_hz:
            return kind
    message = f"AudioSocket has no type for {rate_hz} Hz; it has {', '.join(map(str, AUDIO_RATES_HZ.values()))}"
    raise ValueError(message)


def is_audio(kind: int) -> bool:
    """Whether messages of a type carry audio."""
    return _FIRST_AUDIO <= kind <= _LAST_AUDIO


def encode(kind: int, payload: bytes = b"") -> bytes:
    """Return a message, header and payload in one piece, as Asterisk wants it written.

    Raises
    ------
    ValueError
        It is too long.
    """
    if len(payload) > MOST_PAYLOAD_BYTES:
        message = f"an AudioSocket message holds at most {MOST_PAYLOAD_BYTES} bytes, not {len(payload)}"
        raise ValueError(message)
    return bytes((kind, *len(payload).to_bytes(2, "big"))) + payload


class AudioSocketParser:
    """Takes bytes as they come, in any pieces, and gives whole messages.

    Attributes
    ----------
    faults
        What no Asterisk sends, by kind: ``zero_length`` audio, an ``unknown_type``, a ``giant`` message, and a
        ``bad_uuid``; ``truncated`` for a message whose end never came.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self.faults: dict[str, int] = {}

    @property
    def is_between_messages(self) -> bool:
        """Whether no message has begun without its end."""
        return not self._waiting

    @property
    def awaits_payload(self) -> bool:
        """Whether a header has come whose payload has not, or not all of it."""
        return len(self._waiting) >= HEADER_BYTES

    def feed(self, data: bytes | bytearray | memoryview) -> list[AudioSocketMessage]:
        """Take bytes, and return the messages that they complete."""
        waiting = self._waiting
        waiting += data
        messages: list[AudioSocketMessage] = []
        at, size = 0, len(waiting)
        while size - at >= HEADER_BYTES:
            end = at + HEADER_BYTES + (waiting[at + 1] << 8 | waiting[at + 2])
            if end > size:
                break
            message = AudioSocketMessage(waiting[at], bytes(waiting[at + HEADER_BYTES : end]))
            self._judge(message)
            messages.append(message)
            at = end
        del waiting[:at]
        return messages

    def finish(self) -> None:
        """Note that nothing more comes."""
        if self._waiting:
            self._count("truncated")
            self._waiting.clear()

    def _judge(self, message: AudioSocketMessage) -> None:
        kind, payload = message
        if kind not in _KNOWN:
            self._count("unknown_type")
        elif not payload and is_audio(kind):  # Asterisk itself ends a call for it ("invalid length")
            self._count("zero_length")
        elif kind == Kind.UUID and len(payload) != 16:
            self._count("bad_uuid")
        if len(payload) > GIANT_BYTES:
            self._count("giant")

    def _count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1
