"""AudioSocket messages, whole and in pieces."""

from __future__ import annotations

from collections import Counter
from random import Random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.framing.audiosocket import (
    AudioSocketMessage,
    AudioSocketParser,
    Kind,
    audio_kind,
    encode,
    is_audio,
)
from tests.unit.framing.streams import MESSAGES, SEED, hostile_audiosocket, pieces, random_pieces

_messages = st.lists(st.builds(AudioSocketMessage, st.integers(0, 255), st.binary(max_size=700)), max_size=12)


@given(_messages, st.lists(st.integers(min_value=0), max_size=20))
def test_any_split_of_any_messages_gives_the_same_messages(messages: list[AudioSocketMessage], cuts: list[int]) -> None:
    """TCP has no messages: they come merged and split."""
    parser = AudioSocketParser()
    stream = b"".join(encode(*message) for message in messages)
    assert [found for piece in pieces(stream, cuts) for found in parser.feed(piece)] == messages
    assert parser.is_between_messages
    parser.finish()
    assert "truncated" not in parser.faults


def test_a_message_is_type_length_and_payload() -> None:
    """As res_audiosocket.c writes them."""
    assert encode(Kind.SLIN, b"\x01\x02") == b"\x10\x00\x02\x01\x02"
    assert encode(Kind.HANG_UP) == b"\x00\x00\x00"


def test_the_first_message_tells_the_uuid() -> None:
    """16 bytes, binary."""
    uuid = uuid4()
    [message] = AudioSocketParser().feed(encode(Kind.UUID, uuid.bytes))
    assert message.uuid == uuid
    assert AudioSocketMessage(Kind.DTMF, b"5").uuid is None


@pytest.mark.parametrize(("rate_hz", "kind"), [(8000, 0x10), (16000, 0x12), (44100, 0x15), (192000, 0x18)])
def test_each_sample_rate_has_its_type(rate_hz: int, kind: int) -> None:
    """Those above 8 kHz since 22.7."""
    assert audio_kind(rate_hz) == kind
    assert is_audio(kind)


def test_a_rate_without_a_type_is_an_error_that_names_those_that_there_are() -> None:
    """G.711 has no type of its own."""
    with pytest.raises(ValueError, match="no type for 11025 Hz; it has 8000"):
        audio_kind(11025)


def test_a_message_that_is_too_long_is_refused() -> None:
    """Its length has two bytes."""
    assert len(encode(Kind.SLIN, bytes(65_535))) == 65_538
    with pytest.raises(ValueError, match="at most 65535 bytes, not 65536"):
        encode(Kind.SLIN, bytes(65_536))


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (encode(Kind.SLIN), "zero_length"),
        (encode(0x42, b"x"), "unknown_type"),
        (encode(Kind.SLIN, bytes(8193)), "giant"),
        (encode(Kind.UUID, b"short"), "bad_uuid"),
        (encode(Kind.SLIN, bytes(320))[:-1], "truncated"),
    ],
)
def test_each_kind_of_fault_is_counted(stream: bytes, fault: str) -> None:
    """And nothing is raised."""
    parser = AudioSocketParser()
    parser.feed(stream)
    parser.finish()
    assert parser.faults == {fault: 1}


def test_hostile_messages_never_raise_and_are_all_counted() -> None:
    """Seeded; ``make soak`` gives a million."""
    random = Random(SEED)
    parser, expected, found = AudioSocketParser(), Counter[str](), 0
    for _ in range(MESSAGES):
        data = hostile_audiosocket(random)
        kind, size = data[0], len(data) - 3
        expected["unknown_type"] += kind in (0x19, 0x42, 0xFE)
        expected["zero_length"] += size == 0 and is_audio(kind)
        expected["bad_uuid"] += kind == Kind.UUID and size != 16
        expected["giant"] += size > 8192
        found += sum(len(parser.feed(piece)) for piece in random_pieces(random, data))
    parser.feed(b"\x10\x01")
    parser.finish()
    assert found == MESSAGES
    assert parser.faults == +expected | {"truncated": 1}
