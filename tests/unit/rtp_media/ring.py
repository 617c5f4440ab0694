"""The receive ring as the loop fills it, written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.loop.reader import STAMP_TO_QUEUE_NS
from pytest_ari_sla.rtp_media.memory import Gauge
from tests.unit.rtp_media.memories import NONCE

if TYPE_CHECKING:
    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.rtp_media.memory import MediaMemory

ASTERISK: Address = ("10.0.0.1", 10_000)
OTHER_PORT: Address = ("10.0.0.1", 10_002)
OTHER_HOST: Address = ("10.0.0.2", 10_000)


def rtp(sequence: int = 0, *, payload: bytes = b"audio", flags: int = 0x80, extra: bytes = b"", pt: int = 0) -> bytes:
    """Return an RTP packet; ``extra`` lies between header and payload."""
    start = bytes([flags, pt]) + sequence.to_bytes(2) + (sequence * 160 % 2**32).to_bytes(4)
    return start + (77).to_bytes(4) + extra + payload


def probe(leg: int, turn: int, nonce: int = NONCE) -> bytes:
    """Return a payload with a probe."""
    return b"".join(number.to_bytes(4) for number in (0x9E53A11C, nonce, leg, turn)) + b"audio"


class RingWriter:
    """Plays the loop's part: writes packets into the ring."""

    def __init__(self, memory: MediaMemory) -> None:
        self._memory = memory

    def write(self, packet: bytes, source: Address = ASTERISK, *, socket: int = 0, arrival_ns: int = 1) -> None:
        """Put a packet into the next row."""
        memory, ring = self._memory, self._memory.ring
        row = int(memory.gauges[Gauge.RING_HEAD]) % memory.layout.ring_rows
        cut = packet[: memory.layout.packet_width]
        ring.data[row, : len(cut)] = np.frombuffer(cut, np.uint8)
        ring.length[row] = len(cut)
        ring.set_address(row, source)
        ring.control[row] = divmod(arrival_ns, 1_000_000_000)
        memory.ring_socket[row] = socket
        memory.gauges[Gauge.RING_HEAD] += 1

    def drained(self, until_ns: int, *, socket: int | None = None) -> None:
        """Tell that all that came before then, by one socket or by all of them, is in the ring."""
        self._memory.drained_ns[slice(None) if socket is None else socket] = until_ns + STAMP_TO_QUEUE_NS

    @property
    def waiting(self) -> int:
        """Rows that have not been read."""
        gauges = self._memory.gauges
        return int(gauges[Gauge.RING_HEAD] - gauges[Gauge.RING_TAIL])
