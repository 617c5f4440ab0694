"""Turns rows of the receive ring into packet batches: who sent a packet is decided here, by known addresses alone."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.media.loop.reader import LoopReader
from pytest_ari_sla.rtp import header, probe
from pytest_ari_sla.rtp.packet_batch import PacketBatch
from pytest_ari_sla.udp.datagrams import host_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_ari_sla.arguments import Address
    from pytest_ari_sla.media.frame_send_log import FrameSendLog
    from pytest_ari_sla.rtp.header import ParsedHeaders
    from pytest_ari_sla.rtp_media.memory import MediaMemory
    from pytest_ari_sla.rtp_media.reception import Reception

__all__ = ["RingReader", "SourceTable"]

NOBODY = -1

MOST_STRANGERS = 1000
"""Senders of foreign packets that are told apart."""


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
        # 256 KB a socket, so that a whole batch is looked up at once.
        self._leg_of_port = np.full((sockets, 1 << 16), NOBODY, np.int32)
        self._host_of_leg = np.zeros(legs, np.uint32)

    def expect(self, leg: int, socket: int, source: Address) -> None:
        """Let datagrams from ``source`` by this socket be this leg's."""
        # The host first: who sees the leg must not compare with the host of the leg's last call.
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
        # -1 looks up the last leg's host, which the first condition masks.
        return np.where((legs != NOBODY) & (self._host_of_leg[legs] == hosts), legs, np.int32(NOBODY))


class RingReader(LoopReader):
    """Reads datagrams; those from addresses that no leg expects are foreign, and those that are no RTP malformed."""

    _memory: MediaMemory

    def __init__(
        self,
        memory: MediaMemory,
        send_log: FrameSendLog,
        sources: SourceTable,
        nonce: int,
        reception: Reception | None = None,
    ) -> None:
        super().__init__(memory)
        self._reception = reception
        self._send_log = send_log
        self._sources = sources
        self._nonce = nonce

    def _batch(self, rows: slice, arrival_ns: NDArray[np.int64]) -> PacketBatch:
        batch = self._sound(rows, arrival_ns)
        if self._reception is not None:
            self._reception.observe(batch)
        return batch

    def _sound(self, rows: slice, arrival_ns: NDArray[np.int64]) -> PacketBatch:
        """Return the packets that are RTP and a leg's; count the others."""
        ring = self._memory.ring
        source = ring.address[rows]
        legs = self._sources.legs_of(
            self._memory.ring_socket[rows], source["port"].astype(np.uint16), source["host"].astype(np.uint32)
        )
        data, lengths = ring.data[rows], ring.length[rows].astype(np.int32)
        parsed = header.parse(data, lengths)
        ours = legs != NOBODY
        # A row that is full may hold the beginning of a longer datagram.
        sound = parsed.valid & (lengths < data.shape[1])
        batch = self._probed(legs, data, arrival_ns, parsed)
        if ours.all() and sound.all():
            return batch
        self._note_strangers(source[~ours])
        self.malformed += int(np.count_nonzero(ours & ~sound))
        return batch.select(ours & sound)

    def _note_strangers(self, sources: NDArray[np.void]) -> None:
        """Count packets that no leg expects by who sent them; a sender that takes a new port each time has many."""
        self.foreign += len(sources)
        hosts, ports = sources["host"].astype(np.uint64), sources["port"].astype(np.uint64)
        senders, counts = np.unique(hosts << np.uint64(16) | ports, return_counts=True)
        for sender, count in zip(senders.tolist(), counts.tolist(), strict=True):
            address = f"{IPv4Address(sender >> 16)}:{sender & 0xFFFF}"
            if address in self.strangers or len(self.strangers) < MOST_STRANGERS:
                self.strangers[address] += count

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
    # Behind a long header there are fewer bytes: the last one is repeated, beyond the payload's length.
    return np.take_along_axis(data, np.minimum(columns, data.shape[1] - 1), axis=1)
