"""The bot's media, by any way that ExternalMedia knows: a stream for each call, and one clock that lets all send.

Conversations hear and say PCMU. RTP and WebSockets carry that as it is, AudioSocket knows linear samples only.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_ari_sla.bot.conversation import FRAME_NS
from pytest_ari_sla.codecs.g711 import linear_to_mulaw, mulaw_to_linear
from pytest_ari_sla.framing.audiosocket import AudioSocketParser, Kind, encode
from pytest_ari_sla.framing.upgrade import MEDIA_PROTOCOL
from pytest_ari_sla.rtp.header import HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp


__all__ = ["TRANSPORTS", "BotMedia", "BotStream", "Talker"]

TRANSPORTS = ("rtp", "audiosocket", "websocket")

_TICKS = 160  # 20 ms at the 8 kHz of PCMU
_PAYLOAD_TYPE = 0  # RFC 3551, 6
_READ_BYTES = 65_536
_CONNECTION_ID = "MEDIA_WEBSOCKET_CONNECTION_ID"


class Talker(Protocol):
    """Who hears and speaks on one call; frames are 20 ms of PCMU, times ns since the Unix epoch."""

    def hear(self, payload: bytes, now_ns: int) -> bytes | None:
        """Take a frame of the caller's that has come now; return one that is to be sent at once."""

    def press(self, digit: str, now_ns: int) -> None:
        """Take a key that the caller has pressed by now."""

    def frame(self, now_ns: int) -> bytes | None:
        """Return what to send now; asked for every 20 ms."""


class BotStream(Protocol):
    """One call's media, both ways.

    Attributes
    ----------
    conversation
        Who hears and speaks; None before the answer.
    """

    conversation: Talker | None

    @property
    def asked(self) -> dict[str, str]:
        """What ``POST /channels/externalMedia`` is asked for."""

    async def begin(self, media: Mapping[str, Any]) -> None:
        """Make what is to be made when the channel is there; ``media`` is the answer to the request."""

    def put(self, frame: bytes) -> None:
        """Send a frame of PCMU, if that can be sent."""

    def close(self) -> None:
        """Send and hear nothing more."""


def _hear(stream: BotStream, payload: bytes) -> None:
    """Let who is on a call hear a frame that has come, and send what they say to it at once."""
    if stream.conversation is not None and (reply := stream.conversation.hear(payload, time.time_ns())) is not None:
        stream.put(reply)


class RtpStream(asyncio.DatagramProtocol):
    """Over RTP."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._ssrc = secrets.token_bytes(4)
        self._sequence = 0
        self._remote: tuple[str, int] | None = None
        self.conversation: Talker | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = transport

    @property
    def asked(self) -> dict[str, str]:
        """Where it receives."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return {"external_host": f"{host}:{port}", "format": "ulaw"}

    async def begin(self, media: Mapping[str, Any]) -> None:
        """Take note of where Asterisk receives."""
        variables = media["channelvars"]
        self._remote = variables["UNICASTRTP_LOCAL_ADDRESS"], int(variables["UNICASTRTP_LOCAL_PORT"])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Let the conversation hear it; what is not PCMU is passed over."""
        if len(data) > HEADER_BYTES and data[1] & 0x7F == _PAYLOAD_TYPE:
            _hear(self, data[HEADER_BYTES:])

    def put(self, frame: bytes) -> None:
        """Send a packet."""
        number = self._sequence
        self._sequence += 1
        header = b"\x80\x00" + (number & 0xFFFF).to_bytes(2) + (number * _TICKS & 0xFFFFFFFF).to_bytes(4) + self._ssrc
        if self._remote is not None:
            self._transport.sendto(header + frame, self._remote)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()


class AudioSocketStream:
    """Over AudioSocket: Asterisk connects to us, and tells by a UUID whose connection it is."""

    def __init__(self, host: str, port: int) -> None:
        self.key = str(uuid.uuid4())  # anything else is refused (chan_audiosocket)
        self._address = f"{host}:{port}"
        self.conversation: Talker | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._is_closed = False

    @property
    def asked(self) -> dict[str, str]:
        """Where it listens."""
        way = {"external_host": self._address, "encapsulation": "audiosocket", "transport": "tcp"}
        return {**way, "format": "slin", "data": self.key}

    async def begin(self, media: Mapping[str, Any]) -> None:
        """Do nothing: Asterisk has connected inside of the request."""

    def connected(self, writer: asyncio.StreamWriter) -> None:
        """Take the connection that has named this stream."""
        self._writer = writer
        if self._is_closed:
            writer.close()

    def hear(self, kind: int, payload: bytes) -> None:
        """Let the conversation hear a message's audio."""
        if kind == Kind.SLIN and payload and not len(payload) % 2:
            _hear(self, linear_to_mulaw(np.frombuffer(payload, "<i2")).tobytes())

    def put(self, frame: bytes) -> None:
        """Send a message."""
        if self._writer is not None and not self._writer.is_closing():
            samples = mulaw_to_linear(np.frombuffer(frame, np.uint8))
            self._writer.write(encode(Kind.SLIN, samples.astype("<i2").tobytes()))

    def close(self) -> None:
        """Close the connection, or the one that is still to come."""
        self._is_closed = True
        if self._writer is not None:
            self._writer.close()


