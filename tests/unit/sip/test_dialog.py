"""A call by SIP, told what comes and what time it is: RFC 3261 without sockets."""

from __future__ import annotations

import pytest
from aiosipua import SipDigestAuth

from pytest_ari_sla.sip.dialog import CallState
from tests.unit.sip.peer import ANSWER_SDP, MS, TARGET, Peer, S, new_call

CHALLENGE = 'WWW-Authenticate: Digest realm="asterisk", nonce="abc", algorithm=MD5, qop="auth"'
BOTH = f'WWW-Authenticate: Digest realm="asterisk", nonce="abc", algorithm=SHA-512-256\r\n{CHALLENGE}'


def test_a_call_is_answered_acknowledged_and_ended_by_us() -> None:
    """Requests within the dialog go to the Contact of the answer, with the tag that it has."""
    call = new_call()
    peer = Peer(call)
    assert peer.hears() == ["INVITE"]
    peer.responds(100, peer.last("INVITE"), 5 * MS)
    peer.responds(180, peer.last("INVITE"), 50 * MS)
    peer.responds(200, peer.last("INVITE"), 900 * MS, ANSWER_SDP)
    assert peer.hears() == ["ACK"]
    assert (call.provisional_ns, call.answered_ns, call.state) == (50 * MS, 900 * MS, CallState.ANSWERED)
    assert call.theirs is not None
    assert (call.theirs.address, call.theirs.events_type) == (("192.0.2.1", 10_000), 101)
    assert (peer.last("ACK").number, peer.last("ACK").to_tag) == (1, "theirs")
    call.hang_up(2 * S)
    assert peer.hears() == ["BYE"]
    assert peer.last("BYE").message._start_line() == "BYE sip:bot@192.0.2.77:5070 SIP/2.0"
    peer.responds(200, peer.last("BYE"), 2 * S)
    assert (call.state, call.deadline_ns) == (CallState.ENDED, 1 << 62)


