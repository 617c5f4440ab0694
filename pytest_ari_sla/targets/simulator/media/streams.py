"""Media over TCP in the simulated PBX: connections that were made elsewhere, and what comes and goes by them."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from pytest_ari_sla.framing import audiosocket, websocket
from pytest_ari_sla.framing.audiosocket import AudioSocketParser
from pytest_ari_sla.framing.websocket import CloseCode, Opcode, WebSocketParser, close_payload
from pytest_ari_sla.targets.simulator.media.websocket_driver import WebSocketDriver
from pytest_ari_sla.targets.simulator.pbx.audio.frames import sample_rate_hz

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_ari_sla.targets.simulator.media.websocket_driver import DriverOptions

__all__ = ["AudioSocketStream", "FrameLeg", "LocalHalf", "StreamLeg", "WebSocketStream"]

PAYLOAD_WAIT_NS = 5_000_000
"""After a header AudioSocket's payload must go on within so long, else Asterisk drops the call."""

_READ_BYTES = 1 << 18
MOST_UNSENT_BYTES = 1 << 16
"""What a peer does not read is lost to it, beyond this and what the kernel takes: Asterisk writes without waiting."""
# Asterisk's buffer for a frame, its header included.
_MOST_FRAME_BYTES = 65_535


class FrameLeg(Protocol):
    """Where frames come from and go to that are not RTP.

    Attributes
    ----------
    format
        What is heard and said there: ``slin``, ``ulaw`` …
    ended
        Whether the other side has ended the call: by closing, or by what Asterisk ends a call for.
    wishes
        What the peer wants of the channel, not taken yet: ``answer``, ``hang_up``.
    """

    format: str
    ended: bool
    wishes: list[str]

    def read(self, now_ns: int) -> list[bytes]:
        """Take what has come, and return the frames of audio that the core gets of it at once."""

    def write(self, payload: bytes) -> None:
        """Send a frame of audio."""

    def digit(self, digit: str) -> None:
        """Send a digit."""

    def tick(self) -> bytes | None:
        """Return the frame that the core gets now, every 20 ms."""

    def give_up_at_ns(self) -> int | None:
        """When the call ends for want of what has begun; None where nothing has."""

    def close(self) -> None:
        """End it."""


class LocalHalf:
    """A half of a Local channel: what it is to say, the other half hears.

    Parameters
    ----------
    hear
        Takes a frame as what has come in at the other half.
    """

    def __init__(self, payload_format: str, hear: Callable[[bytes], None]) -> None:
        self.format = payload_format
        self.ended = False
        self.wishes: list[str] = []
        self._hear = hear

    def read(self, now_ns: int) -> list[bytes]:
        """Nothing comes but by the other half."""
        del now_ns
        return []

    def write(self, payload: bytes) -> None:
        """Let the other half hear a frame."""
        self._hear(payload)

    def digit(self, digit: str) -> None:
        """Digits are not carried."""

    def tick(self) -> bytes | None:
        """Nothing waits here."""
        return None

    def give_up_at_ns(self) -> int | None:
        """Nothing is awaited."""
        return None

    def close(self) -> None:
        """There is nothing to close."""


class StreamLeg(ABC):
    """One connection.

    Parameters
    ----------
    connection
        A connected socket; closed by :meth:`close`.
    payload_format
        What is heard and said there: ``slin``, ``ulaw`` …

    Attributes
    ----------
    ended
        Whether the other side has ended the call: by closing, or by what Asterisk ends a call for.
    wishes
        What the peer wants of the channel, not taken yet: ``answer``, ``hang_up``.
    """

    def __init__(self, connection: socket.socket, payload_format: str) -> None:
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # a test's socketpair has no such option
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.format = payload_format
        self.ended = False
        self.wishes: list[str] = []
        self._unsent = bytearray()

    def read(self, now_ns: int) -> list[bytes]:
        """Take what has come, and return the frames of audio that the core gets of it at once."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""  # a reset ends the call as a close does
        if not data:
            self.ended = True
            return []
        return self.feed(data, now_ns)

    @abstractmethod
    def feed(self, data: bytes, now_ns: int) -> list[bytes]:
        """Take bytes, and return the frames of audio that the core gets at once."""

    @abstractmethod
    def write(self, payload: bytes) -> None:
        """Send a frame of audio."""

    @abstractmethod
    def digit(self, digit: str) -> None:
        """Send a digit."""

    def tick(self) -> bytes | None:
        """Return the frame that the core gets now, every 20 ms."""
        return None

    def give_up_at_ns(self) -> int | None:
        """When the call ends for want of what has begun; None where nothing has."""
        return None

    def close(self) -> None:
        """End the connection."""
        self._flush()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _send(self, message: bytes) -> None:
        """Send a message, or lose it whole: what comes after it must still be understood."""
        if len(self._unsent) <= MOST_UNSENT_BYTES:
            self._unsent += message
        self._flush()

    def _flush(self) -> None:
        """Send what the kernel takes; the rest waits for the next time."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
            self.ended = True


