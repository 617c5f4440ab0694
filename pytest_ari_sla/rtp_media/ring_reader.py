"""Turns rows of the receive ring into packet batches: who sent a packet is decided here, by known addresses alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp import header, probe
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.rtp_media.memory import Gauge
from pytest_ari_sla.udp.datagrams import host_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_ari_sla.rtp.header import ParsedHeaders
    from pytest_ari_sla.rtp_media.memory import MediaMemory
    from pytest_ari_sla.rtp_media.send_log import MediaSendLog
    from pytest_ari_sla.udp.datagrams import Address

__all__ = ["RingReader", "SourceTable"]

NOBODY = -1
_NEVER_NS = 1 << 62

STAMP_TO_QUEUE_NS = 50_000_000
"""The kernel stamps a packet before it puts it into the socket; on a busy machine it may be interrupted in between."""


class SourceTable:
    """Which leg a datagram belongs to, by the socket it came by and the address it came from.

    Written by whoever builds calls, read by the measuring thread; an entry is one machine word, so a reader sees the
    old or the new leg, never a mixture.

    Parameters
    ----------
    sockets
        Number of sockets.
    legs
        Number of legs.
    """

    def __init__(self, sockets: int, legs: int) -> None:
        self._leg_of_port = np.full((sockets, 1 << 16), NOBODY, np.int32)
        self._host_of_leg = np.zeros(legs, np.uint32)

    def expect(self, leg: int, socket: int, source: Address) -> None:
        """Let datagrams from ``source`` by this socket be this leg's."""
        self._host_of_leg[leg] = host_number(source[0])
        self._leg_of_port[socket, source[1]] = leg

    def forget(self, socket: int, source: Address) -> None:
        """Let datagrams from ``source`` by this socket be nobody's."""
        self._leg_of_port[socket, source[1]] = NOBODY

    def legs_of(
        self, sockets: NDArray[np.int16], ports: NDArray[np.uint16], hosts: NDArray[np.uint32]
    ) -> NDArray[np.int32]:
        """Return the leg of each datagram ((n,) int32), -1 for a stranger's."""
        legs: NDArray[np.int32] = self._leg_of_port[sockets, ports]
        return np.where((legs != NOBODY) & (self._host_of_leg[legs] == hosts), legs, np.int32(NOBODY))


