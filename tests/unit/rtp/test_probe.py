from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp import probe

NONCE = 0x12345678


@given(
    st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1)), max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(16, 40),
)
def test_what_is_written_is_read_back(stamps: list[tuple[int, int]], nonce: int, width: int) -> None:
    """Leg and number survive, over the whole range of both."""
    legs = np.array([leg for leg, _ in stamps], np.int64)
    numbers = np.array([number for _, number in stamps], np.int64)
    payload = np.zeros((len(stamps), width), np.uint8)
    probe.write(payload, nonce, legs, numbers)
    source_leg, number = probe.read(payload, np.full(len(stamps), width, np.int32), nonce)
    assert source_leg.tolist() == legs.tolist()
    assert number.tolist() == numbers.tolist()
    assert (source_leg.dtype.name, number.dtype.name) == ("int32", "int64")


def test_a_probe_has_network_byte_order() -> None:
    """The bytes on the wire are fixed, so that a capture can be read by others."""
    payload = np.zeros((1, 16), np.uint8)
    probe.write(payload, NONCE, 1, 258)
    assert payload.tobytes() == bytes.fromhex("9e53a11c 12345678 00000001 00000102")


def test_audio_behind_the_probe_is_left_alone() -> None:
    """Only the first 16 bytes of a payload change, also in a column view of a wider arena."""
    arena = np.full((3, 172), 7, np.uint8)
    probe.write(arena[:, 12:], NONCE, 5, np.arange(3))
    assert (arena[:, :12] == 7).all()
    assert (arena[:, 28:] == 7).all()


def test_one_field_is_renumbered_in_place() -> None:
    """The sender rewrites numbers only: the view is of the arena's own bytes."""
    arena = np.zeros((4, 172), np.uint8)
    probe.write(arena[:, 12:], NONCE, np.arange(4), 0)
    probe.stamp_view(arena[1:3, 12:])["number"] = [9, 8]
    _, numbers = probe.read(arena[:, 12:], np.full(4, 160, np.int32), NONCE)
    assert numbers.tolist() == [0, 9, 8, 0]


@pytest.mark.parametrize(
    ("reason", "nonce", "length", "flip"),
    [
        ("another run's", NONCE + 1, 160, None),
        ("cut off", NONCE, 15, None),
        ("not a probe", NONCE, 160, 0),
        ("of a leg there is not", NONCE, 160, 8),
    ],
)
def test_what_is_not_a_probe_of_ours_is_not_taken_for_one(
    reason: str, nonce: int, length: int, flip: int | None
) -> None:
    """A stamp of another run, behind the payload's end, or damaged gives -1; its neighbour is read all the same."""
    payload = np.zeros((2, 160), np.uint8)
    probe.write(payload, NONCE, 3, 4)
    if flip is not None:
        payload[0, flip] ^= 1
    probe.write(payload[1:], nonce, 3, 4)
    source_leg, number = probe.read(payload, np.array([length, 160], np.int32), nonce, legs=100)
    assert (source_leg.tolist(), number.tolist()) == ([-1, 3], [-1, 4]), reason


def test_payloads_too_small_for_a_probe_carry_none() -> None:
    """Ten bytes of G.729 are read without an error, and cannot be stamped."""
    payload = np.zeros((2, 10), np.uint8)
    source_leg, number = probe.read(payload, np.full(2, 10, np.int32), NONCE)
    assert (source_leg.tolist(), number.tolist()) == ([-1, -1], [-1, -1])
    with pytest.raises(ValueError, match="10 bytes cannot hold a probe"):
        probe.write(payload, NONCE, 0, 0)
