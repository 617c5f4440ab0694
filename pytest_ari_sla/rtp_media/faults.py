"""How a peer misbehaves over RTP on purpose: what changes in its stream, and when."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.media.peer_faults import ChangeSsrc, JumpTimestamp, PeerFault, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Alteration", "alterations", "builtin_faults"]

_JUMP_MS = 60_000


@dataclass(frozen=True)
class Alteration:
    """What a stream has from a moment on.

    Attributes
    ----------
    ssrc
        Its SSRC.
    timestamp_offset
        What its time stamps are ahead by, in ticks of its clock.
    """

    ssrc: int
    timestamp_offset: int


def builtin_faults() -> list[PeerFault]:
    """Return those that come with the tool: the stream goes on, and is judged like all others."""
    return [
        PeerFault("ssrc_change", (Wait(1000), ChangeSsrc()), ("rtp",), is_measured=True),
        PeerFault("timestamp_jump", (Wait(1000), JumpTimestamp(_JUMP_MS)), ("rtp",), is_measured=True),
    ]


def alterations(fault: PeerFault, ssrc: int, clock_rate_hz: int) -> Iterator[tuple[float, Alteration]]:
    """Yield what becomes of a stream that began with this SSRC, each with the seconds since its begin.

    Raises
    ------
    UsageError
        The fault has a step that only a connection can take.
    """
    after_ms = timestamp_offset = 0
    for step in fault.steps:
        match step:
            case Wait(ms):
                after_ms += ms
                continue
            case ChangeSsrc():
                ssrc = (ssrc + 1 + secrets.randbelow((1 << 32) - 1)) % (1 << 32)  # any but the one before
            case JumpTimestamp(ms):
                timestamp_offset += ms * clock_rate_hz // 1000
            case _:
                raise UsageError(
                    f"peer fault {fault.name!r}: over RTP a peer can Wait, ChangeSsrc and JumpTimestamp, not "
                    f"{type(step).__name__}"
                )
        yield after_ms / 1000, Alteration(ssrc, timestamp_offset)
