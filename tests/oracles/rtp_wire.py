"""What each leg sent and heard, read from a capture, and the figures that follow from it by arithmetic of their own."""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.oracles.wire import UdpPacket

__all__ = ["Heard", "WireLeg", "legs_of", "percentile", "probe_of"]

_RTP = struct.Struct("!BBHII")
_PROBE = struct.Struct("!IIII")
_PROBE_MAGIC = 0x9E53A11C
_LIMIT_NS = 3_000_000_000
_CLOCK_HZ = 8000
_GMIN = 16
_BUFFER_NS, _PACKET_NS = 60_000_000, 20_000_000

Probe = tuple[int, int, int]
"""The run's number, the leg that sent it, and the number of the packet."""


class Heard(NamedTuple):
    """A packet that a leg received."""

    at_ns: int
    sequence: int
    timestamp: int
    probe: Probe | None


def probe_of(data: bytes) -> Probe | None:
    """Return what a datagram says it is; None where it carries no probe."""
    if len(data) < _RTP.size + _PROBE.size:
        return None
    magic, *probe = _PROBE.unpack_from(data, _RTP.size)
    return (probe[0], probe[1], probe[2]) if magic == _PROBE_MAGIC else None


@dataclass
class WireLeg:
    """One leg: what it sent, by probe, and what it heard, in order of arrival."""

    sent: dict[Probe, int] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def delays_ns(self, sender: WireLeg) -> list[int]:
        """Return the delay of the first copy of each probe of a sender (RFC 2681, 2.4)."""
        return list(self._first_copies(sender).values())

    def _first_copies(self, sender: WireLeg) -> dict[Probe, int]:
        delays: dict[Probe, int] = {}
        for packet in self.heard:
            if packet.probe in sender.sent and packet.probe not in delays:
                delays[packet.probe] = packet.at_ns - sender.sent[packet.probe]
        return {probe: delay for probe, delay in delays.items() if delay < _LIMIT_NS}

    def lost(self, sender: WireLeg) -> list[int]:
        """Return which of a sender's packets, counted from 0, did not come within 3 s (RFC 7680)."""
        came = self._first_copies(sender)
        return [position for position, probe in enumerate(sender.sent) if probe not in came]

    def duplicates(self, sender: WireLeg) -> int:
        """Return how many copies of probes came after the first."""
        copies = Counter(packet.probe for packet in self.heard if packet.probe in sender.sent)
        return sum(copies.values()) - len(copies)

    def reordered(self) -> int:
        """Return how many packets arrived behind a later one (RFC 4737, 3.3): numbers of 16 bits, each once."""
        reordered, highest, seen = 0, None, set()
        for packet in self.heard:
            if packet.sequence in seen:
                continue
            seen.add(packet.sequence)
            if highest is not None and 0 < (highest - packet.sequence) & 0xFFFF < 1 << 15:
                reordered += 1
            else:
                highest = packet.sequence
        return reordered

    def jitter_s(self) -> float:
        """Return the interarrival jitter at the end, packet by packet (RFC 3550, A.8)."""
        jitter, before = 0.0, None
        for packet in self.heard:
            transit = packet.at_ns * _CLOCK_HZ / 1e9 - packet.timestamp
            if before is not None:
                jitter += (abs(transit - before) - jitter) / 16
            before = transit
        return jitter / _CLOCK_HZ

    def mos(self, sender: WireLeg, *, both_ways: bool) -> float:
        """Return the score by G.107 (G.711 with concealment: Ie 0, Bpl 25.1), behind a jitter buffer of 60 ms."""
        delays = self._first_copies(sender)
        latest_ns = next(iter(delays.values())) + _BUFFER_NS
        played = {probe: delay for probe, delay in delays.items() if delay <= latest_ns}
        unplayed = [position for position, probe in enumerate(sender.sent) if probe not in played]
        share = len(unplayed) / len(sender.sent)
        burst = max(1.0, len(unplayed) / max(_periods(unplayed), 1) * (1 - share))
        way_ns = sum(played.values()) / len(played) / (2 if both_ways else 1)
        delay_ms = (way_ns + _BUFFER_NS + _PACKET_NS) / 1e6
        impairment = 95.0 * 100 * share / (100 * share / burst + 25.1)
        rating = 93.2 - 0.024 * delay_ms - 0.11 * max(0.0, delay_ms - 177.3) - impairment
        return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)

    def first_wait_ns(self, sender: WireLeg) -> int:
        """Return how long after a sender's first packet this leg heard its first one."""
        return self.heard[0].at_ns - min(sender.sent.values())


class Losses(NamedTuple):
    """How losses are spread."""

    periods: int
    noticeable: int
    bursts: int
    burst_lost: int
    burst_packets: int


def losses_of(positions: Sequence[int]) -> Losses:
    """Return what RFC 3357 (4.2, 5.1) and RFC 3611 (4.7.2, Gmin 16) say of a leg's losses."""
    bursts: list[list[int]] = []
    for position in positions:
        if bursts and position - bursts[-1][-1] <= _GMIN:
            bursts[-1].append(position)
        else:
            bursts.append([position])
    real = [burst for burst in bursts if len(burst) > 1]
    return Losses(
        _periods(positions),
        sum(later - earlier <= _GMIN for earlier, later in pairwise(positions)),
        len(real),
        sum(map(len, real)),
        sum(burst[-1] - burst[0] + 1 for burst in real),
    )


def _periods(positions: Sequence[int]) -> int:
    return sum(position - 1 not in set(positions) for position in positions)


def legs_of(datagrams: Iterable[UdpPacket], media: dict[str, tuple[int, int]]) -> dict[str, WireLeg]:
    """Return the leg of each channel, by its port and Asterisk's."""
    legs = {channel: WireLeg() for channel in media}
    by_ports = {ports: legs[channel] for channel, ports in media.items()}
    for packet in datagrams:
        if leg := by_ports.get((packet.source, packet.target)):
            if (probe := probe_of(packet.data)) is not None:
                leg.sent.setdefault(probe, packet.at_ns)
        elif leg := by_ports.get((packet.target, packet.source)):
            first, _, sequence, timestamp, _ = _RTP.unpack_from(packet.data)
            assert first >> 6 == 2
            leg.heard.append(Heard(packet.at_ns, sequence, timestamp, probe_of(packet.data)))
    return legs


def percentile(samples: Iterable[float], percent: float) -> float:
    """Return the sample at a percentile, by nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