class WebSocketStream:
    """Over a WebSocket, which we connect to Asterisk: that needs no ``websocket_client.conf`` there."""

    def __init__(self, http: aiohttp.ClientSession, ari_url: str) -> None:
        self._http = http
        self._ari_url = ari_url
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.conversation: Talker | None = None

    @property
    def asked(self) -> dict[str, str]:
        """To be connected to."""
        way = {"external_host": "INCOMING", "encapsulation": "none", "transport": "websocket"}
        return {**way, "format": "ulaw", "connection_type": "server"}

    async def begin(self, media: Mapping[str, Any]) -> None:
        """Connect: Asterisk answers the channel, and lets it enter the application, when that is done."""
        url = f"{self._ari_url.removesuffix('/ari')}/media/{media['channelvars'][_CONNECTION_ID]}"
        self._socket = await self._http.ws_connect(url, protocols=(MEDIA_PROTOCOL,))
        self._hearing = asyncio.create_task(self._hear(self._socket))

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            # Text is what chan_websocket says of itself: keys come from ARI, and 20 ms at a time its queue never fills.
            if isinstance(message.data, bytes):
                _hear(self, message.data)

    def put(self, frame: bytes) -> None:
        """Send a message; one that cannot be sent in a frame's time makes the next one be left out."""
        if self._socket is None or self._socket.closed or (self._sending is not None and not self._sending.done()):
            return
        self._sending = asyncio.create_task(self._send(self._socket, frame))

    @staticmethod
    async def _send(socket: aiohttp.ClientWebSocketResponse, frame: bytes) -> None:
        with suppress(ConnectionError):  # the caller has gone meanwhile, as ARI will say
            await socket.send_bytes(frame)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._closing = asyncio.create_task(self._close(self._socket))

    async def _close(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.close()
        await asyncio.wait([task for task in (self._hearing, self._sending) if task is not None])


class BotMedia:
    """The streams of all calls.

    Parameters
    ----------
    transport
        One of `TRANSPORTS`.
    host
        The address that they are bound to.
    ari_url
        ARI, up to and with ``/ari``; WebSockets are connected to where that is.
    """

    def __init__(self, transport: str, host: str, ari_url: str) -> None:
        self._transport = transport
        self._host = host
        self._ari_url = ari_url
        self._streams: set[BotStream] = set()
        self._awaited: dict[str, AudioSocketStream] = {}
        self._server: asyncio.Server | None = None

    async def open(self, http: aiohttp.ClientSession) -> BotStream:
        """Return the stream of a call."""
        stream: BotStream
        if self._transport == "audiosocket":
            stream = await self._open_audiosocket()
        elif self._transport == "websocket":
            stream = WebSocketStream(http, self._ari_url)
        else:
            loop = asyncio.get_running_loop()
            _, stream = await loop.create_datagram_endpoint(RtpStream, local_addr=(self._host, 0))
        self._streams.add(stream)
        return stream

    async def _open_audiosocket(self) -> AudioSocketStream:
        if self._server is None:
            self._server = await asyncio.start_server(self._take, self._host, 0)
        stream = AudioSocketStream(self._host, self._server.sockets[0].getsockname()[1])
        self._awaited[stream.key] = stream
        return stream

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection of Asterisk's: its first message tells whose it is."""
        parser, stream = AudioSocketParser(), None
        try:
            while data := await reader.read(_READ_BYTES):
                for message in parser.feed(data):
                    if stream is None and message.uuid is not None:
                        stream = self._awaited.pop(str(message.uuid), None)
                        if stream is not None:
                            stream.connected(writer)
                    elif stream is not None:
                        stream.hear(message.kind, message.payload)
        except ConnectionError:
            return  # a reset is an end as well: Asterisk hangs up so
        finally:
            writer.close()

    def close(self, stream: BotStream) -> None:
        """End a stream."""
        self._streams.discard(stream)
        stream.close()

    async def run(self) -> None:
        """Send a frame of each call every 20 ms; what was missed is left out.

        Sent at once it would stay in a queue of Asterisk's for the rest of the call (asterisk#2115).
        """
        due_ns = time.monotonic_ns()
        while True:
            due_ns = max(due_ns + FRAME_NS, time.monotonic_ns())
            await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            for stream in list(self._streams):
                if stream.conversation is not None:
                    frame = stream.conversation.frame(time.time_ns())
                    if frame is not None:
                        stream.put(frame)
