"""The other side of a call, as tests play it: reads what we send, and says what it would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ari_sla.sip.dialog import OutgoingCall
from pytest_ari_sla.sip.messages import Incoming, Party, read_message
from pytest_ari_sla.sip.sdp import OwnStream

if TYPE_CHECKING:
    from aiosipua import SipDigestAuth

__all__ = ["ANSWER_SDP", "MS", "Peer", "S", "new_call"]

MS, S = 1_000_000, 1_000_000_000
TARGET = "sip:700@192.0.2.1:5060"
OUR_STREAM = OwnStream(("192.0.2.9", 20_000), 0, "PCMU/8000", 20, 7)
ANSWER_SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def new_call(account: SipDigestAuth | None = None, protocol: str = "udp") -> OutgoingCall:
    """Return a call that has just been begun, at time 0."""
    return OutgoingCall(Party(("192.0.2.9", 5062), protocol, "alice", "Alice", account), TARGET, OUR_STREAM, 0)


class Peer:
    """Whom the call is to."""

    def __init__(self, call: OutgoingCall, tag: str = "theirs") -> None:
        self.call = call
        self.tag = tag
        self.sent: list[Incoming] = []

    def hears(self) -> list[str]:
        """Return what has come since the last time: methods, and status codes of responses."""
        came = [read_message(message) for message in self.call.take_outgoing()]
        self.sent += came
        return [f"{one.status} {one.method}" if one.status else one.method for one in came]

    def last(self, method: str) -> Incoming:
        """Return the last request of a method that came."""
        return next(one for one in reversed(self.sent) if one.method == method and not one.status)

    def responds(
        self, status: int, to: Incoming, now_ns: int, body: str = "", more: str = "", tag: str | None = None
    ) -> None:
        """Respond to a request."""
        tagged = to.header("To") if to.to_tag else f"{to.header('To')};tag={self.tag if tag is None else tag}"
        lines = [
            f"SIP/2.0 {status} Words",
            f"Via: {to.header('Via')}",
            f"From: {to.header('From')}",
            f"To: {to.header('To') if status == 100 else tagged}",
            f"Call-ID: {to.call_id}",
            f"CSeq: {to.number} {to.method}",
            "Contact: <sip:bot@192.0.2.77:5070>",
            *([more] if more else []),
            *(["Content-Type: application/sdp"] if body else []),
        ]
        self.says("\r\n".join(lines), body, now_ns)

    def requests(
        self, method: str, number: int, now_ns: int, body: str = "", more: str = "", branch: str = "", to_tag: str = ""
    ) -> None:
        """Send a request within the call."""
        invite = self.last("INVITE")
        lines = [
            f"{method} sip:alice@192.0.2.9:5062 SIP/2.0",
            f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch or f'{method}{number}'}",
            f"From: {invite.header('To')};tag={self.tag}",
            f"To: {invite.header('From').partition(';')[0]};tag={to_tag or invite.from_tag}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {number} {method}",
            *([more] if more else []),
            *(["Content-Type: application/sdp"] if body else []),
        ]
        self.says("\r\n".join(lines), body, now_ns)

    def says(self, head: str, body: str, now_ns: int) -> None:
        """Send a message."""
        text = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self.call.receive(read_message(text.encode()), now_ns)

    def answers(self, now_ns: int = 100 * MS) -> None:
        """Ring and answer, and take the ACK."""
        self.hears()
        self.responds(180, self.last("INVITE"), now_ns // 2)
        self.responds(200, self.last("INVITE"), now_ns, ANSWER_SDP)
        assert self.hears() == ["ACK"]
