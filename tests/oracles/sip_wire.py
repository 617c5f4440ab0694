"""What SIP over datagrams said of each call, read from a capture: an INVITE, and what was responded to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracles.wire import UdpPacket

__all__ = ["WireCall", "sip_calls"]

_CALL_ID = re.compile(rb"^(?:Call-ID|i)\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(rb"^CSeq\s*:\s*\d+\s+(\w+)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(rb"SIP/2\.0 (\d{3}) ")
_CHALLENGES = (401, 407)


@dataclass
class WireCall:
    """When a call was asked for, when it rang, and when it was answered or refused; ns since the epoch."""

    asked_ns: int
    progress_ns: int | None = None
    answered_ns: int | None = None
    refused: int | None = None

    @property
    def post_dial_delay_s(self) -> float | None:
        """From the INVITE until the first response that tells of progress, or the answer (RFC 6076, 4.3)."""
        told = [at_ns for at_ns in (self.progress_ns, self.answered_ns) if at_ns is not None]
        return (min(told) - self.asked_ns) / 1e9 if told else None

    @property
    def setup_s(self) -> float | None:
        """From the INVITE until the answer."""
        return None if self.answered_ns is None else (self.answered_ns - self.asked_ns) / 1e9


def sip_calls(datagrams: Iterable[UdpPacket], server: int) -> list[WireCall]:
    """Return the calls to a server's port, in the order in which they were asked for."""
    calls: dict[bytes, WireCall] = {}
    for packet in datagrams:
        call_id, cseq = _CALL_ID.search(packet.data), _CSEQ.search(packet.data)
        if call_id is None or cseq is None or cseq[1] != b"INVITE":
            continue
        if packet.target == server and packet.data.startswith(b"INVITE "):
            calls.setdefault(call_id[1], WireCall(packet.at_ns))
        elif packet.source == server and (status := _STATUS.match(packet.data)) and call_id[1] in calls:
            _note(calls[call_id[1]], int(status[1]), packet.at_ns)
    return list(calls.values())


def _note(call: WireCall, status: int, at_ns: int) -> None:
    """Take a response; of those that are sent again the first counts."""
    if 100 < status < 200:
        call.progress_ns = call.progress_ns or at_ns
    elif 200 <= status < 300:
        call.answered_ns = call.answered_ns or at_ns
    elif status >= 300 and status not in _CHALLENGES:
        call.refused = status