def test_a_request_is_sent_again_until_something_comes_and_never_over_tcp() -> None:
    """After 0.5, 1, 2 s …: timers A and E. A provisional response ends it for INVITE."""
    call, tcp = new_call(), new_call(protocol="tcp")
    peer = Peer(call)
    times = []
    while call.deadline_ns < 10 * S:
        times.append(call.deadline_ns // MS)
        call.advance(call.deadline_ns)
    assert times == [500, 1500, 3500, 7500]
    assert peer.hears() == ["INVITE"] * 5
    assert tcp.deadline_ns == 32 * S
    peer.responds(100, peer.last("INVITE"), 10 * S)
    assert call.deadline_ns == 1 << 62


def test_a_call_that_nobody_responds_to_fails() -> None:
    """Timer B: 32 s."""
    call = new_call()
    while call.state is not CallState.ENDED:
        call.advance(call.deadline_ns)
    assert call.failure == "nobody responded to INVITE"
    assert not call.was_heard_of


@pytest.mark.parametrize("challenge", [CHALLENGE, BOTH])
def test_a_challenge_is_acknowledged_and_answered(challenge: str) -> None:
    """By a new INVITE of the same call; of several challenges, the first that can be answered."""
    call = new_call(SipDigestAuth("alice", "secret"))
    peer = Peer(call)
    peer.hears()
    first = peer.last("INVITE")
    peer.responds(401, first, 10 * MS, more=challenge)
    assert peer.hears() == ["ACK", "INVITE"]
    assert (peer.last("ACK").branch, peer.last("ACK").number) == (first.branch, 1)
    again = peer.last("INVITE")
    assert (again.call_id, again.from_tag, again.number) == (first.call_id, first.from_tag, 2)
    assert 'username="alice"' in again.header("Authorization")
    assert again.branch != first.branch
    # What was lost is sent again, and acknowledged again; the INVITE that is under way is not disturbed.
    peer.responds(401, first, 20 * MS, more=challenge)
    assert peer.hears() == ["ACK"]
    peer.responds(200, again, 30 * MS, ANSWER_SDP)
    assert peer.hears() == ["ACK"]
    assert peer.last("ACK").number == 2


def test_a_wrong_password_is_tried_once_and_no_account_not_at_all() -> None:
    """The failure says what is missing."""
    for account, words in ((SipDigestAuth("a", "wrong"), "the password is wrong"), (None, "it wants a user")):
        call = new_call(account)
        peer = Peer(call)
        peer.hears()
        for _ in range(1 if account is None else 2):
            peer.responds(401, peer.last("INVITE"), 10 * MS, more=CHALLENGE)
            peer.hears()
        assert (call.state, call.failed_with) == (CallState.ENDED, 401)
        assert words in call.failure


@pytest.mark.parametrize(("status", "header"), [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")])
def test_a_nonce_that_is_too_old_is_replaced_once(status: int, header: str) -> None:
    """The password is right then (RFC 3261, 22.3); who always says so is not answered without end."""
    call = new_call(SipDigestAuth("alice", "secret"))
    peer = Peer(call)
    peer.hears()
    challenge = CHALLENGE.replace("WWW-Authenticate", header)
    peer.responds(status, peer.last("INVITE"), 10 * MS, more=challenge)
    assert peer.hears() == ["ACK", "INVITE"]
    stale = f"{challenge}, stale=TRUE"
    peer.responds(status, peer.last("INVITE"), 20 * MS, more=stale)
    assert peer.hears() == ["ACK", "INVITE"]
    peer.responds(status, peer.last("INVITE"), 30 * MS, more=stale)
    assert peer.hears() == ["ACK"]
    assert call.state is CallState.ENDED


def test_a_first_request_of_theirs_may_have_the_number_0() -> None:
    """RFC 3261, 8.1.1.5 only bounds it from above."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.requests("BYE", 0, 1 * S)
    assert peer.hears() == ["200 BYE"]
    assert call.state is CallState.ENDED


def test_a_refusal_is_acknowledged_each_time_that_it_comes() -> None:
    """The ACK belongs to the transaction: the branch of the INVITE, and its request URI."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    for at_ns in (10 * MS, 510 * MS):
        peer.responds(486, peer.last("INVITE"), at_ns)
        assert peer.hears() == ["ACK"]
    assert peer.last("ACK").message._start_line() == f"ACK {TARGET} SIP/2.0"
    assert peer.last("ACK").branch == peer.last("INVITE").branch
    assert (call.failed_with, call.failure, call.state) == (486, "486 Words", CallState.ENDED)


def test_cancel_waits_for_a_provisional_response() -> None:
    """RFC 3261, 9.1: it might overtake its INVITE otherwise."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    call.hang_up(10 * MS)
    assert peer.hears() == []
    peer.responds(100, peer.last("INVITE"), 20 * MS)
    assert peer.hears() == ["CANCEL"]
    invite, cancel = peer.last("INVITE"), peer.last("CANCEL")
    assert (cancel.branch, cancel.number, cancel.to_tag) == (invite.branch, invite.number, "")
    peer.responds(200, cancel, 30 * MS)
    peer.responds(487, invite, 40 * MS)
    assert peer.hears() == ["ACK"]
    assert (call.state, call.failure) == (CallState.ENDED, "")


def test_an_answer_that_crosses_a_cancel_is_acknowledged_and_ended() -> None:
    """Else it would stay up for ever."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    peer.responds(180, peer.last("INVITE"), 10 * MS)
    call.hang_up(20 * MS)
    peer.responds(200, peer.last("INVITE"), 30 * MS, ANSWER_SDP)
    assert peer.hears() == ["CANCEL", "ACK", "BYE"]
    assert call.answered_ns is None
    peer.responds(200, peer.last("BYE"), 40 * MS)
    assert call.state is CallState.ENDED


def test_a_cancel_that_nothing_follows_is_given_up() -> None:
    """After 32 s."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    peer.responds(180, peer.last("INVITE"), 10 * MS)
    call.hang_up(20 * MS)
    peer.hears()
    peer.responds(200, peer.last("CANCEL"), 30 * MS)
    call.advance(call.deadline_ns)
    assert call.state is CallState.ENDED


def test_an_answer_after_everything_is_over_is_ended_at_once() -> None:
    """It was on its way for longer than anybody waits."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    while call.state is not CallState.ENDED:
        call.advance(call.deadline_ns)
    peer.hears()
    peer.responds(200, peer.last("INVITE"), 40 * S, ANSWER_SDP)
    assert peer.hears() == ["ACK", "BYE"]


def test_of_two_who_answer_the_second_one_is_hung_up() -> None:
    """A proxy that forks lets both through."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.responds(200, peer.last("INVITE"), 200 * MS, ANSWER_SDP, tag="other")
    assert peer.hears() == ["ACK", "BYE"]
    assert peer.last("BYE").to_tag == "other"
    peer.responds(200, peer.last("BYE"), 300 * MS)
    assert call.state is CallState.ANSWERED


def test_an_answer_that_comes_again_is_acknowledged_again() -> None:
    """The first ACK was lost."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.responds(200, peer.last("INVITE"), 600 * MS, ANSWER_SDP)
    assert peer.hears() == ["ACK"]
    assert call.answered_ns == 100 * MS


@pytest.mark.parametrize(
    ("sdp", "words"),
    [
        ("", "without a session description"),
        (ANSWER_SDP.replace("RTP/AVP 0 101", "RTP/AVP 8 101"), "does not take PCMU/8000"),
        (ANSWER_SDP.replace("IP4 192.0.2.1", "IP4 nowhere"), "cannot be read"),
        (ANSWER_SDP.replace("audio 10000", "audio 0"), "has no audio"),
        ("m=audio", "cannot be read"),
    ],
)
def test_an_answer_whose_media_is_of_no_use_is_ended(sdp: str, words: str) -> None:
    """Acknowledged first, as every answer."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    peer.responds(200, peer.last("INVITE"), 30 * MS, sdp)
    assert peer.hears() == ["ACK", "BYE"]
    assert words in call.failure


def test_the_other_side_hangs_up_and_says_why() -> None:
    """RFC 3326; the answer to a BYE that comes again is the same."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    for _ in range(2):
        peer.requests("BYE", 5, 3 * S, more='Reason: Q.850;cause=16;text="Normal Clearing"')
        assert peer.hears() == ["200 BYE"]
    assert (call.state, call.hung_up) == (CallState.ENDED, "cause 16 Normal Clearing")


def test_when_both_hang_up_at_once_both_are_answered() -> None:
    """Nobody has hung up on us then."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    call.hang_up(3 * S)
    peer.requests("BYE", 5, 3 * S)
    assert peer.hears() == ["BYE", "200 BYE"]
    assert (call.state, call.hung_up) == (CallState.ENDED, "")


def test_bye_is_challenged_as_well() -> None:
    """Asterisk does not, others do."""
    call = new_call(SipDigestAuth("alice", "secret"))
    peer = Peer(call)
    peer.answers()
    call.hang_up(3 * S)
    peer.hears()
    peer.responds(407, peer.last("BYE"), 3 * S, more=CHALLENGE.replace("WWW-", "Proxy-"))
    assert peer.hears() == ["BYE"]
    assert 'username="alice"' in peer.last("BYE").header("Proxy-Authorization")


@pytest.mark.parametrize(
    ("theirs", "ours"), [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("inactive", "inactive")]
)
def test_a_reinvite_is_answered_until_it_is_acknowledged(theirs: str, ours: str) -> None:
    """Hold is mirrored (RFC 3264, 8.4); 200 is sent again as long as no ACK comes (RFC 3261, 13.3.1.4)."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.requests("INVITE", 5, 1 * S, body=f"{ANSWER_SDP}a={theirs}\r\n")
    assert peer.hears() == ["200 INVITE"]
    assert f"a={ours}\r\n" in peer.sent[-1].message.text
    call.advance(call.deadline_ns)
    assert peer.hears() == ["200 INVITE"]
    peer.requests("ACK", 5, 2 * S, branch="ack")
    assert call.deadline_ns == 1 << 62


def test_a_reinvite_without_an_offer_gets_one() -> None:
    """RFC 3261, 14.2."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.requests("INVITE", 5, 1 * S)
    assert peer.hears() == ["200 INVITE"]
    assert "m=audio 20000 RTP/AVP 0 101" in peer.sent[-1].message.text


def test_a_reinvite_that_would_move_or_change_media_is_refused() -> None:
    """The call goes on as it was (RFC 3261, 14.1)."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    for number, sdp in enumerate((ANSWER_SDP.replace("10000", "10002"), ANSWER_SDP.replace("AVP 0", "AVP 8"), "x")):
        peer.requests("INVITE", 5 + number, 1 * S, body=sdp)
        assert peer.hears() == ["488 INVITE"]
    assert call.state is CallState.ANSWERED


def test_a_reinvite_that_is_never_acknowledged_ends_the_call() -> None:
    """RFC 3261, 13.3.1.4."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.requests("INVITE", 5, 1 * S, body=ANSWER_SDP)
    while call.state is CallState.ANSWERED:
        call.advance(call.deadline_ns)
    assert peer.hears()[-1] == "BYE"
    assert "did not acknowledge" in call.hung_up


def test_requests_that_do_not_belong_to_the_call_do_nothing_to_it() -> None:
    """Another dialog's tags are 481, an old number is 500, what we cannot do is 405."""
    call = new_call()
    peer = Peer(call)
    peer.answers()
    peer.requests("BYE", 5, 1 * S, to_tag="nobody")
    peer.requests("OPTIONS", 6, 1 * S)
    peer.requests("BYE", 4, 1 * S)
    peer.requests("REFER", 7, 1 * S)
    peer.requests("CANCEL", 8, 1 * S)
    assert peer.hears() == ["481 BYE", "200 OPTIONS", "500 BYE", "405 REFER", "481 CANCEL"]
    assert call.state is CallState.ANSWERED


def test_early_media_is_known_before_the_answer() -> None:
    """183 with a session description."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    peer.responds(183, peer.last("INVITE"), 30 * MS, ANSWER_SDP)
    assert call.theirs is not None
    assert call.answered_ns is None


def test_requests_follow_the_route_that_the_answer_came_by() -> None:
    """RFC 3261, 12.1.2: the other way round."""
    call = new_call()
    peer = Peer(call)
    peer.hears()
    peer.responds(200, peer.last("INVITE"), MS, ANSWER_SDP, more="Record-Route: <sip:p2;lr>, <sip:p1;lr>")
    peer.hears()
    assert peer.last("ACK").message.get_header_values("route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
