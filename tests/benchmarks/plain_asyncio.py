"""The usual way to write it in Python, to compare with: a task and a datagram protocol for each call.

Usage: ``python -m tests.benchmarks.plain_asyncio CALLS SECONDS PORT PORTS``. One line of JSON comes out.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections import Counter
from typing import cast

PACKET_TIME_S = 0.02
LATE_S = 0.005
HEADER = struct.Struct("!BBHIId")
AUDIO = b"\xd5" * 152


class Stream(asyncio.DatagramProtocol):
    """Receives one call's packets and measures each: round trip, missing numbers, jitter (RFC 3550, 6.4.1)."""

    def __init__(self) -> None:
        self.received = self.missing = 0
        self.round_trips_s: list[float] = []
        self.jitter = self.transit = 0.0
        self.expected: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to send by."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a packet back."""
        now_s = time.time()
        _, _, sequence, timestamp, _, sent_s = HEADER.unpack_from(data)
        self.round_trips_s.append(now_s - sent_s)
        if self.expected is not None:
            self.missing += (sequence - self.expected) & 0xFFFF
            change = now_s * 8000 - timestamp - self.transit
            self.jitter += (abs(change) - self.jitter) / 16
        self.expected = (sequence + 1) & 0xFFFF
        self.transit = now_s * 8000 - timestamp
        self.received += 1


async def call(number: int, packets: int, start_s: float, address: tuple[str, int], counts: Counter[str]) -> None:
    """Send a call's packets in their time."""
    loop = asyncio.get_running_loop()
    transport, stream = await loop.create_datagram_endpoint(Stream, remote_addr=address)
    due_s = start_s + number % 20 * 1e-3
    for packet in range(packets):
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        counts["late"] += loop.time() - due_s > LATE_S
        stamp = HEADER.pack(0x80, 0, packet & 0xFFFF, packet * 160 & 0xFFFFFFFF, number, time.time())
        transport.sendto(stamp + AUDIO)
        due_s += PACKET_TIME_S
    await asyncio.sleep(0.3)
    counts["sent"] += packets
    counts["received"] += stream.received
    transport.close()


async def run(calls: int, seconds: float, port: int, ports: int) -> dict[str, float]:
    """Make all calls, and return the figures."""
    counts: Counter[str] = Counter()
    start_s = asyncio.get_running_loop().time() + 0.2 + calls * 2e-4
    packets = int(seconds / PACKET_TIME_S)
    addresses = [("127.0.0.1", port + 2 * (number % ports)) for number in range(calls)]
    streams = asyncio.gather(*(call(number, packets, start_s, addresses[number], counts) for number in range(calls)))
    await asyncio.sleep(start_s - asyncio.get_running_loop().time())
    used_before_s = time.process_time()
    await streams
    return dict(counts) | {"cpu_us_per_call_second": (time.process_time() - used_before_s) * 1e6 / calls / seconds}


if __name__ == "__main__":
    arguments = [float(argument) for argument in sys.argv[1:5]]
    result = asyncio.run(run(int(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])))
    sys.stdout.write(json.dumps(result) + "\n")
