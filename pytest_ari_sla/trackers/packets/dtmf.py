"""DTMF digits as they are received: each counted once, however many packets it takes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.metrics.metric import Metric
from pytest_ari_sla.rtp.dtmf import DIGITS, MAX_DURATION, parse
from pytest_ari_sla.rtp.jitter import TELEPHONE_EVENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.tracker import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["DtmfTracker"]

_REMEMBERED_EVENTS = 4


@dataclass
class _Event:
    """One event on its way.

    Attributes
    ----------
    ssrc, event, timestamp
        What identifies it; a long event's later segments have later stamps.
    segment_start, duration
        Ticks from the event's start to its latest segment, and from there to its latest packet.
    earlier
        Where its earlier segments began, in ticks from its start: their packets may come late.
    is_ended
        Whether a packet with the E bit has come.
    """

    ssrc: int
    event: int
    timestamp: int
    segment_start: int = 0
    duration: int = 0
    earlier: set[int] = field(default_factory=set)
    is_ended: bool = False

    def takes(self, packet: _Packet) -> bool:
        """Whether a packet belongs to this event; turns to the event's next segment when it begins one."""
        if (packet.ssrc, packet.event) != (self.ssrc, self.event):
            return False
        offset = (packet.timestamp - self.timestamp) % 2**32
        if self._begins_segment(offset, packet):
            self.earlier.add(self.segment_start)
            self.segment_start, self.duration = offset, 0
        return offset == self.segment_start or offset in self.earlier

    def _begins_segment(self, offset: int, packet: _Packet) -> bool:
        """Whether a packet goes on where the latest segment ended: never one with the marker (RFC 4733, 2.5.1.3)."""
        # The second where the segment's last packets are lost: a segment that another follows is full.
        ends = (self.segment_start + self.duration, self.segment_start + MAX_DURATION)
        return offset in ends and self.duration > 0 and not self.is_ended and not packet.marker

    def take(self, packet: _Packet) -> None:
        """Take in a packet of this event; one of an earlier segment tells nothing new."""
        if (packet.timestamp - self.timestamp) % 2**32 == self.segment_start:
            self.duration = max(self.duration, packet.duration)

    @property
    def is_digit(self) -> bool:
        """Whether it is a key of a telephone: hook flash, fax and line tones are events as well."""
        return self.event < len(DIGITS)

    @property
    def length(self) -> int:
        """Ticks that the event has lasted so far."""
        return self.segment_start + self.duration


class _Packet(NamedTuple):
    """What a packet says of its event."""

    ssrc: int
    event: int
    timestamp: int
    duration: int
    marker: bool
    is_end: bool


class DtmfTracker:
    """Counts digits by what makes them one: source, event and start time stamp (RFC 4733, 2.5.1).

    Digits are rare, so that packets are taken one by one; batches without any cost a comparison.
    """

    name = "dtmf"
    metrics = (
        Metric("dtmf.digits", "count", "count", "DTMF digits received, each once (RFC 4733, events 0-15)", "higher"),
        Metric("dtmf.unfinished", "count", "count", "Digits whose end never came"),
        Metric("dtmf.duration", "distribution", "s", "How long digits lasted, by their own time stamps"),
        Metric("dtmf.gap", "distribution", "s", "From a digit's end until the next one, by their time stamps"),
        Metric(
            "dtmf.other_events",
            "count",
            "count",
            "Telephone-events received that are not digits, each once: hook flash (16), line tones (RFC 4733, 3.2)",
        ),
    )

    BYTES_PER_LEG = 8

    def begin(self, context: TrackerContext) -> None:
        """Start without any event."""
        self._clock_rate_hz = context.events_clock_hz
        # The latest events of each leg, the newest one last: packets of an earlier one may come late.
        self._latest: dict[int, deque[_Event]] = {}
        self._digits = np.zeros(context.legs, np.int64)
        self._counts: Counter[str] = Counter()
        self._duration, self._gap = Histogram(), Histogram()

    def observe(self, batch: PacketBatch) -> None:
        """Take in the batch's telephone-events."""
        rows = np.flatnonzero(batch.payload_type == TELEPHONE_EVENT)
        if not len(rows):
            return
        events = parse(batch.payload[rows], batch.payload_length[rows])
        rows = rows[events.valid]
        columns = (batch.ssrc[rows], events.event[events.valid], batch.timestamp[rows])
        more = (events.duration[events.valid], batch.marker[rows], events.is_end[events.valid])
        packets = zip(*(column.tolist() for column in (*columns, *more)), strict=True)
        for leg, packet in zip(batch.leg[rows].tolist(), packets, strict=True):
            self._take(leg, _Packet(*packet))

    def _take(self, leg: int, packet: _Packet) -> None:
        events = self._latest.setdefault(leg, deque())
        event = next((known for known in events if known.takes(packet)), None)
        if event is None:
            event = _Event(packet.ssrc, packet.event, packet.timestamp)
            self._begin(leg, events, event)
        event.take(packet)
        if packet.is_end and not event.is_ended:
            event.is_ended = True
            if event.is_digit:
                self._duration.record_one(event.length * 1_000_000_000 // self._clock_rate_hz)

    def _begin(self, leg: int, events: deque[_Event], event: _Event) -> None:
        before = next((known for known in reversed(events) if known.is_digit), None)
        events.append(event)
        if len(events) > _REMEMBERED_EVENTS:
            self._forget(events.popleft())
        if not event.is_digit:
            self._counts["dtmf.other_events"] += 1
            return
        self._counts["dtmf.digits"] += 1
        self._digits[leg] += 1
        if before is not None and before.is_ended and before.ssrc == event.ssrc:
            # A sender that begins the next digit before the last one's end has left no gap.
            # Signed, across the wrap-around of 32 bits.
            ticks = (event.timestamp - before.timestamp - before.length + 2**31) % 2**32 - 2**31
            self._gap.record_one(max(ticks, 0) * 1_000_000_000 // self._clock_rate_hz)

    def _forget(self, event: _Event) -> None:
        self._counts["dtmf.unfinished"] += event.is_digit and not event.is_ended

    def advance(self, now_ns: int) -> None:
        """Digits have times of their own."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Give up the digits of these legs that have not ended."""
        for leg in legs.tolist():
            for event in self._latest.pop(leg, ()):
                self._forget(event)
        self._digits[legs] = 0

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return counts and times since :meth:`begin`; a digit is found unfinished when it is given up."""
        return {
            "dtmf.digits": self._counts["dtmf.digits"],
            "dtmf.unfinished": self._counts["dtmf.unfinished"],
            "dtmf.duration": self._duration.copy(),
            "dtmf.gap": self._gap.copy(),
            "dtmf.other_events": self._counts["dtmf.other_events"],
        }

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return how many digits each leg has heard."""
        return {"dtmf.digits": self._digits.astype(np.float64)}
