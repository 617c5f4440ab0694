"""What the network brings: messages, messages that only look like it, and streams of them."""

from __future__ import annotations

import random

import pytest

from pytest_ari_sla.sip.messages import MalformedMessage, read_message
from pytest_ari_sla.sip.strangers import answer_stranger
from pytest_ari_sla.sip.stream_framing import FramingError, StreamFramer
from tests.unit.sip.peer import ANSWER_SDP, MS, Peer, new_call

HEAD = (
    b"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\ncseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\nNewFangledHeader:   newfangled value\r\n"
    b" continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n"
    b"Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\nv:  SIP  / 2.0  / TCP     spindle"
    b".example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n"
    b" z9hG4bK30239"
    b'\r\nm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n'
    b"  secondparam ; q = 0.33\r\n\r\n"
)
PLAIN = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:x@y>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n"
)
REFUSED = {
    "another version": PLAIN.replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia") + b"\r\n",
    "no request line": b"\r\n\r\n\r\n",
    "spaces in the request line": PLAIN.replace(b"sip:a@b SIP", b" sip:a@b  SIP", 1) + b"\r\n",
    "an unknown status": b"SIP/2.0 4294967301 better not break the receiver\r\n"
    + PLAIN.partition(b"\r\n")[2]
    + b"\r\n",
    "a scalar out of range": PLAIN.replace(b"CSeq: 1 ", b"CSeq: 36893488147419103232 ") + b"\r\n",
    "another method in CSeq": PLAIN.replace(b"1 OPTIONS", b"1 INVITE") + b"\r\n",
    "no Call-ID": PLAIN.replace(b"Call-ID: c1\r\n", b"") + b"\r\n",
    "no branch": PLAIN.replace(b";branch=z9hG4bK1", b"") + b"\r\n",
    "too many headers": PLAIN + b"X: y\r\n" * 300 + b"\r\n",
    "nothing of SIP": bytes(range(256)),
    "nothing": b"",
}


def test_a_message_that_is_written_as_strangely_as_may_be_is_read() -> None:
    """RFC 4475, 3.1.1.1: folded lines, odd cases and blanks."""
    incoming = read_message(HEAD)
    assert (incoming.method, incoming.number, incoming.call_id) == ("INVITE", 9, "wsinv.ndaksdj@192.0.2.1")
    assert (incoming.from_tag, incoming.to_tag) == ("98asjd8", "1918181833n")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_message_is_refused_in_one_way(name: str) -> None:
    """RFC 4475, 3.1.2, and what is worse."""
    with pytest.raises(MalformedMessage):
        read_message(REFUSED[name])


def test_a_stranger_is_answered_as_rfc_3261_wants_it() -> None:
    """A call to us is refused, for we only call; whatever claims to belong to a call belongs to none."""
    answers = {}
    for method in ("OPTIONS", "INVITE", "BYE", "CANCEL", "NOTIFY", "ACK"):
        answer = answer_stranger(read_message(PLAIN.replace(b"OPTIONS", method.encode()) + b"\r\n"))
        answers[method] = answer and read_message(answer).status
    assert answers == {"OPTIONS": 200, "INVITE": 480, "BYE": 481, "CANCEL": 481, "NOTIFY": 405, "ACK": None}


def test_hostile_messages_do_nothing_to_a_call() -> None:
    """Whatever is done to what a peer sends: nothing is raised, and a call that is answered stays so, or ends."""
    chance = random.Random(4475)
    for _ in range(300):
        call = new_call()
        peer = Peer(call)
        peer.answers()
        invite = peer.last("INVITE")
        text = (
            f"INVITE sip:alice@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: "
            f"{invite.header('To')};tag=theirs\r\nTo: {invite.header('From')}\r\nCall-ID: {call.call_id}\r\n"
            f"CSeq: 9 INVITE\r\nContent-Type: application/sdp\r\n\r\n{ANSWER_SDP}"
        )
        data = bytearray(text.encode())
        for _ in range(chance.randrange(1, 8)):
            place = chance.randrange(len(data))
            data[place : place + chance.choice((0, 1, 1, 20))] = chance.randbytes(chance.choice((0, 1, 1, 3)))
        try:
            incoming = read_message(bytes(data))
        except MalformedMessage:
            continue
        if incoming.call_id != call.call_id:
            continue
        call.receive(incoming, 200 * MS)
        for answer in call.take_outgoing():
            assert read_message(answer).call_id == call.call_id


def test_a_stream_is_cut_where_its_messages_end() -> None:
    """Wherever TCP cuts it; keep-alives lie between them."""
    first, second = PLAIN + b"Content-Length: 4\r\n\r\nbody", PLAIN + b"l: 0\r\n\r\n"
    stream = b"\r\n\r\n" + first + b"\r\n" + second
    for size in (1, 7, len(stream)):
        framer = StreamFramer()
        cut = [part for at in range(0, len(stream), size) for part in framer.feed(stream[at : at + size])]
        assert cut == [first, second]


@pytest.mark.parametrize("stream", [PLAIN + b"\r\n", PLAIN + b"Content-Length: 9999999\r\n\r\n", b"x" * 70_000])
def test_a_stream_that_nobody_can_cut_is_given_up(stream: bytes) -> None:
    """Without a length, with one that nobody wants, without an end."""
    with pytest.raises(FramingError):
        StreamFramer().feed(stream)
