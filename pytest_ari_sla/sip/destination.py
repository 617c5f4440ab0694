"""Whom a caller calls by SIP, read from what a test says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_ari_sla.errors import UsageError

__all__ = ["SIP_PORT", "SipDestination", "parse_destination"]

SIP_PORT = 5060

_DESTINATION = re.compile(
    r"(?:sip:)?(?P<user>[\w.!~*'()&=+$,?/%#-]+)(?:@(?P<host>[\w.-]+)(?::(?P<port>\d{1,5}))?)?"
    r"(?:;transport=(?P<protocol>udp|tcp))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SipDestination:
    """Whom to call.

    Attributes
    ----------
    user
        What stands before the @: an extension.
    host, port
        Where; an empty host is the target's, and port 0 the target's or SIP's own.
    protocol
        ``udp`` or ``tcp``.
    """

    user: str
    host: str = ""
    port: int = 0
    protocol: str = "udp"

    @property
    def uri(self) -> str:
        """As a SIP URI; the host must be known."""
        return f"sip:{self.user}@{self.host}:{self.port or SIP_PORT}"


def parse_destination(text: str) -> SipDestination:
    """Read ``700``, ``700@pbx`` or ``sip:700@pbx:5060;transport=tcp``.

    Raises
    ------
    UsageError
        It is none of them.
    """
    match = _DESTINATION.fullmatch(text)
    port = int(match["port"] or 0) if match else 0
    if match is None or port > 65535 or (match["port"] and not port):
        raise UsageError(
            f"to={text!r} is not somebody to call by SIP: expected 700, 700@pbx or sip:700@pbx:5060;transport=tcp"
        )
    return SipDestination(match["user"], match["host"] or "", port, (match["protocol"] or "udp").lower())
