"""What no Asterisk sends to ExternalMedia channels, sent by ourselves, against a capture of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.oracles.g711 import digits_heard
from tests.oracles.loads import P50_WITHIN_S, Load
from tests.oracles.rtp_wire import TELEPHONE_EVENT, percentile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracles.rtp_wire import Heard, WireLeg

EVENT_RATE_HZ = 8000
NTP_EPOCH_S = 2_208_988_800
NTP_STEP_S = 1 / 65_536


@pytest.fixture
def strange(loads: dict[str, Load]) -> Load:
    """Return the load whose legs were sent such things."""
    return loads["strange"]


def legs_of(load: Load) -> list[WireLeg]:
    """Return all legs."""
    return [heard for heard, _ in load.callers()]


# --- telephone-events ---


@dataclass
class Event:
    """A telephone-event, from all of its packets."""

    kind: int
    start: int
    ticks: int = 0
    has_ended: bool = False


def events_of(heard: Iterable[Heard]) -> list[Event]:
    """Return a leg's events: a source, a kind and a time stamp make one (RFC 4733, 2.5.1)."""
    events: dict[tuple[int, int, int], Event] = {}
    for packet in heard:
        if packet.payload_type == TELEPHONE_EVENT:
            kind, flags, ticks = struct.unpack_from("!BBH", packet.payload)
            event = events.setdefault((packet.ssrc, kind, packet.timestamp), Event(kind, packet.timestamp))
            event.ticks = max(event.ticks, ticks)
            event.has_ended |= bool(flags & 0x80)
    return list(events.values())


def test_digits_are_those_of_the_wire(strange: Load) -> None:
    """Each once, however many packets it took; a hook flash is none, and one was never ended."""
    by_leg = [events_of(leg.heard) for leg in legs_of(strange)]
    digits = [[event for event in events if event.kind < 16] for events in by_leg]
    ended = [event for events in digits for event in events if event.has_ended]
    gaps = [
        later.start - earlier.start - earlier.ticks
        for events in digits
        for earlier, later in pairwise(events)
        if earlier.has_ended
    ]
    counts = {
        "dtmf.digits": sum(map(len, digits)),
        "dtmf.unfinished": sum(map(len, digits)) - len(ended),
        "dtmf.other_events": sum(map(len, by_leg)) - sum(map(len, digits)),
    }
    assert all(counts.values())
    assert {name: strange.total.count(name) for name in counts} == counts
    for name, ticks in (("dtmf.duration", [event.ticks for event in ended]), ("dtmf.gap", gaps)):
        reported = strange.total.histogram(name)
        assert (reported.count, reported.min) == (len(ticks), min(ticks) * 10**9 // EVENT_RATE_HZ), name
        assert reported.mean == pytest.approx(sum(ticks) / len(ticks) * 1e9 / EVENT_RATE_HZ), name


# --- RTCP ---


@dataclass(frozen=True)
class Block:
    """What a receiver report says of our packets, and when it came."""

    at_ns: int
    lost: int
    jitter: int
    last_sr: int
    held: int

    @property
    def rtt_s(self) -> float:
        """A - LSR - DLSR (RFC 3550, 6.4.1), all in 1/65536 s."""
        seconds, ns = divmod(self.at_ns, 10**9)
        arrived = (seconds + NTP_EPOCH_S) % 65_536 * 65_536 + ns * 65_536 // 10**9
        return (arrived - self.last_sr - self.held) % 2**32 * NTP_STEP_S


def blocks_of(leg: WireLeg) -> list[Block]:
    """Return the blocks of the receiver reports that a leg was sent."""
    reports = [(at_ns, data) for at_ns, data in leg.reports_heard if len(data) == 32 and data[1] == 201]
    return [Block(at_ns, data[12], *struct.unpack_from("!III", data, 20)) for at_ns, data in reports]


def test_what_peers_report_is_what_the_wire_says(strange: Load) -> None:
    """Their round trip, jitter and share of losses; reports of ours, and what was no report."""
    blocks = [block for leg in legs_of(strange) for block in blocks_of(leg)]
    assert blocks
    total = strange.total
    assert total.count("rtcp.reports") == len(blocks)
    assert total.count("harness.reports_sent") == sum(len(leg.reports_sent) for leg in legs_of(strange))
    assert total.count("harness.reports_ignored") == sum(
        len(leg.reports_heard) - len(blocks_of(leg)) for leg in legs_of(strange)
    )
    rtts_s = [block.rtt_s for block in blocks]
    assert total.histogram("rtcp.rtt").count == len(rtts_s)
    for percent in (0, 50, 100):
        wanted_s = percentile(rtts_s, percent)
        assert strange.percentile_s("rtcp.rtt", percent) == pytest.approx(wanted_s, abs=P50_WITHIN_S + 2 * NTP_STEP_S)
    assert (total.histogram("rtcp.fraction_lost").min, total.histogram("rtcp.fraction_lost").max) == (
        min(block.lost for block in blocks),
        max(block.lost for block in blocks),
    )
    mean_ns = sum(block.jitter for block in blocks) / len(blocks) / EVENT_RATE_HZ * 1e9
    assert total.histogram("rtcp.jitter").mean == pytest.approx(mean_ns)


# --- what is not ours, too late or broken ---


def test_what_is_not_a_legs_own_is_counted_as_on_the_wire(strange: Load) -> None:
    """Copies, probes beyond the limit, those of another leg, what is no RTP, and what comes from nobody."""
    ways = {(theirs, ours) for ours, theirs in strange.media.values()}
    broken = [
        packet
        for packet in strange.datagrams
        if (packet.source, packet.target) in ways and (len(packet.data) < 12 or packet.data[0] >> 6 != 2)
    ]
    ours = {port for port, _ in strange.media.values()}
    strangers = [packet for packet in strange.datagrams if packet.source == strange.stranger_port]
    foreign = [packet for packet in strangers if packet.target in ours]
    counts = {
        "duplicates": sum(heard.duplicates(sender) for heard, sender in strange.callers()),
        "late": sum(heard.late(sender) for heard, sender in strange.callers()),
        "misrouted": sum(heard.misrouted(sender) for heard, sender in strange.callers()),
        "harness.malformed_packets": len(broken),
        "harness.foreign_packets": len(foreign),
        "loss.lost": 0,
        "loss.sent": sum(len(sender.sent) for _, sender in strange.callers()),
    }
    assert {name for name, count in counts.items() if not count} == {"loss.lost"}
    assert {name: strange.total.count(name) for name in counts} == counts


# --- tones ---


def test_tones_are_those_of_the_wire(loads: dict[str, Load]) -> None:
    """By Goertzel's recurrence over what each leg has heard; all were dialled, in their order."""
    load = loads["digits"]
    heard = [digits_heard(packet.payload for packet in leg.heard) for leg in legs_of(load)]
    assert all(heard)
    assert load.total.count("tones.digits") == sum(map(len, heard))
    wrong = sum(digit not in "159D" for digits in heard for digit in digits)
    skipped = sum(
        ("159D".index(later) - "159D".index(earlier) - 1) % 4 for digits in heard for earlier, later in pairwise(digits)
    )
    assert (load.total.count("tones.wrong"), load.total.count("tones.lost")) == (wrong, skipped)
