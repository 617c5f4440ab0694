"""What is known when blame is to be laid: of the call, and of what happened in its load."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "HUNG_UP",
    "PEER_FAULT",
    "SCRIPT_FAILED",
    "CallEvidence",
    "Incident",
    "IncidentKind",
    "LoadEvidence",
    "earliest",
]

HUNG_UP = "HungUp"
"""How a call ended that the other side hung up; where an error ended it, that is the error's name."""

PEER_FAULT = "PeerFault"
"""How a call ended whose peer misbehaved on purpose: nobody is to blame."""

SCRIPT_FAILED = "ScriptFailed"
"""How a call ended whose script could not go on."""


class IncidentKind(Enum):
    """What can happen to a load as a whole."""

    ASTERISK_ENDED = "asterisk ended"
    ASTERISK_RESTARTED = "asterisk restarted"
    ARI_SILENT = "ari silent"
    CHANNELS_LOCKED = "channels locked"
    APPLICATION_ENDED = "application ended"
    GENERATOR_BROKE = "generator broke"
    OUT_OF_FILES = "out of files"
    MEASURING_STALL = "measuring stall"
    MEDIA_STALL = "media stall"
    RELAY_STALL = "relay stall"
    ECHO_STALL = "echo stall"


class Incident(Struct, frozen=True):
    """Something that happened to a load as a whole; times are seconds since its beginning.

    Attributes
    ----------
    kind
        What.
    from_s, until_s
        When it began, and when it was over; the load's end or later, where it never was.
    words
        What is known of it, as a part of a sentence; empty where its kind says all.
    """

    kind: IncidentKind
    from_s: float
    until_s: float
    words: str = ""


@dataclass(frozen=True)
class CallEvidence:
    """One call; times are seconds since the load's beginning.

    Attributes
    ----------
    state
        ``ended``, ``failed``, ``dropped`` or ``cancelled``.
    cause
        How it failed or was dropped: an error's name, `HUNG_UP`, `SCRIPT_FAILED`, or nothing where it did neither.
    started_s, ended_s
        When it was asked for, and when it was over.
    was_heard
        Whether a packet ever came back; None where none was to come, or none can be told apart.
    sent, lost
        Its packets of known fate, and those of them that did not come back.
    delay_p99_s
        99th percentile of the delay of those that came back; None where it is not known.
    is_scripted
        Whether it talked to an application, by a script.
    """

    state: str
    cause: str = ""
    started_s: float = 0.0
    ended_s: float = 0.0
    was_heard: bool | None = True
    sent: int = 0
    lost: int = 0
    delay_p99_s: float | None = None
    is_scripted: bool = False

    @property
    def has_ended_badly(self) -> bool:
        """Whether it was not established, or ended too early."""
        return self.state in ("failed", "dropped")


@dataclass(frozen=True)
class LoadEvidence:
    """What happened to a load as a whole.

    Attributes
    ----------
    incidents
        In the order of their beginnings.
    nobody_was_heard
        Whether not one packet came back, on any call.
    """

    incidents: tuple[Incident, ...] = ()
    nobody_was_heard: bool = False

    def during(self, call: CallEvidence, kind: IncidentKind, before_s: float = 0.0) -> Incident | None:
        """Return the first incident of a kind in a call's life, or at most so long after its end."""
        return next(
            (
                incident
                for incident in self.incidents
                if incident.kind is kind
                and incident.from_s - before_s <= call.ended_s
                and incident.until_s >= call.started_s
            ),
            None,
        )


def earliest(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Return incidents in order: of those that overlap and are the same for all shards, the first."""
    found: list[Incident] = []
    for one in sorted(incidents, key=lambda incident: incident.from_s):
        # Each shard tells of the same event as it noticed it: the first one is nearest to when it was.
        if not any(one.kind is other.kind and one.from_s <= other.until_s for other in found):
            found.append(one)
    return tuple(found)
