"""What both ends of a leg told each other by RTCP about its two streams, as it stands at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_ari_sla.rtp.rtcp import ReportBlock

__all__ = ["RtcpRecord", "ToldReport"]


@dataclass(frozen=True)
class ToldReport:
    """A report of ours.

    Attributes
    ----------
    name
        Middle 32 bits of its NTP time: a peer that has it says so, as its LSR.
    block
        What it said of the peer's stream; None where nothing had come.
    """

    name: int
    block: ReportBlock | None


@dataclass(frozen=True)
class RtcpRecord:
    """What is known of a leg beside its packets.

    Attributes
    ----------
    own_ssrc, clock_rate_hz
        Of the stream that it sends.
    first_sequence
        That stream's first sequence number.
    sent_before
        Packets that the leg's schedule called for before that stream began: it has had another SSRC.
    missing
        Packets that the peer sent, by their sequence numbers, and that did not come.
    told
        The last reports that we have sent, in order.
    heard
        What the peer's last report says of the stream; None where none did.
    """

    own_ssrc: int
    clock_rate_hz: int
    first_sequence: int = 0
    sent_before: int = 0
    missing: int = 0
    told: tuple[ToldReport, ...] = ()
    heard: ReportBlock | None = None
