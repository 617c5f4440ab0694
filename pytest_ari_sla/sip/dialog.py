"""A call that we make by SIP, from INVITE to the last retransmission: told what came and what time it is. No I/O.

``CALLING`` -> ``PROCEEDING`` (a provisional response) -> ``ANSWERED`` (2xx) -> ``ENDING`` (our BYE) -> ``ENDED``.
A call that is given up before its answer is ``CANCELLING`` until the other side has refused it, or answered all the
same: then it is acknowledged and ended, since an answer may cross a CANCEL (RFC 3261, 9.1). What has ended still
answers retransmissions.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

from aiosipua import SipRequest, generate_branch, generate_tag

from pytest_ari_sla.sip.messages import authorization, make_request, make_response
from pytest_ari_sla.sip.retransmission import LONGEST_NS, Retransmission
from pytest_ari_sla.sip.sdp import describe, read_description

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_ari_sla.sip.messages import Incoming, Party
    from pytest_ari_sla.sip.sdp import OwnStream, TheirStream

__all__ = ["CallState", "OutgoingCall"]

_NEVER_NS = 1 << 62
_REMEMBERED = 16  # answers for retransmissions; a peer that asks without end must not fill the memory
_REASON = re.compile(r'^\s*Q\.850\s*;.*?cause\s*=\s*(\d+)(?:.*?text\s*=\s*"([^"]*)")?', re.IGNORECASE)


class CallState(enum.Enum):
    """How far a call is."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    ANSWERED = "answered"
    CANCELLING = "cancelling"
    ENDING = "ending"
    ENDED = "ended"


class _Peer:
    """The other end of a dialog: its tag, where it is reached, and the way there."""

    def __init__(self, answer: Incoming, default_target: str) -> None:
        self.tag = answer.to_tag
        self.to = answer.header("To")
        contact = re.search(r"<([^<>\s]+)>|^([^<>\s;]+)", answer.header("Contact").strip())
        self.target = (contact[1] or contact[2]) if contact else default_target
        self.routes = list(reversed(answer.message.get_header_values("record-route")))  # a caller reverses it: 12.1.2


