"""The bot's RTP: one socket a call, and one clock that lets all of them send."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.bot.conversation import FRAME_NS
from pytest_ari_sla.rtp.header import HEADER_BYTES

if TYPE_CHECKING:
    from pytest_ari_sla.bot.conversation import Conversation

__all__ = ["BotMedia", "BotStream"]

_TICKS = 160  # 20 ms at the 8 kHz of PCMU
_PCMU = 0  # RFC 3551, 6


class BotStream(asyncio.DatagramProtocol):
    """RTP of one call, both ways."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._ssrc = secrets.token_bytes(4)
        self._sequence = 0
        self.remote: tuple[str, int] | None = None
        self.conversation: Conversation | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = transport

    @property
    def local(self) -> tuple[str, int]:
        """Where it receives."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Let the conversation hear it; what is not PCMU is passed over."""
        if self.conversation is not None and len(data) > HEADER_BYTES and data[1] & 0x7F == _PCMU:
            self.conversation.hear(data[HEADER_BYTES:], time.time_ns())

    def press(self, digit: str, at_ns: int) -> None:
        """Let the conversation know of a key, which does not come as sound."""
        if self.conversation is not None:
            self.conversation.press(digit, at_ns)

    def send(self) -> None:
        """Send the next frame."""
        if self.conversation is None or self.remote is None:
            return
        frame = self.conversation.frame(time.time_ns())
        number = self._sequence
        self._sequence += 1
        header = b"\x80\x00" + (number & 0xFFFF).to_bytes(2) + (number * _TICKS & 0xFFFFFFFF).to_bytes(4) + self._ssrc
        self._transport.sendto(header + frame, self.remote)

    def close(self) -> None:
        """Send and hear nothing more."""
        self._transport.close()


class BotMedia:
    """The streams of all calls.

    Parameters
    ----------
    host
        The address that they are bound to.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._streams: set[BotStream] = set()

    async def open(self) -> BotStream:
        """Return the stream of a call."""
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_datagram_endpoint(BotStream, local_addr=(self._host, 0))
        self._streams.add(stream)
        return stream

    def close(self, stream: BotStream) -> None:
        """End a stream."""
        self._streams.discard(stream)
        stream.close()

    async def run(self) -> None:
        """Send a frame of each call every 20 ms; what was missed is sent at once."""
        due_ns = time.monotonic_ns()
        while True:
            due_ns += FRAME_NS
            await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            for stream in list(self._streams):
                stream.send()
