"""What a caller does, step by step: the words of a script."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytest_ari_sla.callers.wav import read_wav
from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.units import format_duration_ns, parse_duration_ns
from pytest_ari_sla.rtp.keypad import KEYPAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Caller",
    "Dial",
    "HangUp",
    "Listen",
    "OwnStep",
    "Say",
    "Script",
    "Step",
    "Wait",
    "check_script",
    "dial",
    "hang_up",
    "listen",
    "say",
    "wait",
]

OWN_STEP_TIMEOUT_NS = 30_000_000_000


class Caller(Protocol):
    """What a step of a team's own sees of the caller that it is a step of."""

    @property
    def id(self) -> str:
        """Id of the call."""

    @property
    def is_heard(self) -> bool:
        """Whether the other side speaks."""

    @property
    def silent_s(self) -> float:
        """For how long the other side has been silent; 0 while it speaks."""

    def note(self, what: str, detail: str = "") -> None:
        """Add to the call's time line."""


OwnStep = Callable[[Caller], Awaitable[None] | None]


# eq=False: the == of two arrays is an array, which has no truth value.
@dataclass(frozen=True, eq=False)
class Say:
    """Speak.

    Attributes
    ----------
    audio
        Path of a WAV, or its samples.
    name
        How reports call it.
    over
        Whether to speak while the other side does.
    after_ns
        With ``over``: how long it has spoken by then.
    within_ns
        With ``over``: how long to wait until it speaks, and again until it falls silent.
    """

    audio: Path | NDArray[np.int16]
    name: str
    over: bool
    after_ns: int
    within_ns: int

    def __str__(self) -> str:
        return f"say({self.name}{', over=True' if self.over else ''})"


@dataclass(frozen=True)
class Listen:
    """Hear the other side out: until it has spoken, and has been silent for a while.

    Attributes
    ----------
    within_ns
        How long to wait until it begins.
    silence_ns
        After which silence it has finished.
    most_ns
        How long it may speak.
    """

    within_ns: int
    silence_ns: int
    most_ns: int

    def __str__(self) -> str:
        return f"listen(within={format_duration_ns(self.within_ns)})"


@dataclass(frozen=True)
class Dial:
    """Press keys."""

    digits: str

    def __str__(self) -> str:
        return f"dial({self.digits})"


@dataclass(frozen=True)
class Wait:
    """Do nothing for a while."""

    duration_ns: int

    def __str__(self) -> str:
        return f"wait({format_duration_ns(self.duration_ns)})"


@dataclass(frozen=True)
class HangUp:
    """End the call; or, with ``within_ns``, wait until the other side does."""

    within_ns: int | None

    def __str__(self) -> str:
        within = "" if self.within_ns is None else f'by="them", within={format_duration_ns(self.within_ns)}'
        return f"hang_up({within})"


Step = Say | Listen | Dial | Wait | HangUp | OwnStep
Script = Sequence[Step]


def say(audio: str | Path | NDArray[np.int16], *, over: bool = False, after: str = "500ms", within: str = "10s") -> Say:
    """Speak a WAV (its path is relative to the file that this is written in), or samples at 16 kHz.

    Parameters
    ----------
    audio
        PCM WAV of any rate, or (n,) int16 at 16 kHz.
    over
        Barge in: wait until the other side has spoken for ``after``, and speak over it. The step is over when both are
        silent: ours has been said, and they have stopped.
    after, within
        With ``over``: how far into their speech to begin; how long to wait for their speech to begin, and to end.

    Raises
    ------
    UsageError
        The WAV is missing, or cannot be read.
    """
    if isinstance(audio, np.ndarray):
        if audio.dtype != np.int16 or audio.ndim != 1 or not audio.size:
            raise UsageError(f"say() takes samples as int16 of one dimension, not {audio.dtype} of {audio.shape}")
        return Say(audio, f"{len(audio)} samples", over, parse_duration_ns(after), _positive(within, "say(within=…)"))
    path = Path(audio)
    if not path.is_absolute():
        # Beside the file that the script is written in; a missing one is an error when that is collected.
        path = Path(sys._getframe(1).f_globals.get("__file__", ".")).parent / path
    # Only to refuse a broken file here, where the line that names it is in the traceback.
    read_wav(path)
    return Say(path, path.name, over, parse_duration_ns(after), _positive(within, "say(within=…)"))


def listen(within: str = "10s", *, silence: str = "700ms", most: str = "1m") -> Listen:
    """Hear the other side out.

    Parameters
    ----------
    within
        How long to wait until it begins to speak.
    silence
        After which silence it has finished.
    most
        How long it may speak.
    """
    given = {"within": within, "silence": silence, "most": most}
    return Listen(*(_positive(text, f"listen({name}=…)") for name, text in given.items()))


def dial(digits: str) -> Dial:
    """Press keys: ``dial("1#")``. By SIP as telephone events (RFC 4733), else as tones in the audio.

    Raises
    ------
    UsageError
        A character is not on the keypad.
    """
    wrong = [digit for digit in digits.upper() if digit not in KEYPAD]
    if wrong or not digits:
        raise UsageError(f"dial({digits!r}): the keys are {KEYPAD}")
    return Dial(digits.upper())


def wait(duration: str) -> Wait:
    """Do nothing for a while; to follow what is heard, :func:`listen`."""
    return Wait(parse_duration_ns(duration))


def hang_up(*, by: str = "us", within: str = "10s") -> HangUp:
    """End the call; ``by="them"``: wait until the other side does."""
    if by not in ("us", "them"):
        raise UsageError(f"hang_up(by={by!r}): 'us' or 'them'")
    return HangUp(None if by == "us" else _positive(within, "hang_up(within=…)"))


def _positive(text: str, what: str) -> int:
    duration_ns = parse_duration_ns(text)
    if duration_ns <= 0:
        raise UsageError(f"{what}: {text!r} is no time at all")
    return duration_ns


def check_script(script: object) -> tuple[Step, ...]:
    """Return a script as it was given, with something to do in it.

    Raises
    ------
    UsageError
        It is not a sequence of steps.
    """
    # A str is a sequence too, and its characters would be named as the wrong steps.
    if not isinstance(script, Sequence) or isinstance(script, str) or not script:
        raise UsageError(f"script={script!r}: a script is a list of steps: [listen(), say('question.wav'), hang_up()]")
    for number, step in enumerate(script, 1):
        # ``listen`` for ``listen()`` and ``Say`` for ``say()`` are slips, though both can be called.
        is_own = callable(step) and not isinstance(step, type) and step not in (say, listen, dial, wait, hang_up)
        if not (isinstance(step, Say | Listen | Dial | Wait | HangUp) or is_own):
            raise UsageError(
                f"step {number} of the script is {step!r}: steps are say(), listen(), dial(), wait(), hang_up() of "
                "pytest_ari_sla, or functions"
            )
    return tuple(script)
