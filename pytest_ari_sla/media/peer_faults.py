"""Peers that misbehave on purpose: what they do is a script of steps, which the media process carries out.

A fault is data, so that one of a team's own crosses to that process like those that are built in.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from pytest_ari_sla.errors import UnknownName, UsageError
from pytest_ari_sla.metrics.units import parse_share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Burst",
    "ChangeSsrc",
    "Close",
    "FaultPlan",
    "HalfClose",
    "JumpTimestamp",
    "Mute",
    "PeerFault",
    "Refuse",
    "Reset",
    "SendBytes",
    "SkipAnswer",
    "Speak",
    "Step",
    "StopReading",
    "Wait",
    "WaitForFrame",
    "plan_faults",
]


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Go on after so many ms."""

    ms: int


class WaitForFrame(msgspec.Struct, frozen=True, tag=True):
    """Go on when Asterisk has sent a frame."""


class Mute(msgspec.Struct, frozen=True, tag=True):
    """Send nothing any more, not even silence."""


class Speak(msgspec.Struct, frozen=True, tag=True):
    """Send again."""


class StopReading(msgspec.Struct, frozen=True, tag=True):
    """Read nothing any more: Asterisk's writes fill the buffers."""


class HalfClose(msgspec.Struct, frozen=True, tag=True):
    """Close the sending half of the connection, and leave the other one open."""


class Reset(msgspec.Struct, frozen=True, tag=True):
    """End the connection with a TCP RST."""


class Close(msgspec.Struct, frozen=True, tag=True):
    """Close the connection."""


class SkipAnswer(msgspec.Struct, frozen=True, tag=True):
    """Do not say what the protocol wants said next: a WebSocket's upgrade stays unanswered."""


class SendBytes(msgspec.Struct, frozen=True, tag=True):
    """Send these bytes as they are."""

    data: bytes


class Burst(msgspec.Struct, frozen=True, tag=True):
    """Send so many frames of silence at once."""

    frames: int


class ChangeSsrc(msgspec.Struct, frozen=True, tag=True):
    """Go on with another SSRC, as one does after a re-INVITE or behind a restarted media server (RTP)."""


class JumpTimestamp(msgspec.Struct, frozen=True, tag=True):
    """Go on with time stamps that are so many ms later, and sequence numbers that are not (RTP)."""

    ms: int


class Refuse(msgspec.Struct, frozen=True, tag=True):
    """Do not be there: Asterisk is told a port where nobody listens. The only step of its script."""


Step = (
    Wait
    | WaitForFrame
    | Mute
    | Speak
    | StopReading
    | HalfClose
    | Reset
    | Close
    | SkipAnswer
    | SendBytes
    | Burst
    | ChangeSsrc
    | JumpTimestamp
    | Refuse
)


class PeerFault(msgspec.Struct, frozen=True):
    """What a misbehaving peer does.

    Attributes
    ----------
    name
        Name used in ``load(peer_faults={name: share})``.
    steps
        What it does, from when Asterisk has said whose the connection is; where it is measured, from its first frame.
    transports
        Those that it exists for.
    is_measured
        Whether its calls are judged like all others, since their media goes on. The media of all other faulty calls is
        not measured, and how they end is nobody's failure.
    """

    name: str
    steps: tuple[Step, ...]
    transports: tuple[str, ...]
    is_measured: bool = False

    def with_number(self, number: int) -> PeerFault:
        """Return the fault that ``NAME:NUMBER`` asks for: bursts of so many frames."""
        steps = tuple(Burst(number) if isinstance(step, Burst) else step for step in self.steps)
        return msgspec.structs.replace(self, name=f"{self.name}:{number}", steps=steps)


class FaultPlan:
    """Which calls have faulty peers: seeded, so that a load has the same ones in every run.

    Parameters
    ----------
    shares
        Faults, and the share of calls that has each.
    seed
        Different for each shard of a fleet.

    Attributes
    ----------
    counts
        Calls that had each fault, by its name.
    """

    def __init__(self, shares: Sequence[tuple[PeerFault, float]], seed: int = 0) -> None:
        self.shares = shares
        self._random = random.Random(seed)
        self.counts: dict[str, int] = {}

    def draw(self) -> PeerFault | None:
        """Return the fault of the next call; None for a healthy one."""
        place = self._random.random()
        for fault, share in self.shares:
            if place < share:
                self.counts[fault.name] = self.counts.get(fault.name, 0) + 1
                return fault
            place -= share  # one number for all faults, so that their shares exclude each other
        return None

    def remarks(self) -> list[str]:
        """Return what a reader of the report must know."""
        if not self.counts:
            return []
        told = ", ".join(f"{name} {count:,}" for name, count in sorted(self.counts.items()))
        judged = [fault.name for fault, _ in self.shares if fault.is_measured and fault.name in self.counts]
        rest = f"; of these, {', '.join(judged)} are judged like all others" if judged else ""
        return [f"Peers misbehaved on purpose in some calls ({told}): their media and end are not judged{rest}"]


def plan_faults(
    asked: Mapping[str, str | float], known: Mapping[str, PeerFault], transports: Sequence[str], shard: int
) -> FaultPlan | None:
    """Return what ``load(peer_faults=…)`` asks for; None for no faults.

    Raises
    ------
    UnknownName
        There is no such fault.
    UsageError
        A share is none, they are more than all calls, or a fault does not exist for the load's transports.
    """
    shares = [(_fault(name, known, transports), _share(name, share)) for name, share in asked.items()]
    # Less a rounding error: 33 % + 56 % + 11 % is more than 1 as floats.
    if sum(share for _, share in shares) > 1 + 1e-9:
        raise UsageError(f"peer_faults={dict(asked)!r} are more than all calls")
    return FaultPlan(shares, seed=shard) if shares else None


def _fault(asked: str, known: Mapping[str, PeerFault], transports: Sequence[str]) -> PeerFault:
    name, _, number = asked.partition(":")
    if name not in known:
        raise UnknownName("peer fault", name, known)
    fault = known[name]
    if not set(fault.transports) & set(transports):
        raise UsageError(
            f"peer fault {name!r} exists for {', '.join(fault.transports)}; this load uses {', '.join(transports)}"
        )
    if not number:
        return fault
    if not number.isdecimal() or not any(isinstance(step, Burst) for step in fault.steps):
        raise UsageError(f"peer fault {asked!r}: only a burst takes a number of frames, such as 'burst:100'")
    return fault.with_number(int(number))


def _share(name: str, share: str | float) -> float:
    value = parse_share(share) if isinstance(share, str) else float(share)
    if not 0 < value <= 1:
        raise UsageError(f"peer_faults: the share of {name!r} is {share!r}; write it like 5%")
    return value
