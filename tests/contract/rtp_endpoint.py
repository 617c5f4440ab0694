"""One end of RTP for tests: sends what it is told and keeps what it gets."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.contract.raw_ari import EventLog, RawAri

PACKET_S = 0.02
SAMPLES = 160


@dataclass(frozen=True)
class Packet:
    """A received RTP packet."""

    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes


def pattern(number: int, size: int = SAMPLES) -> bytes:
    """Return a payload that no other number has."""
    return bytes((number * 7 + position) % 251 for position in range(size))


class RtpEndpoint:
    """A UDP socket on loopback that speaks RTP: on any port, unless it is given a bound one."""

    def __init__(self, bound: socket.socket | None = None) -> None:
        self._socket = bound or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if bound is None:
            self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.remote = ("127.0.0.1", 0)

    async def call(self, ari: RawAri, channel_id: str, log: EventLog, codec: str = "ulaw") -> None:
        """Let the target make an ExternalMedia channel that sends here; wait until it is in Stasis."""
        reply = await ari.external_media(channel_id, log, external_host=self.address, format=codec)
        variables = reply.body["channelvars"]
        self.remote = (variables["UNICASTRTP_LOCAL_ADDRESS"], int(variables["UNICASTRTP_LOCAL_PORT"]))

    def send(
        self,
        sequence: int,
        timestamp: int,
        payload: bytes,
        *,
        ssrc: int = 0x1111,
        payload_type: int = 0,
        marker: bool = False,
    ) -> None:
        """Send one packet."""
        second = payload_type | marker << 7
        header = struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
        self._socket.sendto(header + payload, self.remote)

    async def stream(
        self,
        numbers: Iterable[int],
        *,
        sequence: int = 0,
        timestamp: int = 0,
        ssrc: int = 0x1111,
        payload_type: int = 0,
    ) -> None:
        """Send pattern ``n`` for each number, 20 ms apart, with sequence and time stamp that fit the number."""
        for number in numbers:
            self.send(
                sequence + number,
                timestamp + number * SAMPLES,
                pattern(number),
                ssrc=ssrc,
                payload_type=payload_type,
            )
            await asyncio.sleep(PACKET_S)

    async def collect(self, wait_s: float = 0.15) -> list[Packet]:
        """Wait, then return and forget everything received."""
        await asyncio.sleep(wait_s)
        packets: list[Packet] = []
        while True:
            try:
                datagram = self._socket.recv(2048)
            except BlockingIOError:
                return packets
            _, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", datagram[:12])
            packets.append(Packet(sequence, timestamp, ssrc, second & 0x7F, bool(second >> 7), datagram[12:]))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
