"""What a leg has said, turn by turn, from when it began to say each of its voices: evidence, rebuilt afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.capture.kept_packets import SaidFrames
from pytest_ari_sla.rtp.event_frames import EVENT_FRAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_ari_sla.hookspecs.codec import Voice

__all__ = ["VoiceOrders", "said_frames"]


class VoiceOrders:
    """What a leg was told to say, and when it really began.

    Attributes
    ----------
    begun
        (ns since the Unix epoch, number of the voice) of each order that was carried out, in order.
    """

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self._ordered: int | None = None
        self._ordered_ns = 0

    def order(self, voice: int, last_began_ns: int, now_ns: int) -> None:
        """Note an order; ``last_began_ns``: when the leg began to say what it was last told to, as far as is known."""
        self.settle(last_began_ns)
        self._ordered, self._ordered_ns = voice, now_ns

    def settle(self, last_began_ns: int) -> None:
        """Note when what was last told began; nothing where that has not begun."""
        known_ns = self.begun[-1][0] if self.begun else 0
        # Of two that were told before one frame, only the second was said.
        is_same_frame = last_began_ns == known_ns >= self._ordered_ns
        if self._ordered is not None and last_began_ns > 0 and (last_began_ns != known_ns or is_same_frame):
            self.begun[len(self.begun) - is_same_frame :] = [(last_began_ns, self._ordered)]
            self._ordered = None


def said_frames(
    due_ns: NDArray[np.int64],
    first_turn: int,
    packet_time_ns: int,
    first_voice: Voice,
    begun: Sequence[tuple[int, int]],
    voices: Sequence[Voice],
) -> SaidFrames:
    """Return what a leg said in some turns.

    Parameters
    ----------
    due_ns
        (k,) When its packet of each turn was due.
    first_turn
        The first turn.
    packet_time_ns
        From one turn to the next.
    first_voice
        What it said until it was told otherwise, since turn 0.
    begun, voices
        When (ns) it began to say which of the voices, all of whose frames are of one size.
    """
    count = len(due_ns)
    payload = np.zeros((count, first_voice.frames.shape[1]), np.uint8)
    events = np.zeros(count, EVENT_FRAME)
    starts = np.searchsorted(due_ns, [began_ns for began_ns, _ in begun])
    spans = [(0, first_voice, first_turn)]
    # A voice whose beginning is not among these turns any more has said some of its frames before them.
    spans += [
        (int(start), voices[number], round((int(due_ns[start]) - began_ns) / packet_time_ns))
        for start, (began_ns, number) in zip(starts, begun, strict=True)
        if start < count
    ]
    ends = [start for start, _, _ in spans[1:]] + [count]
    for (start, voice, frame), end in zip(spans, ends, strict=True):
        frames = (frame + np.arange(end - start)) % len(voice.frames)
        payload[start:end] = voice.frames[frames]
        if voice.events is not None:
            events[start:end] = voice.events.reshape(-1).view(EVENT_FRAME)[frames]
    width = min(payload.shape[1], events["payload"].shape[1])
    pressed = events["marker_and_type"] > 0
    payload[pressed, :width] = events["payload"][pressed, :width]
    return SaidFrames(payload, events["marker_and_type"].copy(), events["frames_ago"].astype(np.int64))
