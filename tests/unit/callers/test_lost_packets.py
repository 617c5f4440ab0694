"""Which packets were lost, by sequence numbers; and that what was lost is no silence to whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.callers.listener import SpeechListener
from pytest_ari_sla.callers.lost_packets import LostPackets
from pytest_ari_sla.codecs.g711 import pcmu
from tests.unit.batches import MILLISECOND, START_NS, Packet, batch_of, batch_sizes, split, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.callers.detector import SpeechChange

PCMU = pcmu()
LOUD = PCMU.encode(np.resize(np.array([8000, -8000], np.int16), 160), 20)[0].tobytes()


def counted(packets: Sequence[Packet]) -> list[int]:
    """Return how many were lost before each packet."""
    return list(LostPackets(4).count(batch_of(packets)).tolist())


@pytest.mark.parametrize(
    ("sequence", "lost"),
    [
        ([7, 8, 9], [0, 0, 0]),
        ([7, 10, 11], [0, 2, 2]),
        ([65534, 1, 2], [0, 2, 2]),  # 65535 and 0, across the wrap-around
        ([7, 9, 8, 10, 12], [0, 1, 1, 1, 2]),  # what comes late has been counted
        ([7, 7, 8], [0, 0, 0]),
        ([7, 5000, 5001, 5003], [0, 0, 0, 1]),  # a jump is another stream
    ],
)
def test_missing_numbers_are_lost_packets(sequence: list[int], lost: list[int]) -> None:
    """Each once, when a later one comes."""
    assert counted([Packet(sequence=number) for number in sequence]) == lost


def test_another_source_is_another_stream() -> None:
    """Its numbers say nothing of the one before."""
    sources = [(1, 7), (2, 90), (2, 92), (1, 60)]
    assert counted([Packet(ssrc=source, sequence=number) for source, number in sources]) == [0, 0, 1, 1]


@given(streams(), batch_sizes())
def test_how_packets_are_split_into_batches_is_the_same(packets: list[Packet], sizes: list[int]) -> None:
    """Each leg is followed from one batch to the next."""
    found: list[int] = []
    following = LostPackets(4)
    for batch in split(packets, sizes):
        found += following.count(batch).tolist()
    assert found == counted(packets)


def test_a_leg_that_is_another_calls_begins_anew() -> None:
    """With whatever number."""
    following = LostPackets(1)
    following.count(batch_of([Packet(sequence=7), Packet(sequence=9)]))
    following.release(np.array([0]))
    assert following.count(batch_of([Packet(sequence=30)])).tolist() == [0]


def heard(gap_ms: int, numbers_missing: int, *between: Packet) -> list[SpeechChange]:
    """Return what is told of 200 ms of speech, a gap in which some packets went missing, and speech again."""
    told: list[SpeechChange] = []
    listener = SpeechListener(PCMU, 1, told.extend)
    for number in range(10):
        arrival_ns = START_NS + number * 20 * MILLISECOND
        listener.observe(batch_of([Packet(sequence=number, arrival_ns=arrival_ns, payload=LOUD)]))
    listener.advance(START_NS + (200 + gap_ms - 10) * MILLISECOND)
    for packet in between:
        listener.observe(batch_of([packet], width=160))
    again_ns = START_NS + (200 + gap_ms) * MILLISECOND
    for number in range(5):
        arrival_ns = again_ns + number * 20 * MILLISECOND
        sequence = (10 + numbers_missing + number) % 65536
        listener.observe(batch_of([Packet(sequence=sequence, arrival_ns=arrival_ns, payload=LOUD)]))
    return told


@pytest.mark.parametrize(
    ("gap_ms", "numbers_missing", "goes_on"),
    [
        (400, 20, True),  # all that there was time for
        (400, 15, True),  # 100 ms of silence are none that counts
        (400, 5, False),  # 300 ms are
        (400, 0, False),  # nothing was sent
        (400, 500, False),  # there was no time for so many: another stream
    ],
)
def test_a_gap_of_lost_packets_is_no_silence(gap_ms: int, numbers_missing: int, *, goes_on: bool) -> None:
    """And one of packets that were not sent is."""
    *_, last = heard(gap_ms, numbers_missing)
    assert (last.speaks, last.goes_on) == (True, goes_on)


def test_telephone_events_have_numbers_and_are_not_lost() -> None:
    """A key of 400 ms between two words is no speech, and its packets came."""
    keys = [
        Packet(sequence=10 + n, payload_type=101, arrival_ns=START_NS + (200 + n * 20) * MILLISECOND, payload=b"\0" * 4)
        for n in range(20)
    ]
    *_, last = heard(400, 20, *keys)
    assert (last.speaks, last.goes_on) == (True, False)
