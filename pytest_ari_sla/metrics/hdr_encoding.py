"""HdrHistogram's V2 wire form: counters as ZigZag LEB128 numbers, deflated, in base64.

Layout (all big endian), as the HdrHistogram project publishes it: an outer header of cookie and length, then a zlib
stream that holds cookie, payload length, normalising offset, significant digits, lowest and highest trackable value,
conversion ratio, and the payload. In the payload a positive number is a counter, a negative one a run of zeros.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from typing import TYPE_CHECKING

from pytest_ari_sla.metrics.hdr_layout import BUCKETS, HIGHEST, LOWEST, SIGNIFICANT_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["decode", "encode"]

# The second lowest nibble tells the word size; 1 stands for LEB128.
_PAYLOAD_COOKIE = 0x1C849303 | 0x10
_COMPRESSED_COOKIE = 0x1C849304 | 0x10
_OUTER = struct.Struct(">II")
_INNER = struct.Struct(">IIIIQQd")
_SETTINGS = (0, SIGNIFICANT_DIGITS, LOWEST, HIGHEST, 1.0)  # offset 0 and ratio 1: neither is used here
# A number takes at most nine bytes; the ninth carries eight bits and no continuation flag.
_LAST_SHIFT = 56


def encode(buckets: Sequence[int], counts: Sequence[int]) -> str:
    """Encode a histogram given by the ascending numbers of its filled buckets and their counts."""
    payload = bytearray()
    expected = 0
    for bucket, count in zip(buckets, counts, strict=True):
        if bucket > expected:
            _append_number(payload, expected - bucket)
        _append_number(payload, count)
        expected = bucket + 1
    inner = _INNER.pack(_PAYLOAD_COOKIE, len(payload), *_SETTINGS) + payload
    compressed = zlib.compress(inner)
    return base64.b64encode(_OUTER.pack(_COMPRESSED_COOKIE, len(compressed)) + compressed).decode("ascii")


def decode(text: str) -> tuple[list[int], list[int]]:
    """Return the ascending numbers of the filled buckets, and their counts.

    Raises
    ------
    ValueError
        When the text is not a V2 compressed HdrHistogram, or its settings differ from this module's.
    """
    buckets: list[int] = []
    counts: list[int] = []
    bucket = 0
    for number in _numbers(_payload(text)):
        if number > 0:
            buckets.append(bucket)
            counts.append(number)
        # Zero is no run: it is one empty bucket.
        bucket += max(-number, 1)
    if bucket > BUCKETS:
        message = f"an HdrHistogram of {bucket} counters where {BUCKETS} are expected"
        raise ValueError(message)
    return buckets, counts


def _payload(text: str) -> bytes:
    """Return the uncompressed counters of an encoded histogram, after checking both headers."""
    try:
        # Without validate, characters of no base64 are passed over.
        raw = base64.b64decode(text, validate=True)
        outer_cookie, length = _OUTER.unpack_from(raw)
        inner = zlib.decompress(raw[_OUTER.size : _OUTER.size + length])
        inner_cookie, payload_length, *settings = _INNER.unpack_from(inner)
    except (binascii.Error, struct.error, zlib.error) as error:
        message = f"not an HdrHistogram: {error}"
        raise ValueError(message) from error
    if (outer_cookie, inner_cookie) != (_COMPRESSED_COOKIE, _PAYLOAD_COOKIE):
        message = f"not an HdrHistogram in V2 form: cookies {outer_cookie:#x} and {inner_cookie:#x}"
        raise ValueError(message)
    if tuple(settings) != _SETTINGS:
        message = f"an HdrHistogram with settings {tuple(settings)}; this program reads {_SETTINGS}"
        raise ValueError(message)
    return inner[_INNER.size : _INNER.size + payload_length]


def _append_number(payload: bytearray, number: int) -> None:
    """Append a signed 64-bit number as ZigZag LEB128."""
    # The second part is 0 or -1: negative numbers are turned around, so that small ones of both signs are short.
    rest = (number << 1) ^ (number >> 63)
    shift = 0
    while rest > 0x7F and shift < _LAST_SHIFT:
        payload.append(rest & 0x7F | 0x80)
        rest >>= 7
        shift += 7
    payload.append(rest)


def _numbers(payload: bytes) -> Iterator[int]:
    """Yield the signed numbers of a payload."""
    value = shift = 0
    for byte in payload:
        if shift == _LAST_SHIFT or byte < 0x80:
            value |= byte << shift
            yield (value >> 1) ^ -(value & 1)
            value = shift = 0
        else:
            value |= (byte & 0x7F) << shift
            shift += 7
    if shift:
        message = "an HdrHistogram that ends in the middle of a number"
        raise ValueError(message)
