"""Payload formats of the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.media.formats import (
    FORMAT_NUMBERS,
    PAYLOAD_TYPES,
    RECEIVED_FORMATS,
    decode,
    encode,
    is_linear,
)

_LINEAR = ["ulaw", "alaw", "slin"]


@pytest.mark.parametrize("name", _LINEAR)
@given(st.binary(min_size=2, max_size=64))
def test_decoding_and_encoding_again_loses_nothing(name: str, payload: bytes) -> None:
    """Samples of a format go back into it as they came, but for the two zeros of the mu-law."""
    octets = np.frombuffer(payload[: len(payload) // 2 * 2], np.uint8)
    again = encode(name, decode(name, octets))
    expected = np.where(octets == 0x7F, 0xFF, octets) if name == "ulaw" else octets
    assert again.tolist() == expected.tolist()


def test_linear_audio_is_big_endian() -> None:
    """RFC 3551, section 4.5.11."""
    assert decode("slin", np.array([1, 2], np.uint8)).tolist() == [0x0102]


@pytest.mark.parametrize(("payload_type", "name"), [(0, "ulaw"), (8, "alaw"), (3, "gsm"), (9, "g722"), (10, "slin")])
def test_static_payload_types_are_taken(payload_type: int, name: str) -> None:
    """Those of RFC 3551, table 4."""
    assert RECEIVED_FORMATS[payload_type] == FORMAT_NUMBERS[name]


@pytest.mark.parametrize("payload_type", [13, 96, 101, 107, 118, 127])
def test_dynamic_payload_types_are_dropped(payload_type: int) -> None:
    """As Asterisk drops them, even those that it sends."""
    assert RECEIVED_FORMATS[payload_type] == 255


def test_what_is_not_linear_cannot_be_translated() -> None:
    """Compressed formats pass as they are, or not at all."""
    assert {name for name in PAYLOAD_TYPES if is_linear(name)} == set(_LINEAR)
