"""WebSocket frames, whole, fragmented and in pieces."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from pytest_ari_sla.framing.websocket import (
    CloseCode,
    Opcode,
    WebSocketMessage,
    WebSocketParser,
    apply_mask,
    close_payload,
    encode,
)
from tests.unit.framing.streams import MESSAGES, SEED, hostile_websocket, pieces, random_pieces

_data = st.builds(WebSocketMessage, st.sampled_from([Opcode.BINARY, Opcode.TEXT]), st.binary(max_size=700))
_control = st.builds(
    WebSocketMessage, st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]), st.binary(max_size=125)
)
_FAULTS = {"reserved_bits", "unknown_opcode", "masking", "bad_control", "bad_continuation", "giant", "truncated"}


@given(
    st.lists(st.tuples(_data | _control, st.lists(st.integers(min_value=0), max_size=3)), max_size=10),
    st.lists(st.integers(min_value=0), max_size=20),
    st.booleans(),
)
def test_any_split_of_any_messages_gives_the_same_messages(
    messages: list[tuple[WebSocketMessage, list[int]]], cuts: list[int], masked: bool
) -> None:
    """Fragmented by the peer, and cut by TCP at any places."""
    parser = WebSocketParser(masked=masked)
    stream = b"".join(_frames(message, fragments, masked=masked) for message, fragments in messages)
    found = [message for piece in pieces(stream, cuts) for message in parser.feed(piece)]
    assert found == [message for message, _ in messages]
    assert parser.is_between_messages
    assert parser.faults == {}


def _frames(message: WebSocketMessage, fragments: list[int], *, masked: bool) -> bytes:
    """Return a message as frames: in one, or a data message in several."""
    if message.opcode >= Opcode.CLOSE:
        return encode(message.opcode, message.payload, masked=masked)
    parts = pieces(message.payload, fragments) or [b""]
    return b"".join(
        encode(message.opcode if not place else Opcode.CONTINUATION, part, masked=masked, is_last=part is parts[-1])
        for place, part in enumerate(parts)
    )


@given(st.binary(max_size=700), st.sampled_from([1, 200]), st.booleans())
def test_an_independent_framer_reads_what_we_write(payload: bytes, times: int, masked: bool) -> None:
    """Also the lengths of two and of eight bytes."""
    frame = encode(Opcode.BINARY, payload * times, masked=masked)
    theirs = FrameProtocol(client=not masked, extensions=[])
    theirs.receive_bytes(frame)
    read = [part.payload for part in theirs.received_frames()]
    assert b"".join(part for part in read if not isinstance(part, str | tuple)) == payload * times
    ours = WebSocketParser(masked=masked, most_bytes=1 << 20)
    assert ours.feed(frame) == [WebSocketMessage(Opcode.BINARY, payload * times)]


def test_a_control_frame_may_come_between_the_parts_of_a_message() -> None:
    """RFC 6455, 5.4."""
    parser = WebSocketParser(masked=False)
    stream = (
        encode(Opcode.BINARY, b"one ", masked=False, is_last=False)
        + encode(Opcode.PING, b"there?", masked=False)
        + encode(Opcode.CONTINUATION, b"two", masked=False)
    )
    assert parser.feed(stream) == [(Opcode.PING, b"there?"), (Opcode.BINARY, b"one two")]


def test_a_mask_is_undone_by_itself() -> None:
    """Any length."""
    for size in (0, 1, 4, 5, 323):
        payload = Random(size).randbytes(size)
        assert apply_mask(apply_mask(payload, b"abcd"), b"abcd") == payload


def test_a_close_tells_its_code() -> None:
    """1005 stands for none."""
    assert WebSocketMessage(Opcode.CLOSE, close_payload(CloseCode.GOING_AWAY)).close_code == 1001
    assert WebSocketMessage(Opcode.CLOSE, b"").close_code == 1005


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b"\xc2\x00", "reserved_bits"),
        (b"\x83\x00", "unknown_opcode"),
        (b"\x82\x81abcdx", "masking"),
        (b"\x09\x00", "bad_control"),
        (b"\x89\x7e\x00\x7e", "bad_control"),
        (b"\x80\x00", "bad_continuation"),
        (b"\x02\x00\x82\x00", "bad_continuation"),
        (b"\x82\x7f" + (1 << 63).to_bytes(8, "big"), "giant"),
        (b"\x82\x05abcd", "truncated"),
        (b"\x02\x01a", "truncated"),
    ],
)
def test_each_kind_of_fault_is_counted(stream: bytes, fault: str) -> None:
    """And nothing is raised; what the RFC fails a connection for ends all understanding."""
    parser = WebSocketParser(masked=False)
    parser.feed(stream)
    parser.finish()
    assert parser.faults == {fault: 1}
    assert parser.failed == ("" if fault == "truncated" else fault)
    assert not parser.failed or parser.feed(encode(Opcode.BINARY, b"x", masked=False)) == []


def test_fragments_that_add_up_to_too_much_are_a_giant() -> None:
    """No peer can fill our memory piece by piece."""
    parser = WebSocketParser(masked=False, most_bytes=1000)
    parser.feed(encode(Opcode.BINARY, bytes(600), masked=False, is_last=False))
    parser.feed(encode(Opcode.CONTINUATION, bytes(600), masked=False))
    assert parser.failed == "giant"


def test_hostile_frames_never_raise_and_are_counted_by_kind() -> None:
    """Seeded; ``make soak`` gives a million. Each connection lasts until its first fault, or some frames."""
    random = Random(SEED)
    seen: dict[str, int] = {}
    fed = connections = 0
    while fed < MESSAGES:
        parser = WebSocketParser(masked=True)
        connections += 1
        for _ in range(random.randrange(1, 12)):
            fed += 1
            for piece in random_pieces(random, hostile_websocket(random)):
                parser.feed(piece)
        parser.finish()
        assert len(parser.faults) <= 1
        for fault, count in parser.faults.items():
            seen[fault] = seen.get(fault, 0) + count
    assert set(seen) == _FAULTS
    assert sum(seen.values()) <= connections
