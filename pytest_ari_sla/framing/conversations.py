"""One connection of AudioSocket or WebSocket media from its first byte to its last, without any I/O.

A conversation takes bytes as they come, says what is to be sent for that, and gives frames and texts. What a connection
is made of is told once, here; the media process, the echo server, the relay and whoever plays Asterisk join it to
sockets.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING
from uuid import UUID

from pytest_ari_sla.framing import audiosocket, websocket
from pytest_ari_sla.framing.plain_frames import (
    MOST_HEADER_BYTES,
    alike_payload,
    audiosocket_offset,
    plain_audiosocket,
    plain_websocket,
    websocket_offset,
)
from pytest_ari_sla.framing.upgrade import HeadReader, UpgradeReply, UpgradeRequest, refusal
from pytest_ari_sla.framing.websocket import CloseCode, Opcode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_ari_sla.framing.plain_frames import PlainFrames

__all__ = ["AudioSocketClient", "AudioSocketServer", "Conversation", "WebSocketClient", "WebSocketServer"]

LEG_PARAMETER = "leg"
"""The parameter of a WebSocket's URI that tells whose it is."""


class Conversation(ABC):
    """What is known of one connection.

    Attributes
    ----------
    key
        Whose it is, as the peer has told; empty until it has.
    is_open
        Whether media may be sent.
    frames, texts, digits
        What has come: audio, control messages, DTMF digits; to be taken, and cleared, by whoever reads.
    audio_kind
        What AudioSocket has called the last frame of audio.
    outgoing
        What is to be sent for that; likewise.
    ended
        Why nothing more comes; empty as long as it may.
    """

    masks_frames: bool = False
    """Whether frames are sent masked: the last four bytes of a frame's header are the key then."""

    gets_masked_frames: bool = False
    """Whether those that come are."""

    def __init__(self) -> None:
        self.key = ""
        self.is_open = False
        self.frames: list[bytes] = []
        self.texts: list[bytes] = []
        self.digits = ""
        self.audio_kind: int = audiosocket.Kind.SLIN
        self.outgoing = bytearray()
        self.ended = ""

    @property
    @abstractmethod
    def takes_plain(self) -> bool:
        """Whether the next byte begins a message: a read of one whole frame need not go through :meth:`receive`."""

    @property
    @abstractmethod
    def faults(self) -> dict[str, int]:
        """What the peer did wrong, by kind."""

    @abstractmethod
    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""

    @abstractmethod
    def frame_header(self, size: int, kind: int) -> bytes:
        """Return what stands before a frame of audio; ``kind`` as AudioSocket has it."""

    @abstractmethod
    def find_plain(self, data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> PlainFrames:
        """Find the rows that are one whole frame of audio; see :mod:`pytest_ari_sla.framing.plain_frames`."""

    @abstractmethod
    def plain_offset(self, head: bytes, length: int) -> int:
        """Return where the payload begins of so many bytes that are one whole frame of audio; 0 where they are not."""

    def payload_of_alike(self, data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """Return the payloads (n, size) of rows that all are one whole frame of the same kind and size, else None."""
        offset = self.plain_offset(data[0, :MOST_HEADER_BYTES].tobytes(), int(lengths[0]))
        return alike_payload(data, lengths, offset, masked=self.gets_masked_frames) if offset else None

    def frame(self, payload: bytes, kind: int = audiosocket.Kind.SLIN) -> bytes:
        """Return a frame of audio as it is sent."""
        header = self.frame_header(len(payload), kind)
        if self.masks_frames:
            mask = secrets.token_bytes(4)  # a new one for each frame, that cannot be foretold (RFC 6455, 5.3)
            return header[:-4] + mask + websocket.apply_mask(payload, mask)
        return header + payload

    @abstractmethod
    def close(self) -> None:
        """Say that this side is done; what there is to send is in :attr:`outgoing`."""

    def finish(self) -> None:
        """Note that the peer sends nothing more."""
        self.ended = self.ended or "the connection was closed"  # the first reason stays


class _AudioSocket(Conversation):
    def __init__(self) -> None:
        super().__init__()
        self._parser = audiosocket.AudioSocketParser()

    @property
    def takes_plain(self) -> bool:
        return self.is_open and self._parser.is_between_messages and not self.ended

    @property
    def faults(self) -> dict[str, int]:
        return self._parser.faults

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        for message in self._parser.feed(data):
            self._take(message)

    def _take(self, message: audiosocket.AudioSocketMessage) -> None:
        kind, payload = message
        if audiosocket.is_audio(kind):
            self.frames.append(payload)
            self.audio_kind = kind
        elif kind == audiosocket.Kind.HANG_UP:
            self.ended = "the peer hung up"
        elif kind == audiosocket.Kind.DTMF:
            self.digits += payload[:1].decode("ascii", "replace")  # one digit a message, at its end (Asterisk 22.4)
        elif message.uuid is not None and not self.key:  # the first one counts: a connection stays whose it is
            self.key, self.is_open = str(message.uuid), True

    def frame_header(self, size: int, kind: int) -> bytes:
        return bytes((kind, size >> 8, size & 0xFF))

    def find_plain(self, data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> PlainFrames:
        return plain_audiosocket(data, lengths)

    def plain_offset(self, head: bytes, length: int) -> int:
        return audiosocket_offset(head, length)

    def close(self) -> None:
        self.outgoing += audiosocket.encode(audiosocket.Kind.HANG_UP)

    def finish(self) -> None:
        self._parser.finish()
        super().finish()


class AudioSocketServer(_AudioSocket):
    """Where Asterisk has connected: its UUID comes first."""


class AudioSocketClient(_AudioSocket):
    """Where we play Asterisk: says the UUID at once.

    Parameters
    ----------
    key
        The UUID.
    """

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key, self.is_open = key, True
        self.outgoing += audiosocket.encode(audiosocket.Kind.UUID, UUID(key).bytes)


class _WebSocket(Conversation):
    def __init__(self, *, is_server: bool) -> None:
        super().__init__()
        self.masks_frames = not is_server  # a client masks, a server must not (RFC 6455, 5.1)
        self.gets_masked_frames = is_server
        self._head: HeadReader | None = HeadReader()
        self._parser = websocket.WebSocketParser(masked=is_server)

    @property
    def takes_plain(self) -> bool:
        return self.is_open and self._parser.is_between_messages and not self.ended

    @property
    def faults(self) -> dict[str, int]:
        return self._parser.faults

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        if self._head is not None:
            found = self._head.feed(data)
            if found is None:
                self.ended = self._head.fault
                return
            self._head = None
            head, data = found  # the first frames may have come in the same read
            self._take_head(head)
        if not self.ended:
            for message in self._parser.feed(data):
                self._take(message)
        if self._parser.failed and not self.ended:
            self.ended = f"the peer broke the protocol: {self._parser.failed}"
            code = CloseCode.TOO_BIG if self._parser.failed == "giant" else CloseCode.PROTOCOL_ERROR
            self._say(Opcode.CLOSE, websocket.close_payload(code))

    @abstractmethod
    def _take_head(self, head: bytes) -> None:
        """Take the peer's half of the handshake."""

    def _take(self, message: websocket.WebSocketMessage) -> None:
        match message.opcode:
            case Opcode.BINARY:
                self.frames.append(message.payload)
            case Opcode.TEXT:
                self.texts.append(message.payload)
            case Opcode.PING:
                self._say(Opcode.PONG, message.payload)  # with the same payload (RFC 6455, 5.5.3)
            case Opcode.CLOSE if not self.ended:
                self._say(Opcode.CLOSE, message.payload[:2])  # its code, without the reason (RFC 6455, 5.5.1)
                self.ended = f"the peer closed ({message.close_code})"

    def say(self, text: str) -> None:
        """Say a control message."""
        self._say(Opcode.TEXT, text.encode())

    def _say(self, opcode: Opcode, payload: bytes) -> None:
        self.outgoing += websocket.encode(opcode, payload, masked=self.masks_frames)

    def frame_header(self, size: int, kind: int) -> bytes:
        del kind
        # Room for the key, which each frame has of its own.
        return websocket.frame_header(Opcode.BINARY, size, bytes(4) if self.masks_frames else None)

    def find_plain(self, data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> PlainFrames:
        return plain_websocket(data, lengths, masked=self.gets_masked_frames)

    def plain_offset(self, head: bytes, length: int) -> int:
        return websocket_offset(head, length, masked=self.gets_masked_frames)

    def close(self) -> None:
        if self.is_open:
            self._say(Opcode.CLOSE, websocket.close_payload(CloseCode.NORMAL))

    def finish(self) -> None:
        self._parser.finish()
        super().finish()


class WebSocketServer(_WebSocket):
    """Where Asterisk has connected: its URI tells whose the connection is."""

    def __init__(self) -> None:
        super().__init__(is_server=True)

    def _take_head(self, head: bytes) -> None:
        request = UpgradeRequest.parse(head)
        if isinstance(request, str):
            self.outgoing += refusal(400, "Bad Request")
            self.ended = request
            return
        self.key = request.parameters.get(LEG_PARAMETER, "")
        self.outgoing += UpgradeReply.to(request).render()
        self.is_open = True


class WebSocketClient(_WebSocket):
    """Where we have connected to Asterisk's ``/media/ID``, or play Asterisk.

    Parameters
    ----------
    target, host
        Path and query, and the server as ``host:port``.
    """

    def __init__(self, target: str, host: str) -> None:
        super().__init__(is_server=False)
        self.key = target
        self._request = UpgradeRequest(target, host=host)
        self.outgoing += self._request.render()

    def _take_head(self, head: bytes) -> None:
        self.ended = UpgradeReply.parse(head).fault(self._request)
        self.is_open = not self.ended
