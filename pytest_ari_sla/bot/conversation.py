"""What the bot does on one call, frame by frame: told what it hears and what time it is. No I/O.

It greets, listens until the caller has been silent for a while, answers a set time after the caller's last word, and
stops at once when it is interrupted. All times are ns since the Unix epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_ari_sla.codecs.g711 import pcmu as make_pcmu
from pytest_ari_sla.codecs.speech import speech_like

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ENDPOINT_NS", "FRAME_NS", "SILENT_FRAME", "Conversation", "Manners", "is_loud", "spoken_frames"]

FRAME_NS = 20_000_000
_PCMU = make_pcmu()
_MS = 1_000_000

_LOUD_MEAN_SQUARE = (32768 * 10 ** (-45 / 20)) ** 2  # -45 dBFS
ENDPOINT_NS = 300 * _MS
"""A caller who is silent for so long has finished."""

_RAMBLING = 6
_INTERRUPTED_FRAMES = 3
"""So many loud frames in a row are speech, and no click."""


@dataclass(frozen=True)
class Manners:
    """How the bot behaves.

    Attributes
    ----------
    greet_after_ns, answer_after_ns
        How long after the answer it greets, and after the caller's last word it answers; more than 300 ms.
    is_silent
        Never say anything.
    ignores_barge_in
        Speak on when interrupted.
    """

    greet_after_ns: int = 300 * _MS
    answer_after_ns: int = 800 * _MS
    is_silent: bool = False
    ignores_barge_in: bool = False


def spoken_frames(seconds: float, seed: int) -> list[bytes]:
    """Return speech without pauses as PCMU frames of 20 ms, about so long."""
    frame = _PCMU.sample_rate_hz // 50
    # Twice as long as asked for: its pauses go.
    samples = speech_like(seconds * 2, _PCMU.sample_rate_hz, seed)
    blocks = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = blocks[np.square(blocks, dtype=np.float64).mean(axis=1) > 4 * _LOUD_MEAN_SQUARE]
    return [row.tobytes() for row in _PCMU.encode(loud.reshape(-1), 20)[: round(seconds * 50)]]


SILENT_FRAME: bytes = _PCMU.encode(np.zeros(_PCMU.sample_rate_hz // 50, np.int16), 20)[0].tobytes()
_GREETING, _ANSWER = spoken_frames(1.5, 1), spoken_frames(2.0, 2)


def is_loud(payload: bytes) -> bool:
    """Whether a frame of PCMU is as loud as speech."""
    samples = _PCMU.decode(np.frombuffer(payload, np.uint8)[None])
    return bool(np.square(samples, dtype=np.float64).mean() >= _LOUD_MEAN_SQUARE)


class Conversation:
    """One call of the bot.

    Parameters
    ----------
    manners
        How to behave.
    answered_ns
        When the call was answered.
    tell
        Writes into the log what happened, and when.
    """

    def __init__(self, manners: Manners, answered_ns: int, tell: Callable[[str, int], None]) -> None:
        self._manners = manners
        self._tell = tell
        self._says: list[bytes] = []
        self._speaks_at_ns: int | None = answered_ns + manners.greet_after_ns
        # One that does not listen talks at length as well.
        self._next = _GREETING * (_RAMBLING if manners.ignores_barge_in else 1)
        self._is_speaking = False
        self._sounds_until_ns = answered_ns
        self._loud_frames = 0
        self._loud_since_ns = 0
        self._loud_until_ns: int | None = None
        self._hears = False

    def hear(self, payload: bytes, now_ns: int) -> None:
        """Take a frame of the caller's that has come now."""
        if not is_loud(payload):
            self._loud_frames = 0
            return
        self._loud_since_ns = self._loud_since_ns if self._loud_frames else now_ns
        self._loud_frames += 1
        if self._loud_frames >= _INTERRUPTED_FRAMES:
            self._loud_until_ns = now_ns + FRAME_NS
            self._note_speech(now_ns)

    def press(self, digit: str, now_ns: int) -> None:
        """Take a key that the caller has pressed by now: it is answered like a word."""
        self._tell(f"key {digit}", now_ns)
        self._loud_since_ns = self._loud_until_ns = now_ns
        self._note_speech(now_ns)

    def _note_speech(self, now_ns: int) -> None:
        if not self._hears:
            self._hears = True
            self._tell("caller_began", self._loud_since_ns)
        self._speaks_at_ns = None
        if self._is_speaking and not self._manners.ignores_barge_in:
            self._stop("interrupted", self._sounds_until_ns)

    def frame(self, now_ns: int) -> bytes:
        """Return what to send now."""
        self._notice_end(now_ns)
        is_due = self._speaks_at_ns is not None and now_ns >= self._speaks_at_ns
        # One that ignores an interruption finishes what it says first.
        if is_due and not self._says and not self._manners.is_silent:
            self._speaks_at_ns = None
            # Reversed: taken from its end, frame by frame, without moving the rest.
            self._says, self._is_speaking = list(reversed(self._next)), True
            self._tell("began", now_ns)
        if not self._says:
            return SILENT_FRAME
        frame = self._says.pop()
        self._sounds_until_ns = now_ns + FRAME_NS
        if not self._says:
            self._stop("ended", self._sounds_until_ns)
        return frame

    def _stop(self, how: str, at_ns: int) -> None:
        self._says, self._is_speaking = [], False
        self._tell(how, at_ns)

    def _notice_end(self, now_ns: int) -> None:
        """Plan the answer when the caller has finished."""
        if self._hears and self._loud_until_ns is not None and now_ns - self._loud_until_ns >= ENDPOINT_NS:
            self._hears = False
            self._tell("caller_ended", self._loud_until_ns)
            self._speaks_at_ns = self._loud_until_ns + self._manners.answer_after_ns
            self._next = _ANSWER
