from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.header import HEADER_BYTES, Fault, ParsedHeaders, header_view, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 80


def arena(*datagrams: bytes, width: int = WIDTH, filler: int = 0xAA) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Lay datagrams into rows that still hold other bytes behind them."""
    rows = np.full((len(datagrams), width), filler, np.uint8)
    for row, datagram in zip(rows, datagrams, strict=True):
        row[: len(datagram)] = np.frombuffer(datagram, np.uint8)
    return rows, np.array([len(datagram) for datagram in datagrams], np.int32)


def packet(
    *,
    version: int = 2,
    marker: bool = False,
    payload_type: int = 0,
    sources: int = 0,
    extension_words: int | None = None,
    payload: bytes = b"audio",
    padding: int = 0,
) -> bytes:
    """Build one RTP packet, field by field."""
    flags = version << 6 | (padding > 0) << 5 | (extension_words is not None) << 4 | sources
    header = struct.pack(">BBHII", flags, marker << 7 | payload_type, 0xFFFE, 0xFFFFFFF0, 0xDEADBEEF)
    contributors = struct.pack(f">{sources}I", *range(sources))
    extension = b""
    if extension_words is not None:
        extension = struct.pack(">HH", 0xBEDE, extension_words) + bytes(4 * extension_words)
    tail = bytes(padding - 1) + bytes([padding]) if padding else b""
    return header + contributors + extension + payload + tail


def payload_of(rows: NDArray[np.uint8], parsed: ParsedHeaders, row: int) -> bytes:
    """Return the payload that was found in a row."""
    start = int(parsed.payload_offset[row])
    return rows[row, start : start + int(parsed.payload_length[row])].tobytes()


def test_reads_all_fields_of_a_plain_packet() -> None:
    """Sequence, time stamp, SSRC, payload type and marker come out in the host's byte order."""
    rows, lengths = arena(packet(marker=True, payload_type=101))
    parsed = parse(rows, lengths)
    assert (parsed.sequence[0], parsed.timestamp[0], parsed.ssrc[0]) == (0xFFFE, 0xFFFFFFF0, 0xDEADBEEF)
    assert (parsed.payload_type[0], bool(parsed.marker[0])) == (101, True)
    assert payload_of(rows, parsed, 0) == b"audio"
    assert parsed.sequence.dtype.isnative
    assert parsed.plain


@given(
    sources=st.integers(0, 5),
    extension_words=st.none() | st.integers(0, 3),
    payload=st.binary(max_size=10),
    padding=st.integers(0, 8),
)
def test_finds_the_payload_behind_sources_and_extension_and_before_padding(
    sources: int, extension_words: int | None, payload: bytes, padding: int
) -> None:
    """Contributing sources, an extension and padding are cut off, in every combination."""
    datagram = packet(sources=sources, extension_words=extension_words, payload=payload, padding=padding)
    rows, lengths = arena(packet(), datagram)
    parsed = parse(rows, lengths)
    assert parsed.valid.all()
    assert payload_of(rows, parsed, 0) == b"audio"
    assert payload_of(rows, parsed, 1) == payload
    assert parsed.plain == (sources == 0 and extension_words is None)


@pytest.mark.parametrize(
    ("datagram", "fault"),
    [
        pytest.param(b"", Fault.SHORT, id="empty"),
        pytest.param(packet()[:11], Fault.SHORT, id="header cut"),
        pytest.param(packet(sources=3)[:20], Fault.SHORT, id="sources cut"),
        pytest.param(packet(extension_words=2)[:13], Fault.SHORT, id="extension header cut"),
        pytest.param(packet(extension_words=9, payload=b"")[:20], Fault.SHORT, id="extension cut"),
        pytest.param(packet(version=1), Fault.VERSION, id="version 1"),
        pytest.param(b"OPTIONS sip:x SIP/2.0", Fault.VERSION, id="SIP"),
        pytest.param(packet(payload=b"", padding=4)[:-1] + b"\x00", Fault.PADDING, id="padding of 0"),
        pytest.param(packet(payload=b"", padding=4)[:-1] + b"\x05", Fault.PADDING, id="padding too long"),
        pytest.param(b"\xa0" + packet(payload=b"")[1:], Fault.PADDING, id="padding without a payload"),
        pytest.param(b"\x80\xc8" + packet()[2:], Fault.RTCP, id="sender report"),
        pytest.param(b"\x80\xcc" + packet()[2:], Fault.RTCP, id="RTCP APP"),
    ],
)
def test_names_what_is_wrong_with_a_datagram(datagram: bytes, fault: Fault) -> None:
    """A datagram that is no RTP packet is marked with the reason, and its neighbours are not touched."""
    rows, lengths = arena(packet(), datagram, packet())
    parsed = parse(rows, lengths)
    assert parsed.fault.tolist() == [Fault.NONE, fault, Fault.NONE]
    assert parsed.valid.tolist() == [True, False, True]
    assert parsed.payload_length.tolist() == [5, 0, 5]


def test_bytes_left_over_behind_a_short_datagram_are_not_read_as_its_header() -> None:
    """An 8-byte datagram in a row that held a good packet before is short, whatever stands behind it."""
    rows, lengths = arena(packet())
    lengths[0] = 8
    assert parse(rows, lengths).fault.tolist() == [Fault.SHORT]


@pytest.mark.parametrize("packet_type", range(192, 224))
def test_every_rtcp_packet_type_is_known(packet_type: int) -> None:
    """Feedback (205, 206), extended reports (207) and what may still come, as RFC 5761 (section 4) has it."""
    assert parse(*arena(bytes([0x80, packet_type]) + packet()[2:])).fault.tolist() == [Fault.RTCP]


@pytest.mark.parametrize(("marker", "payload_type"), [(True, 63), (True, 96), (False, 64), (False, 72), (False, 95)])
def test_payload_types_next_to_rtcp_are_media(payload_type: int, *, marker: bool) -> None:
    """Only a second byte of 192 to 223 is RTCP: without the marker it is not."""
    assert parse(*arena(packet(marker=marker, payload_type=payload_type))).valid.all()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
def test_any_bytes_are_parsed_without_an_error_and_never_beyond_their_end(datagrams: list[bytes]) -> None:
    """Whatever arrives, a payload lies within its own datagram."""
    parsed = parse(*arena(*datagrams, width=40))
    for row, datagram in enumerate(datagrams):
        if parsed.valid[row]:
            assert HEADER_BYTES <= parsed.payload_offset[row]
            assert parsed.payload_offset[row] + parsed.payload_length[row] <= len(datagram)
        else:
            assert parsed.payload_length[row] == 0


def test_an_empty_batch_gives_empty_arrays() -> None:
    """No datagram, no header."""
    parsed = parse(np.empty((0, WIDTH), np.uint8), np.empty(0, np.int32))
    assert len(parsed.sequence) == 0
    assert parsed.valid.all()


def test_headers_are_written_through_a_view_of_a_wider_arena() -> None:
    """The view is of the arena's own bytes, also where rows lie apart."""
    rows = np.zeros((4, 100), np.uint8)
    header_view(rows[::2])["sequence"] = [258, 772]
    assert rows[0, 2:4].tolist() == [1, 2]
    assert rows[2, 2:4].tolist() == [3, 4]


def test_rows_without_room_for_a_header_are_refused() -> None:
    """A ring that is too narrow is a mistake of the caller, told at once."""
    with pytest.raises(ValueError, match="11 bytes cannot hold"):
        parse(np.zeros((1, 11), np.uint8), np.zeros(1, np.int32))
