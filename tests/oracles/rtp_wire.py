"""What each leg sent and heard, read from a capture, and the figures that follow from it by arithmetic of their own."""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.oracles.wire import UdpPacket

__all__ = [
    "PACKET_NS",
    "RTP",
    "SECOND_NS",
    "Heard",
    "WireLeg",
    "is_rtp",
    "legs_of",
    "losses_of",
    "percentile",
    "probe_of",
]

RTP = struct.Struct("!BBHII")
_PROBE = struct.Struct("!IIII")
_PROBE_MAGIC = 0x9E53A11C
_LIMIT_NS = 3_000_000_000
_CLOCK_HZ = 8000
_GMIN = 16
TELEPHONE_EVENT = 101
_BUFFER_NS, PACKET_NS, SECOND_NS = 60_000_000, 20_000_000, 1_000_000_000

Probe = tuple[int, int, int]
"""The run's number, the leg that sent it, and the number of the packet."""


class Heard(NamedTuple):
    """A packet that a leg received."""

    at_ns: int
    sequence: int
    timestamp: int
    probe: Probe | None
    ssrc: int = 0
    payload_type: int = 0
    payload: bytes = b""


def probe_of(data: bytes) -> Probe | None:
    """Return what a datagram says it is; None where it carries no probe."""
    if len(data) < RTP.size + _PROBE.size:
        return None
    magic, *probe = _PROBE.unpack_from(data, RTP.size)
    return (probe[0], probe[1], probe[2]) if magic == _PROBE_MAGIC else None


@dataclass
class WireLeg:
    """One leg: when it sent each probe, and with which payload; what it heard, in order of arrival; RTCP either way."""

    sent: dict[Probe, int] = field(default_factory=dict)
    sent_payload: dict[Probe, bytes] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    reports_sent: list[tuple[int, bytes]] = field(default_factory=list)
    reports_heard: list[tuple[int, bytes]] = field(default_factory=list)

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
        """Return how many copies of probes came after the first, and in time."""
        copies = Counter(packet.probe for packet in self.heard if self._is_in_time(packet, sender))
        return sum(copies.values()) - len(copies)

    def late(self, sender: WireLeg) -> int:
        """Return how many copies of probes came after the limit."""
        return sum(packet.probe in sender.sent and not self._is_in_time(packet, sender) for packet in self.heard)

    @staticmethod
    def _is_in_time(packet: Heard, sender: WireLeg) -> bool:
        sent_ns = None if packet.probe is None else sender.sent.get(packet.probe)
        return sent_ns is not None and packet.at_ns - sent_ns < _LIMIT_NS

    def misrouted(self, sender: WireLeg) -> int:
        """Return how many probes came that this leg's sender has not sent."""
        return sum(packet.probe is not None and packet.probe not in sender.sent for packet in self.heard)

    def due_ns(self) -> dict[Probe, int]:
        """Return when each probe was due at the latest: all of them by one schedule, and none before it."""
        start_ns = min(at_ns - probe[2] * PACKET_NS for probe, at_ns in self.sent.items())
        return {probe: start_ns + probe[2] * PACKET_NS for probe in self.sent}

    def intended_delays_ns(self, sender: WireLeg) -> list[int]:
        """Return the delay of each probe's first copy from when it was due, at least."""
        due_ns = sender.due_ns()
        return [delay + sender.sent[probe] - due_ns[probe] for probe, delay in self._first_copies(sender).items()]

    def variation_ns(self, sender: WireLeg) -> tuple[list[int], list[int]]:
        """Return how much longer each probe took than the least until then, and than the least of all (RFC 5481)."""
        delays = self.delays_ns(sender)
        least = accumulate(delays, min)
        return [delay - low for delay, low in zip(delays, least, strict=True)], [d - min(delays) for d in delays]

    def compared(self, sender: WireLeg) -> list[bool]:
        """Return whether each eighth probe, copies included, came back with another payload than it was sent with."""
        first = min(sender.sent)[2]
        chosen = [one for one in self.heard if one.probe in sender.sent and (one.probe[2] - first) % 8 == 0]
        return [one.payload != sender.sent_payload[one.probe] for one in chosen if one.probe is not None]

    def listened_to(self) -> list[Heard]:
        """Return each sixteenth packet, but for those of telephone-events."""
        return [packet for packet in self.heard[::16] if packet.payload_type != TELEPHONE_EVENT]

    def clock_speed(self) -> float:
        """Return how fast time stamps ran against a clock of 8,000 Hz, from the first packet to the last."""
        first, last = self.heard[0], self.heard[-1]
        return ((last.timestamp - first.timestamp) & 0xFFFFFFFF) / _CLOCK_HZ / ((last.at_ns - first.at_ns) / 1e9)

    def lasting_delay_ns(self, sender: WireLeg, phase_ns: int) -> int | None:
        """Return by how much the least delay of two seconds rose above the least until then, at most.

        Parameters
        ----------
        sender
            Whom this leg hears.
        phase_ns
            When a second begins, after the first packet.
        """
        delays = [
            (packet.at_ns, packet.at_ns - sender.sent[packet.probe])
            for packet in self.heard
            if packet.probe in sender.sent
        ]
        seconds: dict[int, int] = {}
        for at_ns, delay_ns in delays:
            second = (at_ns - delays[0][0] - phase_ns) // SECOND_NS
            seconds[second] = min(delay_ns, seconds.get(second, delay_ns))
        least = list(accumulate(seconds.values(), min))
        rises = [max(0, min(pair) - low) for pair, low in zip(pairwise(seconds.values()), least[1:], strict=True)]
        return max(rises, default=None)

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
        delay_ms = (way_ns + _BUFFER_NS + PACKET_NS) / 1e6
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
                leg.sent_payload.setdefault(probe, packet.data[RTP.size :])
        elif (leg := by_ports.get((packet.target, packet.source))) and is_rtp(packet.data):
            _, kind, sequence, timestamp, ssrc = RTP.unpack_from(packet.data)
            more = probe_of(packet.data), ssrc, kind & 0x7F, packet.data[RTP.size :]
            leg.heard.append(Heard(packet.at_ns, sequence, timestamp, *more))
        elif leg := by_ports.get((packet.source - 1, packet.target - 1)):
            leg.reports_sent.append((packet.at_ns, packet.data))
        elif leg := by_ports.get((packet.target - 1, packet.source - 1)):
            leg.reports_heard.append((packet.at_ns, packet.data))
    return legs


def is_rtp(data: bytes) -> bool:
    """Tell whether a datagram is an RTP packet (RFC 3550, 5.1)."""
    return len(data) >= RTP.size and data[0] >> 6 == 2


def percentile(samples: Iterable[float], percent: float) -> float:
    """Return the sample at a percentile, by nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
