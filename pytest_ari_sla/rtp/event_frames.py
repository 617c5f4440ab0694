"""Keys that are pressed in an RTP stream: which of its packets are telephone events instead of audio (RFC 4733).

A stream sends one packet a packet time, whether audio or event: so its numbers go on without a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.rtp.dtmf import DIGITS, END_COPIES, encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EVENT_FRAME", "EVENT_FRAME_BYTES", "event_frames", "pressed_frames"]

EVENT_FRAME = np.dtype([("marker_and_type", "u1"), ("frames_ago", "u1"), ("payload", "u1", 4), ("unused", "u1", 2)])
"""One packet of a stream. Marker bit and payload type as in its header, 0 for audio; how many packets ago the event
began, whose time stamp all its packets carry; and what it carries."""

EVENT_FRAME_BYTES = EVENT_FRAME.itemsize

TONE_MS = 100  # receivers must know a tone of 40 ms (ITU-T Q.24)
GAP_FRAMES = 2  # at 20 ms the pause of 40 ms that ITU-T Q.24 asks for between two digits
_MARKER = 0x80


def event_frames(digits: str, payload_type: int, clock_rate_hz: int, packet_time_ms: int) -> NDArray[np.uint8]:
    """Return the packets in which some keys are pressed one after the other, with a pause after each.

    Parameters
    ----------
    digits
        Of the keypad.
    payload_type
        Of telephone events.
    clock_rate_hz, packet_time_ms
        Of the stream.

    Returns
    -------
    (packets, 8) uint8: an :data:`EVENT_FRAME` each.
    """
    step = clock_rate_hz * packet_time_ms // 1000
    parts = []
    for digit in digits:
        packets = encode(DIGITS.index(digit), clock_rate_hz * TONE_MS // 1000, step)
        part = np.zeros(len(packets.marker) + GAP_FRAMES, EVENT_FRAME)
        sent = part[: len(packets.marker)]
        sent["marker_and_type"] = payload_type | packets.marker * _MARKER
        sent["frames_ago"] = np.arange(len(sent))
        sent["payload"] = packets.payload
        parts.append(part)
    return np.concatenate(parts).view(np.uint8).reshape(-1, EVENT_FRAME_BYTES)


def pressed_frames(digits: str, packet_time_ms: int) -> int:
    """Return how many packets it is from the first key's beginning until the last one is released."""
    # The first of the end's copies is the packet of the last packet time, so only the others add to it.
    each = -(-TONE_MS // packet_time_ms) + END_COPIES - 1 + GAP_FRAMES
    return each * (len(digits) - 1) + -(-TONE_MS // packet_time_ms)