class RingReader:
    """Reads what the media loop received; the only one that moves the ring's tail.

    Attributes
    ----------
    foreign
        Datagrams from addresses that no leg expects.
    malformed
        Datagrams from a leg's address that are no RTP packets.
    """

    def __init__(self, memory: MediaMemory, send_log: MediaSendLog, sources: SourceTable, nonce: int) -> None:
        self._memory = memory
        self._send_log = send_log
        self._sources = sources
        self._nonce = nonce
        self._known_ns = 0
        self._is_full = False
        self._arrival_ns = np.zeros(0, np.int64)
        self.foreign = 0
        self.malformed = 0

    def look(self, *, to_the_end: bool = False) -> None:
        """Fix how far :meth:`batches` may read.

        Parameters
        ----------
        to_the_end
            Nothing more will come: read all there is.
        """
        # The loop writes the head first and these marks afterwards: read the other way round, both are true.
        drained_ns = int(self._memory.drained_ns.min()) - STAMP_TO_QUEUE_NS
        self._known_ns = _NEVER_NS if to_the_end else drained_ns
        gauges, rows = self._memory.gauges, self._memory.layout.ring_rows
        tail, head = int(gauges[Gauge.RING_TAIL]), int(gauges[Gauge.RING_HEAD])
        first, count = tail % rows, head - tail
        self._is_full = count >= rows
        self._arrival_ns = np.concatenate(
            (self._memory.arrival_ns(slice(first, first + count)), self._memory.arrival_ns(slice(first + count - rows)))
            if first + count > rows
            else (self._memory.arrival_ns(slice(first, first + count)),)
        )

    def batches(self, before_ns: int, most: int = 1 << 14) -> Iterator[PacketBatch]:
        """Yield what lies in front of the first packet that arrived at ``before_ns`` or that others may still precede.

        So it depends on when packets arrived where a batch ends, and not on when they are read. Batches are valid until
        the next one is asked for.
        """
        gauges, rows = self._memory.gauges, self._memory.layout.ring_rows
        left = self._in_front_of(min(before_ns, self._known_ns))
        if self._is_full and not left:
            # A socket waits for room, and all that lies here for news from it.
            left, self._is_full = len(self._arrival_ns), False
        while left:
            tail = int(gauges[Gauge.RING_TAIL])
            first = tail % rows
            count = min(left, rows - first, most)
            batch = self._batch(slice(first, first + count), self._arrival_ns[:count])
            self._arrival_ns = self._arrival_ns[count:]
            if len(batch):
                yield batch
            gauges[Gauge.RING_TAIL] = tail + count
            left -= count

    def _in_front_of(self, moment_ns: int) -> int:
        """Return how many waiting packets lie in front of the first one that arrived at a time, or later."""
        is_later = self._arrival_ns >= moment_ns
        return int(is_later.argmax()) if is_later.any() else len(is_later)

    def read_until(self, before_ns: int) -> int:
        """Return a time, at most ``before_ns``: what arrived before it has been read (ns since the Unix epoch)."""
        return min(before_ns, self._known_ns, int(self._arrival_ns.min(initial=_NEVER_NS)))

    def knows(self, moment_ns: int) -> bool:
        """Whether all that arrived before a time is in the ring, read or not."""
        return self._known_ns >= moment_ns

    def _batch(self, rows: slice, arrival_ns: NDArray[np.int64]) -> PacketBatch:
        ring = self._memory.ring
        source = ring.address[rows]
        legs = self._sources.legs_of(
            self._memory.ring_socket[rows], source["port"].astype(np.uint16), source["host"].astype(np.uint32)
        )
        data, lengths = ring.data[rows], ring.length[rows].astype(np.int32)
        parsed = header.parse(data, lengths)
        ours = legs != NOBODY
        sound = parsed.valid & (lengths < data.shape[1])
        batch = self._probed(legs, data, arrival_ns, parsed)
        if ours.all() and sound.all():
            return batch
        self.foreign += int(np.count_nonzero(~ours))
        self.malformed += int(np.count_nonzero(ours & ~sound))
        return batch.select(ours & sound)

    def _probed(
        self, legs: NDArray[np.int32], data: NDArray[np.uint8], arrival_ns: NDArray[np.int64], parsed: ParsedHeaders
    ) -> PacketBatch:
        payload = _payloads(data, parsed)
        layout = self._memory.layout
        source_leg, turn = probe.read(payload, parsed.payload_length, self._nonce, layout.legs)
        number, sent_ns, intended_ns = self._send_log.times_of(source_leg, turn)
        return PacketBatch(
            leg=legs,
            sequence=parsed.sequence,
            timestamp=parsed.timestamp,
            ssrc=parsed.ssrc,
            payload_type=parsed.payload_type,
            marker=parsed.marker,
            arrival_ns=arrival_ns,
            source_leg=np.where(number >= 0, source_leg, np.int32(-1)),
            probe=number,
            sent_ns=sent_ns,
            intended_ns=intended_ns,
            payload=payload,
            payload_length=parsed.payload_length,
        )


def _payloads(data: NDArray[np.uint8], parsed: ParsedHeaders) -> NDArray[np.uint8]:
    """Return the payloads as rows: a view where all headers are plain, else a copy."""
    if parsed.plain:
        return data[:, header.HEADER_BYTES :]
    width = data.shape[1] - header.HEADER_BYTES
    columns = parsed.payload_offset[:, None] + np.arange(width)
    return np.take_along_axis(data, np.minimum(columns, data.shape[1] - 1), axis=1)
