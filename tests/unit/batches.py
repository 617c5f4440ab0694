"""Batches of packets for tests: written down by hand, or drawn by Hypothesis, and split in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pytest_ari_sla.rtp.packet_batch import PacketBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MILLISECOND = 1_000_000
START_NS = 1_700_000_000_000_000_000


class Packet(NamedTuple):
    """One received packet; the defaults are a plain packet without a probe."""

    leg: int = 0
    sequence: int = 0
    timestamp: int = 0
    ssrc: int = 1
    payload_type: int = 0
    marker: bool = False
    arrival_ns: int = START_NS
    source_leg: int = -1
    probe: int = -1
    sent_ns: int = 0
    intended_ns: int = 0
    payload: bytes = b""


def batch_of(packets: Sequence[Packet], width: int = 0) -> PacketBatch:
    """Build a batch; payload rows are ``width`` bytes, or as wide as the longest payload."""
    columns = {name: [getattr(packet, name) for packet in packets] for name in Packet._fields}
    payloads: list[bytes] = columns["payload"]
    rows = np.zeros((len(packets), max([width, *map(len, payloads)])), np.uint8)
    for row, payload in zip(rows, payloads, strict=True):
        row[: len(payload)] = np.frombuffer(payload, np.uint8)
    return PacketBatch(
        leg=np.array(columns["leg"], np.int32),
        sequence=np.array(columns["sequence"], np.uint16),
        timestamp=np.array(columns["timestamp"], np.uint32),
        ssrc=np.array(columns["ssrc"], np.uint32),
        payload_type=np.array(columns["payload_type"], np.uint8),
        marker=np.array(columns["marker"], np.bool_),
        arrival_ns=np.array(columns["arrival_ns"], np.int64),
        source_leg=np.array(columns["source_leg"], np.int32),
        probe=np.array(columns["probe"], np.int64),
        sent_ns=np.array(columns["sent_ns"], np.int64),
        intended_ns=np.array(columns["intended_ns"], np.int64),
        payload=rows,
        payload_length=np.array([len(payload) for payload in payloads], np.int32),
    )


def split(packets: Sequence[Packet], sizes: Sequence[int]) -> Iterator[PacketBatch]:
    """Give the packets in batches of these sizes, repeated as often as needed; a size of 0 gives an empty batch."""
    start = turn = 0
    while start < len(packets):
        size = sizes[turn % len(sizes)]
        yield batch_of(packets[start : start + size])
        start, turn = start + size, turn + 1


def batch_sizes() -> st.SearchStrategy[list[int]]:
    """Ways to split packets into batches."""
    return st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any)


@st.composite
def streams(draw: st.DrawFn, legs: int = 3, most: int = 40) -> list[Packet]:
    """Draw packets of a few legs, interleaved: gaps, duplicates, late packets, wraps, jumps and changes of SSRC.

    Steps are mostly those of a healthy stream, and numbers begin near the wrap-around, so that short examples reach
    the edges.
    """
    sequence = [draw(st.sampled_from([0, 1, 65_500, 65_534, 65_535])) for _ in range(legs)]
    timestamp = [draw(st.sampled_from([0, 2**31 - 400, 2**32 - 400])) for _ in range(legs)]
    ssrc = [1] * legs
    arrival_ns = START_NS
    packets = []
    for _ in range(draw(st.integers(0, most))):
        leg = draw(st.integers(0, legs - 1))
        step = draw(
            st.sampled_from([1, 1, 1, 1, 2, 5, 0, -1, -3, -62, -63, -64, -65, -100, 63, 64, 2999, 3000, 30_000])
        )
        sequence[leg] = (sequence[leg] + step) % 2**16
        timestamp[leg] = (timestamp[leg] + 160 * step) % 2**32
        ssrc[leg] = draw(st.sampled_from([ssrc[leg]] * 7 + [ssrc[leg] % 3 + 1]))
        arrival_ns += draw(st.integers(0, 8 * MILLISECOND))
        payload_type = draw(st.sampled_from([0, 0, 0, 0, 101]))
        packets.append(Packet(leg, sequence[leg], timestamp[leg], ssrc[leg], payload_type, arrival_ns=arrival_ns))
    return packets
