"""DTMF digits in RTP: the telephone-event payload of RFC 4733."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DIGITS",
    "END_COPIES",
    "EVENT",
    "EVENTS_TYPE",
    "MAX_DURATION",
    "EventPackets",
    "ParsedEvents",
    "encode",
    "parse",
]

EVENT = np.dtype([("event", "u1"), ("flags", "u1"), ("duration", ">u2")])
"""The four bytes of a telephone-event payload (RFC 4733, 2.3)."""

DIGITS = "0123456789*#ABCD"
"""The digits of events 0 to 15 (RFC 4733, 3.2)."""

EVENTS_TYPE = 101
"""Our payload type for them: the one that Asterisk uses itself."""

END_COPIES = 3
"""The last packet of an event is sent so many times, because nothing follows that would make up for its loss."""

MAX_DURATION = 0xFFFF
"""Ticks that the duration field holds; a longer event goes on in another segment (RFC 4733, 2.5.1.3)."""

_END_FLAG, _VOLUME_MASK = 0x80, 0x3F


@dataclass(frozen=True, eq=False)
class EventPackets:
    """The n packets of one event, in the order of sending.

    Attributes
    ----------
    payload
        uint8, (n, 4).
    timestamp_offset
        uint32, (n,). What is added to the time stamp of the event's start: all packets of a segment carry one stamp.
    marker
        bool, (n,). The marker bit: on the event's first packet only.
    """

    payload: NDArray[np.uint8]
    timestamp_offset: NDArray[np.uint32]
    marker: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ParsedEvents:
    """The payloads of n packets, each array of shape (n,).

    Attributes
    ----------
    valid
        bool. Whether the payload is long enough for an event; the other arrays hold 0 where it is not.
    event
        uint8. The event: 0 to 15 are :data:`DIGITS`.
    is_end
        bool. The E bit.
    volume_dbm0
        int8. Power level: 0 to -63 dBm0.
    duration
        uint16. Ticks since the segment's time stamp.
    """

    valid: NDArray[np.bool_]
    event: NDArray[np.uint8]
    is_end: NDArray[np.bool_]
    volume_dbm0: NDArray[np.int8]
    duration: NDArray[np.uint16]


def encode(event: int, duration: int, step: int, volume_dbm0: int = -10) -> EventPackets:
    """Encode an event as packets that are sent one per packet time (RFC 4733, 2.5.1).

    Parameters
    ----------
    event
        0 to 15 for a digit.
    duration
        Ticks of the RTP clock that the event lasts; at least 1.
    step
        Ticks per packet time.
    volume_dbm0
        0 to -63.

    Raises
    ------
    ValueError
        When a value does not fit its field.
    """
    if not 0 <= event <= 255 or not -_VOLUME_MASK <= volume_dbm0 <= 0 or duration < 1 or step < 1:
        message = f"no such event: {event} of {duration} ticks in steps of {step} at {volume_dbm0} dBm0"
        raise ValueError(message)
    # A segment ends with a packet whose duration field is full; the packets after it count from there.
    updates = np.union1d(np.arange(step, duration, step), np.arange(MAX_DURATION, duration, MAX_DURATION))
    times = np.append(updates, [duration] * END_COPIES).astype(np.int64)
    segment = (times - 1) // MAX_DURATION  # - 1: a packet whose field is just full still belongs to its segment
    payload = np.zeros(len(times), EVENT)
    payload["event"] = event
    payload["flags"] = -volume_dbm0
    payload["flags"][-END_COPIES:] |= _END_FLAG
    payload["duration"] = times - segment * MAX_DURATION
    return EventPackets(
        payload=payload.view(np.uint8).reshape(-1, EVENT.itemsize),
        timestamp_offset=(segment * MAX_DURATION).astype(np.uint32),
        marker=np.arange(len(times)) == 0,
    )


def parse(payload: NDArray[np.uint8], lengths: NDArray[np.int32]) -> ParsedEvents:
    """Read telephone-event payloads.

    Parameters
    ----------
    payload
        (n, width) uint8. Payloads, one a row.
    lengths
        (n,) int32. Bytes of each.
    """
    valid = lengths >= EVENT.itemsize
    if payload.shape[1] < EVENT.itemsize:
        events = np.zeros(len(payload), EVENT)
    else:
        events = np.where(valid, payload[:, : EVENT.itemsize].copy().view(EVENT)[:, 0], np.zeros(1, EVENT))
    return ParsedEvents(
        valid=valid,
        event=events["event"],
        is_end=events["flags"] >= _END_FLAG,
        volume_dbm0=-(events["flags"] & _VOLUME_MASK).astype(np.int8),
        duration=events["duration"].astype(np.uint16),
    )
