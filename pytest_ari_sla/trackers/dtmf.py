"""DTMF digits as they are received: each counted once, however many packets it takes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.metrics.catalogue import Metric
from pytest_ari_sla.metrics.histogram import Histogram
from pytest_ari_sla.rtp.dtmf import MAX_DURATION, parse
from pytest_ari_sla.rtp.jitter import TELEPHONE_EVENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs import TrackerContext
    from pytest_ari_sla.rtp.packet_batch import PacketBatch

__all__ = ["CLOCK_RATE_HZ", "DtmfTracker"]

CLOCK_RATE_HZ = 8000
"""Rate of telephone-event's time stamps as Asterisk offers it, whatever the audio's codec is."""

_REMEMBERED_DIGITS = 4


@dataclass
class _Digit:
    """One digit on its way.

    Attributes
    ----------
    ssrc, event, timestamp
        What identifies it; a long digit's later segments have later stamps.
    segment_start, duration
        Ticks from the digit's start to its latest segment, and from there to its latest packet.
    is_ended
        Whether a packet with the E bit has come.
    """

    ssrc: int
    event: int
    timestamp: int
    segment_start: int = 0
    duration: int = 0
    is_ended: bool = False

    def takes(self, ssrc: int, event: int, timestamp: int) -> bool:
        """Whether a packet belongs to this digit; turns to the digit's next segment when it begins one."""
        if (ssrc, event) != (self.ssrc, self.event):
            return False
        offset = (timestamp - self.timestamp) % 2**32
        if offset == self.segment_start + MAX_DURATION and self.duration and not self.is_ended:
            self.segment_start, self.duration = offset, 0
        return offset in (self.segment_start, self.segment_start - MAX_DURATION)

    @property
    def length(self) -> int:
        """Ticks that the digit has lasted so far."""
        return self.segment_start + self.duration


class DtmfTracker:
    """Counts digits by what makes them one: source, event and start time stamp (RFC 4733, 2.5.1).

    Digits are rare, so that packets are taken one by one; batches without any cost a comparison.
    """

    name = "dtmf"
    metrics = (
        Metric("dtmf.digits", "count", "count", "DTMF digits received, each once (RFC 4733)", better="higher"),
        Metric("dtmf.unfinished", "count", "count", "Digits whose end never came"),
        Metric("dtmf.duration", "distribution", "s", "How long digits lasted, by their own time stamps"),
        Metric("dtmf.gap", "distribution", "s", "From a digit's end until the next one, by their time stamps"),
    )

    BYTES_PER_LEG = 8

    def begin(self, context: TrackerContext) -> None:
        """Start without any digit."""
        # The latest digits of each leg, the newest one last: packets of an earlier one may come late.
        self._pressed: dict[int, deque[_Digit]] = {}
        self._digits = np.zeros(context.legs, np.int64)
        self._counts: Counter[str] = Counter()
        self._duration, self._gap = Histogram(), Histogram()

    def observe(self, batch: PacketBatch) -> None:
        """Take in the batch's telephone-events."""
        rows = np.flatnonzero(batch.payload_type == TELEPHONE_EVENT)
        if not len(rows):
            return
        events = parse(batch.payload[rows], batch.payload_length[rows])
        columns = (batch.leg[rows], batch.ssrc[rows], events.event, batch.timestamp[rows], events.duration)
        packets = zip(*(column[events.valid].tolist() for column in columns), strict=True)
        for (leg, *packet), is_end in zip(packets, events.is_end[events.valid].tolist(), strict=True):
            self._take(leg, *packet, is_end=is_end)

    def _take(self, leg: int, ssrc: int, event: int, timestamp: int, duration: int, *, is_end: bool) -> None:
        digits = self._pressed.setdefault(leg, deque(maxlen=_REMEMBERED_DIGITS))
        digit = next((known for known in digits if known.takes(ssrc, event, timestamp)), None)
        if digit is None:
            digit = _Digit(ssrc, event, timestamp)
            self._press(leg, digits[-1] if digits else None, digit)
            if len(digits) == _REMEMBERED_DIGITS:
                self._forget(digits[0])
            digits.append(digit)
        if (timestamp - digit.timestamp) % 2**32 == digit.segment_start:
            digit.duration = max(digit.duration, duration)
        if is_end and not digit.is_ended:
            digit.is_ended = True
            self._duration.record_one(digit.length * 1_000_000_000 // CLOCK_RATE_HZ)

    def _press(self, leg: int, before: _Digit | None, digit: _Digit) -> None:
        self._counts["dtmf.digits"] += 1
        self._digits[leg] += 1
        if before is not None and before.is_ended and before.ssrc == digit.ssrc:
            gap = (digit.timestamp - before.timestamp) % 2**32 - before.length
            self._gap.record_one(gap * 1_000_000_000 // CLOCK_RATE_HZ)

    def _forget(self, digit: _Digit) -> None:
        self._counts["dtmf.unfinished"] += not digit.is_ended

    def advance(self, now_ns: int) -> None:
        """Digits have times of their own."""

    def release(self, legs: NDArray[np.int32]) -> None:
        """Give up the digits of these legs that have not ended."""
        for leg in legs.tolist():
            for digit in self._pressed.pop(leg, ()):
                self._forget(digit)
        self._digits[legs] = 0

    def snapshot(self) -> Mapping[str, Histogram | int]:
        """Return counts and times since :meth:`begin`; a digit is found unfinished when it is given up."""
        return {
            "dtmf.digits": self._counts["dtmf.digits"],
            "dtmf.unfinished": self._counts["dtmf.unfinished"],
            "dtmf.duration": self._duration.copy(),
            "dtmf.gap": self._gap.copy(),
        }

    def per_leg(self) -> Mapping[str, NDArray[np.float64]]:
        """Return how many digits each leg has heard."""
        return {"dtmf.digits": self._digits.astype(np.float64)}