class AudioSocketStream(StreamLeg):
    """An AudioSocket connection: what is read is a frame at once, and nothing paces it."""

    def __init__(self, connection: socket.socket, payload_format: str, uuid: bytes) -> None:
        super().__init__(connection, payload_format)
        # A format that is not linear travels under the type of 8 kHz, as Asterisk's does.
        rate_hz = sample_rate_hz(payload_format) if payload_format.startswith("slin") else 8000
        self._kind = audiosocket.audio_kind(rate_hz)
        self._parser = AudioSocketParser()
        self._begun_ns = 0
        self._send(audiosocket.encode(audiosocket.Kind.UUID, uuid))

    def feed(self, data: bytes, now_ns: int) -> list[bytes]:
        """Take bytes, and return the frames of audio that the core gets at once."""
        self._begun_ns = now_ns
        frames = []
        for kind, payload in self._parser.feed(data):
            # res_audiosocket.c has no frame then, which ends the channel: be it a hang-up, another type, or length 0.
            if not audiosocket.is_audio(kind) or not payload:
                self.ended = True
                break
            if kind == self._kind:
                frames.append(payload)
        return frames

    def give_up_at_ns(self) -> int | None:
        """5 ms after the last byte, where a header has come and its payload has not."""
        return self._begun_ns + PAYLOAD_WAIT_NS if self._parser.awaits_payload else None

    def write(self, payload: bytes) -> None:
        """Send a frame of audio."""
        self._send(audiosocket.encode(self._kind, payload))

    def digit(self, digit: str) -> None:
        """Send a digit."""
        self._send(audiosocket.encode(audiosocket.Kind.DTMF, digit.encode()))


class WebSocketStream(StreamLeg):
    """A connection of chan_websocket, after its handshake.

    Parameters
    ----------
    is_client
        Whether Asterisk made the connection.
    options
        What the channel was made with.
    """

    def __init__(self, connection: socket.socket, *, is_client: bool, options: DriverOptions) -> None:
        super().__init__(connection, options.format)
        self._masks = is_client
        # RFC 6455, 5.2: a header with a 16-bit length has 4 bytes, and 4 more for the mask that only clients send.
        header_bytes = 4 if is_client else 8
        self._parser = WebSocketParser(masked=not is_client, most_bytes=_MOST_FRAME_BYTES - header_bytes)
        self._driver = WebSocketDriver(options)
        self._close_code = CloseCode.NORMAL
        self._driver.begin()
        self._pass_on()

    def feed(self, data: bytes, now_ns: int) -> list[bytes]:
        """Take bytes; the core gets their media by :meth:`tick`."""
        del now_ns
        for opcode, payload in self._parser.feed(data):
            match opcode:
                case Opcode.BINARY:
                    self._driver.take_media(payload)
                case Opcode.TEXT:
                    self._driver.take_text(payload)
                case Opcode.PING:
                    self._send_frame(Opcode.PONG, payload)
                case Opcode.CLOSE:
                    self.ended = True
        if self._parser.failed:
            self._close_code = CloseCode.TOO_BIG
            self.ended = True
        self._pass_on()
        return []

    def tick(self) -> bytes | None:
        """Return the frame that the core gets now, every 20 ms."""
        frame = self._driver.tick()
        self._pass_on()
        self._flush()
        return frame

    def write(self, payload: bytes) -> None:
        """Send a frame of audio."""
        if self._driver.hears:
            self._send_frame(Opcode.BINARY, payload)

    def digit(self, digit: str) -> None:
        """Send a digit."""
        self._driver.digit(digit)
        self._pass_on()

    def close(self) -> None:
        """Say so, and end the connection."""
        self._send_frame(Opcode.CLOSE, close_payload(self._close_code))
        super().close()

    def _pass_on(self) -> None:
        """Send what the driver has to tell, and take over what the peer wants."""
        for text in self._driver.told:
            self._send_frame(Opcode.TEXT, text.encode())
        self._driver.told.clear()
        self.wishes += self._driver.wishes
        self._driver.wishes.clear()

    def _send_frame(self, opcode: Opcode, payload: bytes) -> None:
        self._send(websocket.encode(opcode, payload, masked=self._masks))