class OutgoingCall:
    """One call.

    Parameters
    ----------
    party
        Who calls.
    target
        Whom, as a SIP URI.
    stream
        Our media.
    now_ns
        The time, on any clock: it is that of all other calls.
    headers
        More headers of the INVITE.
    name
        Begins its Call-ID, by which others can tell whose call it is; empty for a call of nobody's.

    Attributes
    ----------
    call_id
        Its Call-ID.
    state
        How far it is.
    provisional_ns, answered_ns
        When the first response above 100 came, and the answer; None before that.
    began_ns
        When it began.
    theirs, described_ns
        What the other side takes, from the time when it says so, and when that was.
    failed_with
        The final response that refused it; 0 where nothing refused it.
    failure
        Why it was not answered; empty while that may still be.
    hung_up
        Why the other side has ended it after the answer; empty where it has not.
    """

    def __init__(
        self,
        party: Party,
        target: str,
        stream: OwnStream,
        now_ns: int,
        headers: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        self._party = party
        self._target = target
        self._stream = stream
        self._headers = dict(headers or {})
        self._tag = generate_tag()
        self._number = 0
        self._their_number = -1  # a first CSeq of 0 is in order (RFC 3261, 8.1.1.5)
        self._outgoing: list[bytes] = []
        self._resent: dict[str, Retransmission] = {}
        self._peer: _Peer | None = None
        self._acknowledged: dict[str, bytes] = {}
        self._answers: dict[tuple[str, str], bytes] = {}
        self._byes: dict[str, _Peer] = {}
        self._tried: set[str] = set()
        self._version = 1
        self._heard_of = False
        self._wants_cancel = False
        self.call_id = f"{name}{generate_tag()}@{party.address[0]}"
        self.state = CallState.CALLING
        self.began_ns = now_ns
        self.provisional_ns: int | None = None
        self.answered_ns: int | None = None
        self.theirs: TheirStream | None = None
        self.described_ns: int | None = None
        self.failed_with = 0
        self.failure = ""
        self.hung_up = ""
        self._invite(now_ns, {})

    # --- for who holds it ---

    @property
    def deadline_ns(self) -> int:
        """When :meth:`advance` is to be called at the latest."""
        return min((resent.deadline_ns for resent in self._resent.values()), default=_NEVER_NS)

    @property
    def was_heard_of(self) -> bool:
        """Whether any response has come."""
        return self._heard_of

    def take_outgoing(self) -> list[bytes]:
        """Return what is to be sent now."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def advance(self, now_ns: int) -> None:
        """Let time pass."""
        for name, resent in list(self._resent.items()):
            if now_ns >= resent.gives_up_ns:
                del self._resent[name]
                self._give_up(name, now_ns)
            elif resent.is_due(now_ns):
                self._outgoing.append(resent.message)

    def hang_up(self, now_ns: int) -> None:
        """End it, whatever it is about."""
        match self.state:
            case CallState.CALLING:
                # Not before a provisional response (RFC 3261, 9.1): a CANCEL might overtake its INVITE.
                self.state, self._wants_cancel = CallState.CANCELLING, True
            case CallState.PROCEEDING:
                self.state = CallState.CANCELLING
                self._cancel(now_ns)
            case CallState.ANSWERED if self._peer is not None:
                self.state = CallState.ENDING
                self._bye(self._peer, now_ns)

    def receive(self, incoming: Incoming, now_ns: int) -> None:
        """Take in a message with this call's Call-ID."""
        if isinstance(incoming.message, SipRequest):
            self._take_request(incoming, now_ns)
        # A response to a request of ours carries our tag; any other one was meant for somebody else.
        elif incoming.from_tag == self._tag:
            self._heard_of = True
            if incoming.method == "INVITE":
                self._take_invite_response(incoming, now_ns)
            elif incoming.method == "BYE":
                self._take_bye_response(incoming, now_ns)
            elif incoming.method == "CANCEL" and incoming.status >= 200:
                self._resent.pop("CANCEL", None)

    # --- what we send ---

    def _send(self, name: str, request: SipRequest, now_ns: int, most_ns: int | None = None) -> None:
        message = bytes(request)
        reliable = self._party.protocol == "tcp"
        self._outgoing.append(message)
        limits = {} if most_ns is None else {"most_ns": most_ns}
        self._resent[name] = Retransmission.begun(message, now_ns, reliable=reliable, **limits)

    def _invite(self, now_ns: int, more: Mapping[str, str]) -> None:
        self._number += 1
        self._branch = generate_branch()
        self._invite_number = self._number
        headers = {
            "Via": self._party.via(self._branch),
            "From": self._party.from_header(self._tag),
            "To": f"<{self._target}>",
            "Call-ID": self.call_id,
            "CSeq": f"{self._number} INVITE",
            "Contact": self._party.contact,
            **self._headers,
            **more,
        }
        request = make_request("INVITE", self._target, headers, describe(self._stream))
        # An INVITE is sent again after ever longer times: no limit but that of giving up (17.1.1.2).
        self._send("INVITE", request, now_ns, most_ns=LONGEST_NS)

    def _cancel(self, now_ns: int) -> None:
        self._wants_cancel = False
        headers = {
            "Via": self._party.via(self._branch),
            "From": self._party.from_header(self._tag),
            "To": f"<{self._target}>",
            "Call-ID": self.call_id,
            "CSeq": f"{self._invite_number} CANCEL",  # branch, number and To of what it cancels: 9.1
        }
        self._send("CANCEL", make_request("CANCEL", self._target, headers), now_ns)
        # A refusal follows the CANCEL; where none does, nobody waits for ever (9.1).
        self._resent["refusal"] = Retransmission.begun(b"", now_ns, reliable=True)

    def _within(self, method: str, peer: _Peer, number: int, more: Mapping[str, str]) -> SipRequest:
        """Return a request within a dialog (RFC 3261, 12.2.1.1)."""
        headers: dict[str, str | list[str]] = {
            "Via": self._party.via(),
            "From": self._party.from_header(self._tag),
            "To": peer.to,
            "Call-ID": self.call_id,
            "CSeq": f"{number} {method}",
            "Route": peer.routes,
            "Contact": self._party.contact,
            **more,
        }
        return make_request(method, peer.target, headers)

    def _bye(self, peer: _Peer, now_ns: int, more: Mapping[str, str] | None = None) -> None:
        self._number += 1
        self._byes[f"BYE {self._number}"] = peer
        self._send(f"BYE {self._number}", self._within("BYE", peer, self._number, more or {}), now_ns)

    # --- what they respond ---

    def _take_invite_response(self, response: Incoming, now_ns: int) -> None:
        if 200 <= response.status < 300:
            self._take_answer(response, now_ns)
        # Its ACK was lost: the refusal is sent again until one arrives (17.1.1.2).
        elif response.status >= 300 and response.branch in self._acknowledged:
            self._outgoing.append(self._acknowledged[response.branch])
        elif response.branch != self._branch or self.state in (CallState.ENDED, CallState.ENDING, CallState.ANSWERED):
            return
        elif response.status >= 300:
            self._take_refusal(response, now_ns)
        else:
            self._take_provisional(response, now_ns)

    def _take_provisional(self, response: Incoming, now_ns: int) -> None:
        self._resent.pop("INVITE", None)  # whoever responds has it (17.1.1.2)
        if response.status > 100 and self.provisional_ns is None:
            self.provisional_ns = now_ns
        if response.message.body and self.theirs is None:
            self._learn(response, now_ns)
        if self.state is CallState.CALLING:
            self.state = CallState.PROCEEDING
        elif self._wants_cancel:
            self._cancel(now_ns)

    def _learn(self, response: Incoming, now_ns: int) -> str:
        """Read what the other side takes; return why we cannot send it."""
        try:
            self.theirs = read_description(response.message.text, self._stream)
        except ValueError as problem:
            return str(problem)
        self.described_ns = now_ns if self.described_ns is None else self.described_ns
        return ""

    def _take_refusal(self, response: Incoming, now_ns: int) -> None:
        """Acknowledge a refusal; answer a challenge, unless the call is to end anyway."""
        for name in ("INVITE", "CANCEL", "refusal"):
            self._resent.pop(name, None)
        headers = {
            "Via": self._party.via(self._branch),
            "From": self._party.from_header(self._tag),
            "To": response.header("To"),
            "Call-ID": self.call_id,
            "CSeq": f"{response.number} ACK",
        }
        # This ACK belongs to the INVITE transaction: its branch, and the To with their tag (17.1.1.3).
        self._acknowledged[self._branch] = bytes(make_request("ACK", self._target, headers))
        self._outgoing.append(self._acknowledged[self._branch])
        if self.state is CallState.CANCELLING:
            self._end()
        elif response.status not in (401, 407) or not self._answer_challenge(response, "INVITE", self._target, now_ns):
            self.failed_with = response.status
            self.failure = f"{response.status} {getattr(response.message, 'reason_phrase', '')}".rstrip()
            if response.status in (401, 407):
                has_account = self._party.account is not None
                self.failure += ": the password is wrong" if has_account else ": it wants a user and a password"
            self._end()

    def _answer_challenge(self, response: Incoming, method: str, uri: str, now_ns: int) -> bool:
        """Send a request again with what it was challenged for; once for each kind of it and challenger.

        Once more where only the nonce was too old (RFC 3261, 22.3), and not for as long as somebody says so.
        """
        challenge = response.header("WWW-Authenticate" if response.status == 401 else "Proxy-Authenticate")
        is_stale = "stale=true" in challenge.lower().replace(" ", "").replace('"', "")
        tries = [f"{method} {response.status}", *([f"{method} {response.status} stale"] if is_stale else [])]
        untried = next((one for one in tries if one not in self._tried), None)
        if self._party.account is None or untried is None:
            return False
        self._tried.add(untried)
        header = authorization(response, self._party.account, method, uri)
        if header is None:
            return False
        if method == "INVITE":
            self.state = CallState.CALLING
            self._invite(now_ns, dict([header]))
        elif self._peer is not None:
            self._bye(self._peer, now_ns, dict([header]))
        return True

    def _take_answer(self, response: Incoming, now_ns: int) -> None:
        """Acknowledge an answer, each time that it comes; one that nobody wants any more is ended."""
        known = self._acknowledged.get(response.to_tag)
        # The other side sends its 2xx again until it has an ACK (13.3.1.4).
        if known is not None:
            self._outgoing.append(known)
            return
        for name in ("INVITE", "CANCEL", "refusal"):
            self._resent.pop(name, None)
        peer = _Peer(response, self._target)
        # This ACK is a transaction of its own, with the number of the INVITE (13.2.2.4), one for each who answers.
        self._acknowledged[peer.tag] = bytes(self._within("ACK", peer, response.number, {}))
        self._outgoing.append(self._acknowledged[peer.tag])
        is_first = self._peer is None
        if is_first:
            self._peer = peer
        if is_first and self.state in (CallState.CALLING, CallState.PROCEEDING):
            self._enter_answered(response, peer, now_ns)
        elif is_first and self.state is CallState.CANCELLING:
            self.state = CallState.ENDING
            self._bye(peer, now_ns)
        # Over UDP a BYE may overtake the 2xx: then there is nothing left to end.
        elif not (is_first and self.hung_up):  # another one of several who answered, or one who answers too late
            self._bye(peer, now_ns)

    def _enter_answered(self, response: Incoming, peer: _Peer, now_ns: int) -> None:
        problem = self._learn(response, now_ns) if response.message.body else ""
        if self.theirs is None:
            self.failure = problem or "it was answered without a session description"
            self.state = CallState.ENDING
            self._bye(peer, now_ns)
            return
        self.state, self.answered_ns = CallState.ANSWERED, now_ns

    def _take_bye_response(self, response: Incoming, now_ns: int) -> None:
        name = f"BYE {response.number}"
        if response.status < 200 or self._resent.pop(name, None) is None:
            return
        peer = self._byes[name]
        if response.status in (401, 407) and self._answer_challenge(response, "BYE", peer.target, now_ns):
            return
        if peer is self._peer:
            self._end()

    def _give_up(self, name: str, now_ns: int) -> None:
        """Take note that nobody has answered for too long."""
        match name.split()[0]:
            case "INVITE" | "refusal":
                self.failure = self.failure or "nobody responded to INVITE"
                self._end()
            case "BYE" if self._byes[name] is self._peer:
                self._end()
            case "re-INVITE" if self.state is CallState.ANSWERED:
                self.hang_up(now_ns)  # 13.3.1.4
                self.hung_up = "it did not acknowledge the answer to its re-INVITE"

    def _end(self) -> None:
        self.state = CallState.ENDED

    # --- what they ask for ---

    def _take_request(self, request: Incoming, now_ns: int) -> None:
        if request.method == "ACK":
            self._resent.pop("re-INVITE", None)
            return
        # A CANCEL shares the branch of its INVITE: branch and method name a transaction (17.2.3).
        known = self._answers.get((request.branch, request.method))
        if known is None:
            known = self._answer_to(request, now_ns)
            self._answers[request.branch, request.method] = known
            for oldest in list(self._answers)[:-_REMEMBERED]:
                del self._answers[oldest]
        self._outgoing.append(known)

    def _answer_to(self, request: Incoming, now_ns: int) -> bytes:
        is_ours = request.to_tag == self._tag and (self._peer is None or request.from_tag == self._peer.tag)
        if not is_ours or (self.state is CallState.ENDED and not self.hung_up):
            return self._respond(request, 481, "Call/Transaction Does Not Exist")
        if request.method == "CANCEL":
            # It comes too late for an INVITE that we answer at once, and is accepted all the same (9.2).
            is_known = (request.branch, "INVITE") in self._answers
            return self._respond(request, *((200, "OK") if is_known else (481, "Call/Transaction Does Not Exist")))
        if request.number <= self._their_number:
            return self._respond(request, 500, "Server Internal Error")  # out of order: 12.2.2
        self._their_number = request.number
        match request.method:
            case "BYE":
                return self._take_bye(request)
            case "OPTIONS":
                return self._respond(request, 200, "OK")
            case "INVITE" if self.state is CallState.ANSWERED:
                return self._take_reinvite(request, now_ns)
            case "INVITE":
                return self._respond(request, 481, "Call/Transaction Does Not Exist")
        return self._respond(request, 405, "Method Not Allowed")

    def _respond(self, request: Incoming, status: int, reason: str, body: bytes = b"") -> bytes:
        headers = {"Contact": self._party.contact} if request.method == "INVITE" and status == 200 else {}
        return make_response(request, status, reason, self._tag, headers, body)

    def _take_bye(self, request: Incoming) -> bytes:
        for name in list(self._resent):
            if name != "INVITE":
                del self._resent[name]
        if self.state is not CallState.ENDING:
            self.hung_up = _why(request)
        self._end()
        return self._respond(request, 200, "OK")

    def _take_reinvite(self, request: Incoming, now_ns: int) -> bytes:
        """Answer a new offer, or an INVITE without one by an offer of ours; media stays where it is."""
        answering = None
        if request.message.body:
            try:
                answering = read_description(request.message.text, self._stream)
            except ValueError:
                return self._respond(request, 488, "Not Acceptable Here")
            # Media goes where the first description said, for the whole call; 488 leaves the session as it was (14.1).
            if self.theirs is not None and answering.address != self.theirs.address:
                return self._respond(request, 488, "Not Acceptable Here")
            self.theirs = answering
        self._version += 1  # each description of a session has a higher one (RFC 3264, 8)
        answer = self._respond(request, 200, "OK", describe(self._stream, self._version, answering))
        # 2xx is sent again until it is acknowledged, whatever the transport (13.3.1.4).
        self._resent["re-INVITE"] = Retransmission.begun(answer, now_ns, reliable=False)
        return answer


def _why(request: Incoming) -> str:
    """Return why the other side hangs up, by its Reason header (RFC 3326)."""
    found: Iterator[re.Match[str] | None] = map(_REASON.match, request.message.get_header_values("reason"))
    match = next((match for match in found if match), None)
    return f"cause {match[1]} {match[2] or ''}".rstrip() if match else "BYE without a cause"
