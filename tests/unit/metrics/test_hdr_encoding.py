import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.metrics.hdr_encoding import decode, encode
from pytest_ari_sla.metrics.hdr_layout import BUCKETS, HIGHEST

filled = st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, 2**62), max_size=30)


def wrapped(
    payload: bytes, *, outer: int = 0x1C849314, inner: int = 0x1C849313, digits: int = 3, length: int | None = None
) -> str:
    """Put a payload into the two headers of the wire form, by hand."""
    header = struct.pack(">IIIIQQd", inner, len(payload), 0, digits, 1, HIGHEST, 1.0)
    compressed = zlib.compress(header + payload)
    size = len(compressed) if length is None else length
    return base64.b64encode(struct.pack(">II", outer, size) + compressed).decode()


@given(filled)
def test_what_is_encoded_decodes_to_the_same(counts: dict[int, int]) -> None:
    """A round trip keeps all buckets and counts."""
    buckets = sorted(counts)
    occurrences = [counts[bucket] for bucket in buckets]
    assert decode(encode(buckets, occurrences)) == (buckets, occurrences)


def test_runs_of_zeros_are_negative_numbers() -> None:
    """The payload holds -2 (two empty buckets), 1, then 300: ZigZag 3, 2, 600."""
    assert decode(wrapped(bytes([3, 2, 0xD8, 0x04]))) == ([2, 3], [1, 300])
    assert encode([2, 3], [1, 300]) == wrapped(bytes([3, 2, 0xD8, 0x04]))


def test_a_zero_is_one_empty_bucket() -> None:
    """Writers may spell a single empty bucket as a zero."""
    assert decode(wrapped(bytes([0, 2]))) == ([1], [1])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no base64!", "not an HdrHistogram"),
        ("", "not an HdrHistogram"),
        (wrapped(b"", length=3), "not an HdrHistogram"),
        (wrapped(b"", outer=0x1C849302), "not an HdrHistogram in V2 form"),
        (wrapped(b"", inner=0x1C849301), "not an HdrHistogram in V2 form"),
        (wrapped(b"", digits=2), "settings"),
        (wrapped(bytes([0x80])), "middle of a number"),
        (encode([BUCKETS], [1]), "counters"),
    ],
)
def test_other_texts_are_refused(text: str, problem: str) -> None:
    """What is no such histogram is named as the reason."""
    with pytest.raises(ValueError, match=problem):
        decode(text)
