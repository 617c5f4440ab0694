"""How a WebSocket begins."""

from __future__ import annotations

import pytest

from pytest_ari_sla.framing.upgrade import HeadReader, UpgradeReply, UpgradeRequest, accept_key, refusal


def test_the_key_is_answered_as_in_the_rfc() -> None:
    """RFC 6455, 1.3."""
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_request_is_read_in_pieces_and_what_follows_is_kept(size: int) -> None:
    """The first frame may come with the head."""
    request = UpgradeRequest("/media?leg=7&run=a%20b", host="pbx:8088")
    data = request.render() + b"\x82\x00"
    reader = HeadReader()
    rest = b""
    head = None
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        if head is not None:
            rest += piece
        elif (found := reader.feed(piece)) is not None:
            head, rest = found
    assert head is not None
    assert rest == b"\x82\x00"
    assert UpgradeRequest.parse(head) == request
    assert request.path == "/media"
    assert request.parameters == {"leg": "7", "run": "a b"}


def test_a_reply_agrees_to_its_request_only() -> None:
    """The sub-protocol is media where the client offers it."""
    request = UpgradeRequest("/media/1")
    head = UpgradeReply.to(request).render().removesuffix(b"\r\n\r\n")
    reply = UpgradeReply.parse(head)
    assert reply.protocol == "media"
    assert reply.fault(request) == ""
    assert "Accept is wrong" in reply.fault(UpgradeRequest("/media/1"))


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (refusal(404, "Not Found"), "the server answered 404 Not Found"),
        (b"\x10\x01\x40", "it speaks no HTTP"),
        (b"HTTP/1.1 many", "it speaks no HTTP"),
    ],
)
def test_a_refusal_is_told_in_words(head: bytes, why: str) -> None:
    """A wrong id is 404, a second connection 409."""
    assert UpgradeReply.parse(head).fault(UpgradeRequest("/media/1")) == why


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"POST / HTTP/1.1", "not a GET request"),
        (b"\xff\x00", "not a GET request"),
        (b"GET / HTTP/1.1\r\nHost: x", "does not ask for a WebSocket"),
    ],
)
def test_what_is_no_upgrade_is_told_in_words(head: bytes, why: str) -> None:
    """Whoever connects may send anything."""
    assert why in str(UpgradeRequest.parse(head))


def test_a_head_without_end_is_given_up() -> None:
    """Nobody can fill our memory."""
    reader = HeadReader()
    assert reader.feed(bytes(9000)) is None
    assert "8192" in reader.fault
