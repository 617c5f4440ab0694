"""SIP messages as a dialog needs them: read from what the network brings, and built."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosipua import SipMessage, SipRequest, SipResponse, build_credentials, generate_branch, parse_auth, stringify_auth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiosipua import SipDigestAuth

    from pytest_ari_sla.arguments import Address

__all__ = [
    "ALLOWED",
    "Incoming",
    "MalformedMessage",
    "Party",
    "authorization",
    "make_request",
    "make_response",
    "read_message",
]

ALLOWED = "INVITE, ACK, CANCEL, BYE, OPTIONS"

_BRANCH = re.compile(r";\s*branch\s*=\s*([^\s;,]+)", re.IGNORECASE)
_TAG = re.compile(r";\s*tag\s*=\s*([^\s;,]+)", re.IGNORECASE)
# Below 2**31 (RFC 3261, 8.1.1.5): ten digits.
_CSEQ = re.compile(r"(\d{1,10})\s+(\S+)")
_START = re.compile(rb"(?:SIP/2\.0 [1-6]\d\d(?: |\r\n)|[!-~]+ [!-~]+ SIP/2\.0\r\n)")
# Without one of these a response cannot be built, nor a message be told from others (RFC 3261, 8.2.6.2).
_REQUIRED = ("via", "from", "to", "call-id", "cseq")


class MalformedMessage(Exception):
    """What came is not a SIP message, or one that nobody could answer; the argument says why."""


@dataclass(frozen=True)
class Incoming:
    """A message that came, with what it belongs to.

    Attributes
    ----------
    message
        As it was read.
    call_id, branch, number, method, from_tag, to_tag
        Call-ID, branch of the topmost Via, both parts of CSeq, tags; empty where there is none.
    """

    message: SipRequest | SipResponse
    call_id: str
    branch: str
    number: int
    method: str
    from_tag: str
    to_tag: str

    @property
    def status(self) -> int:
        """Status code of a response; 0 of a request."""
        return self.message.status_code if isinstance(self.message, SipResponse) else 0

    def header(self, name: str) -> str:
        """Return the first value of a header, or nothing."""
        return self.message.get_header(name) or ""


@dataclass(frozen=True)
class Party:
    """Who we are in a call.

    Attributes
    ----------
    address
        Where we are reached: Via and Contact.
    protocol
        ``udp`` or ``tcp``.
    user
        Our part of From and Contact.
    display
        Our name as the other side shows it.
    account
        What challenges are answered with; None: nothing.
    """

    address: Address
    protocol: str
    user: str
    display: str = ""
    account: SipDigestAuth | None = None

    @property
    def contact(self) -> str:
        """Value of the Contact header."""
        host, port = self.address
        parameter = ";transport=tcp" if self.protocol == "tcp" else ""
        return f"<sip:{self.user}@{host}:{port}{parameter}>"

    def from_header(self, tag: str) -> str:
        """Return the value of the From header."""
        shown = self.display.replace("\\", "\\\\").replace('"', '\\"')  # quoted-pair: RFC 3261, 25.1
        name = f'"{shown}" ' if self.display else ""
        return f"{name}<sip:{self.user}@{self.address[0]}>;tag={tag}"

    def via(self, branch: str = "") -> str:
        """Return the value of a Via header, with a branch of its own unless one is given."""
        host, port = self.address
        # rport: the response comes to the port that we sent from, also through NAT (RFC 3581).
        return f"SIP/2.0/{self.protocol.upper()} {host}:{port};rport;branch={branch or generate_branch()}"


def read_message(data: bytes) -> Incoming:
    """Read a message.

    Raises
    ------
    MalformedMessage
        It is none, or lacks what tells where it belongs.
    """
    if _START.match(data) is None:
        raise MalformedMessage("no start line of SIP/2.0")
    try:
        message = SipMessage.parse(data)
    except Exception as problem:  # whatever the parser trips over came from the network
        raise MalformedMessage(str(problem)) from problem
    values = {name: message.get_header(name) or "" for name in _REQUIRED}
    missing = [name for name, value in values.items() if not value]
    branch, cseq = _BRANCH.search(values["via"]), _CSEQ.fullmatch(values["cseq"].strip())
    if missing or branch is None or cseq is None:
        raise MalformedMessage(f"no usable {', '.join(missing) or 'Via or CSeq'}")
    if isinstance(message, SipRequest) and message.method != cseq[2]:  # RFC 3261, 8.1.1.5
        raise MalformedMessage(f"{message.method} with CSeq {cseq[2]}")
    # Responses repeat these values: a line break in one would begin a header of its choice.
    if "\r" in "".join(values.values()) or "\n" in "".join(values.values()):
        raise MalformedMessage("a header with line breaks")
    return Incoming(
        message, values["call-id"], branch[1], int(cseq[1]), cseq[2], _tag(values["from"]), _tag(values["to"])
    )


def _tag(value: str) -> str:
    # A tag before the bracket is part of a name, one inside it belongs to the URI.
    match = _TAG.search(value.rpartition(">")[2] if ">" in value else value)
    return match[1] if match else ""


def make_request(method: str, uri: str, headers: Mapping[str, str | list[str]], body: bytes = b"") -> SipRequest:
    """Return a request with these headers; those with several values come once for each."""
    request = SipRequest(method=method, uri=uri, body=body)
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values:
            request.headers.append(name, value)
    request.headers.set_single("Max-Forwards", "70")  # RFC 3261, 8.1.1.6
    request.headers.set_single("User-Agent", "pytest-ari-sla")
    if body:
        request.headers.set_single("Content-Type", "application/sdp")
    return request


def make_response(
    incoming: Incoming, status: int, reason: str, tag: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return the response to a request (RFC 3261, 8.2.6)."""
    request, response = incoming.message, SipResponse(status_code=status, reason_phrase=reason, body=body)
    # All of them, in order: each proxy on the way back finds itself by its own (8.2.6.2).
    for via in request.headers.get("via"):
        response.headers.append("Via", via)
    for name in ("From", "To", "Call-ID", "CSeq"):
        response.headers.set_single(name, incoming.header(name))
    if not incoming.to_tag and status > 100:  # 100 makes no dialog: 8.2.6.2
        response.headers.set_single("To", f"{incoming.header('To')};tag={tag}")
    for name, value in (headers or {}).items():
        response.headers.set_single(name, value)
    response.headers.set_single("Allow", ALLOWED)
    if body:
        response.headers.set_single("Content-Type", "application/sdp")
    return bytes(response)


def authorization(incoming: Incoming, account: SipDigestAuth, method: str, uri: str) -> tuple[str, str] | None:
    """Return the header, with its value, that answers a challenge; None where none of those offered can be answered.

    Asterisk offers one challenge for each algorithm that it knows; what we cannot answer is left to others (RFC 8760).
    """
    asks, answers = {401: ("www-authenticate", "Authorization"), 407: ("proxy-authenticate", "Proxy-Authorization")}[
        incoming.status
    ]
    for value in incoming.message.get_header_values(asks):
        credentials = build_credentials(account, parse_auth(value), method, uri)
        if credentials is not None:
            return answers, stringify_auth(credentials)
    return None
