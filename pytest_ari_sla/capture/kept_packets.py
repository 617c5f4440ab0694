"""Evidence of bad calls: the last packets of every leg are kept in memory, until it is known which calls were bad.

Keeping is cheap (0.13 µs and 24 bytes a packet: 0.3 % of a core and 6 MB at 500 calls), so it is done for all calls;
writing is not (:mod:`pytest_ari_sla.capture.pcapng`), so few are written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
import numpy as np

from pytest_ari_sla.arguments import Address
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.rtp.dtmf import EVENT
from pytest_ari_sla.rtp.header import PLAIN_FLAGS, RTP_HEADER

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = [
    "NO_CAPTURE",
    "PACKET_BYTES",
    "CapturePolicy",
    "CapturedPackets",
    "CapturedStream",
    "KeptPackets",
    "PackedStream",
    "PacketKeeper",
    "SaidFrames",
    "frame_streams",
    "parse_policy",
    "rebuilt_packets",
]

_POLICY = re.compile(r"worst:([1-9]\d*)|failed|all|off")
# RFC 3550, 5.1: the highest bit of the octet that holds the payload type; numbers have 16 bits.
_MARKER: Final = 0x80
_SEQUENCES: Final = 1 << 16
# Frames of AudioSocket and WebSockets come by one connection, which has no RTP addresses to show.
_NOWHERE: Final = ("", 0)
PACKET_BYTES: Final = 24
"""What keeping a packet takes besides its payload."""


@dataclass(frozen=True)
class CapturePolicy:
    """Which calls are written.

    Attributes
    ----------
    kind
        ``worst`` (failed calls, then those that stand out), ``failed``, ``all`` or ``off``.
    count
        How many at most, for ``worst``.
    """

    kind: Literal["worst", "failed", "all", "off"]
    count: int = 0

    def chosen(self, calls: Sequence[str], *, worst: Sequence[str], failed: Collection[str]) -> list[str]:
        """Return the ids of the calls to write.

        Parameters
        ----------
        calls
            All calls.
        worst
            The calls worth a look, the worst first.
        failed
            Those that failed or were dropped.
        """
        match self.kind:
            case "all":
                return list(calls)
            case "failed":
                return [call for call in calls if call in failed]
            case "worst":
                return list(worst[: self.count])
            case "off":
                return []


NO_CAPTURE: Final = CapturePolicy("off")


def parse_policy(text: str) -> CapturePolicy:
    """Read ``worst:5``, ``failed``, ``all`` or ``off``.

    Raises
    ------
    UsageError
        For anything else.
    """
    found = _POLICY.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{text!r} does not say which calls to capture; write worst:5, failed, all or off")
    if found[1]:
        return CapturePolicy("worst", int(found[1]))
    return CapturePolicy(cast('Literal["failed", "all", "off"]', found[0]))


@dataclass(frozen=True, eq=False)
class CapturedPackets:
    """RTP packets of one stream, in order of time.

    Attributes
    ----------
    time_ns
        (n,) int64. When each was received or sent, ns since the Unix epoch.
    header
        (n,) RTP_HEADER. The fixed header, in network byte order.
    length
        (n,) int32. Bytes of payload that the packet had.
    payload
        (n, k) uint8. The first k bytes of it, as far as they were kept; k may be 0.
    """

    time_ns: NDArray[np.int64]
    header: NDArray[np.void]
    length: NDArray[np.int32]
    payload: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, eq=False)
class CapturedStream:
    """A stream with its addresses.

    Attributes
    ----------
    source, destination
        Host (IPv4) and port.
    packets
        What was kept of it.
    encoding
        The codec as SDP names it: ``PCMU/8000``.
    is_sent
        Whether we have sent it.
    is_rtp
        Whether it was RTP, which Wireshark can open.
    """

    source: Address
    destination: Address
    packets: CapturedPackets
    encoding: str = "PCMU/8000"
    is_sent: bool = False
    is_rtp: bool = True


class PackedStream(msgspec.Struct, frozen=True):
    """A :class:`CapturedStream` as plain values, for its way to the process that writes files.

    Attributes
    ----------
    source, destination, encoding, is_sent, is_rtp
        As there.
    payload_bytes
        Bytes of payload kept of each packet.
    time_ns, header, length, payload
        The arrays' memory, in this machine's byte order (the header: in the network's).
    """

    source: Address
    destination: Address
    encoding: str
    payload_bytes: int
    time_ns: bytes
    header: bytes
    length: bytes
    payload: bytes
    is_sent: bool = False
    is_rtp: bool = True

    @classmethod
    def of(cls, stream: CapturedStream) -> PackedStream:
        """Pack a stream."""
        packets = stream.packets
        return cls(
            source=stream.source,
            destination=stream.destination,
            encoding=stream.encoding,
            payload_bytes=packets.payload.shape[1],
            time_ns=packets.time_ns.tobytes(),
            header=packets.header.tobytes(),
            length=packets.length.tobytes(),
            payload=packets.payload.tobytes(),
            is_sent=stream.is_sent,
            is_rtp=stream.is_rtp,
        )

    def without_payload(self) -> PackedStream:
        """Return it with headers only."""
        return msgspec.structs.replace(self, payload_bytes=0, payload=b"")

    def unpacked(self) -> CapturedStream:
        """Return the stream."""
        time_ns = np.frombuffer(self.time_ns, np.int64)
        packets = CapturedPackets(
            time_ns,
            np.frombuffer(self.header, RTP_HEADER),
            np.frombuffer(self.length, np.int32),
            np.frombuffer(self.payload, np.uint8).reshape(len(time_ns), self.payload_bytes),
        )
        return CapturedStream(
            self.source, self.destination, packets, self.encoding, is_sent=self.is_sent, is_rtp=self.is_rtp
        )


@dataclass(frozen=True, eq=False)
class KeptPackets:
    """The last packets of a leg.

    Attributes
    ----------
    received
        What came in.
    sent_ns
        (k,) When each of the last k turns' packets was sent, ns since the Unix epoch; 0 for one that was not.
    due_ns
        (k,) When each of them was due.
    first_turn
        The first of these turns.
    said
        What was in them, where the payload of what came in was kept too; None where it was not.
    """

    received: CapturedPackets
    sent_ns: NDArray[np.int64]
    due_ns: NDArray[np.int64]
    first_turn: int
    said: SaidFrames | None = None


@dataclass(frozen=True, eq=False)
class SaidFrames:
    """What a leg has said, turn by turn.

    Attributes
    ----------
    payload
        (k, bytes) uint8. The encoded audio; of a telephone event, its first bytes.
    event
        (k,) uint8. Marker and payload type of a telephone event that was sent instead of audio; 0: it was audio.
    frames_ago
        (k,) How many turns before that event began.
    """

    payload: NDArray[np.uint8]
    event: NDArray[np.uint8]
    frames_ago: NDArray[np.int64]


class PacketKeeper:
    """The last packets that each leg received; memory is bounded by legs, not by time.

    Parameters
    ----------
    legs
        Number of legs.
    depth
        Packets kept of each: 512 are ten seconds at 20 ms.
    payload_bytes
        Bytes of payload kept of each packet; 0 keeps headers only: 24 bytes a packet.

    Attributes
    ----------
    depth, payload_bytes
        As given.
    """

    def __init__(self, legs: int, depth: int = 512, payload_bytes: int = 0) -> None:
        self.depth = depth
        self.payload_bytes = payload_bytes
        self._count = np.zeros(legs, np.int64)
        self._time_ns = np.zeros((legs, depth), np.int64)
        self._header = np.zeros((legs, depth), RTP_HEADER)
        self._length = np.zeros((legs, depth), np.int32)
        self._payload = np.zeros((legs, depth, payload_bytes), np.uint8)

    def observe(self, batch: PacketBatch) -> None:
        """Keep the packets of a batch, in place of the oldest ones of their legs."""
        groups = batch.by_leg
        rank = np.arange(len(batch)) - np.repeat(groups.starts, groups.counts)
        # More packets of one leg than there are places: only the last ones may write, each to a place of its own.
        kept = rank >= np.repeat(groups.counts, groups.counts) - self.depth
        rows = groups.order[kept]
        legs = batch.leg[rows]
        places = (self._count[legs] + rank[kept]) % self.depth
        self._count[groups.legs] += groups.counts
        self._time_ns[legs, places] = batch.arrival_ns[rows]
        self._header[legs, places] = _headers(batch, rows)
        self._length[legs, places] = batch.payload_length[rows]
        # A batch may hold less of each payload than is to be kept, or more.
        width = min(self._payload.shape[2], batch.payload.shape[1])
        self._payload[legs, places, :width] = batch.payload[rows, :width]

    def take(self, leg: int) -> CapturedPackets:
        """Return a copy of what is kept of a leg, the oldest packet first."""
        count = int(self._count[leg])
        places = np.arange(max(0, count - self.depth), count) % self.depth
        return CapturedPackets(
            self._time_ns[leg, places],
            self._header[leg, places],
            self._length[leg, places],
            self._payload[leg, places],
        )

    def reset(self, leg: int) -> None:
        """Forget a leg's packets: its number is used again by another call."""
        # The count says what may be read; the arrays' old contents are written over in time.
        self._count[leg] = 0


def rebuilt_packets(
    sent_ns: NDArray[np.int64],
    *,
    first_sequence: int,
    first_timestamp: int,
    ticks_per_packet: int,
    ssrc: int,
    payload_type: int,
    payload_length: int,
    said: SaidFrames | None = None,
) -> CapturedPackets:
    """Return the packets that a schedule has sent, from the send log alone.

    Parameters
    ----------
    sent_ns
        (n,) When each packet was sent, ns since the Unix epoch; 0 for one that was not: it used up its number.
    first_sequence, first_timestamp
        RTP sequence number and time stamp of the first packet; both wrap around.
    ticks_per_packet
        Distance of time stamps.
    ssrc, payload_type, payload_length
        Alike in all packets, but in telephone events.
    said
        What was in them; None: that was not kept.
    """
    # What was not sent keeps its number: the receiver sees a gap there as well.
    numbers = np.flatnonzero(sent_ns)
    header = np.zeros(len(numbers), RTP_HEADER)
    header["flags"] = PLAIN_FLAGS
    header["marker_and_type"] = payload_type
    header["sequence"] = (first_sequence + numbers) % _SEQUENCES
    header["timestamp"] = (first_timestamp + numbers * ticks_per_packet) % (1 << 32)
    header["ssrc"] = ssrc
    length = np.full(len(numbers), payload_length, np.int32)
    if said is None:
        return CapturedPackets(sent_ns[numbers], header, length, np.zeros((len(numbers), 0), np.uint8))
    event, ago = said.event[numbers], said.frames_ago[numbers]
    header["marker_and_type"] = np.where(event > 0, event, payload_type)
    header["timestamp"] = (first_timestamp + (numbers - ago) * ticks_per_packet) % (1 << 32)
    # A telephone event has four bytes (RFC 4733, 2.3), whatever the codec.
    length[event > 0] = EVENT.itemsize
    return CapturedPackets(sent_ns[numbers], header, length, said.payload[numbers])


def frame_streams(kept: KeptPackets, codec: Codec, ticks_per_packet: int) -> list[CapturedStream]:
    """Return what a leg has sent and received by a transport that is not RTP; nothing where the audio was not kept."""
    if kept.said is None:
        return []
    sent = rebuilt_packets(
        kept.sent_ns,
        first_sequence=kept.first_turn,
        first_timestamp=kept.first_turn * ticks_per_packet,
        ticks_per_packet=ticks_per_packet,
        ssrc=0,
        payload_type=codec.payload_type,
        payload_length=kept.said.payload.shape[1],
        said=kept.said,
    )
    encoding = f"{codec.name}/{codec.clock_rate_hz}"
    return [
        CapturedStream(_NOWHERE, _NOWHERE, sent, encoding, is_sent=True, is_rtp=False),
        CapturedStream(_NOWHERE, _NOWHERE, kept.received, encoding, is_rtp=False),
    ]


def _headers(batch: PacketBatch, rows: NDArray[np.intp]) -> NDArray[np.void]:
    """Return the fixed headers of some rows as they were on the wire, but for extensions."""
    header = np.zeros(len(rows), RTP_HEADER)
    header["flags"] = PLAIN_FLAGS
    header["marker_and_type"] = batch.payload_type[rows] | np.where(batch.marker[rows], _MARKER, 0).astype(np.uint8)
    header["sequence"] = batch.sequence[rows]
    header["timestamp"] = batch.timestamp[rows]
    header["ssrc"] = batch.ssrc[rows]
    return header
