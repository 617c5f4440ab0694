"""What legs tell their peers of what has come: RFC 3550, 6.4.1, calculated by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given

from pytest_ari_sla.rtp.rtcp import ReportBlock
from pytest_ari_sla.rtp_media.reception import Reception
from tests.unit.batches import MILLISECOND, START_NS, Packet, batch_of, batch_sizes, split, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

LEG, PACKET_TIME_NS, TICKS = 1, 20 * MILLISECOND, 160


def make() -> Reception:
    """Return a reception of three legs at 8000 Hz."""
    return Reception(3, np.full(3, 8000, np.int64), PACKET_TIME_NS)


def stream(numbers: Sequence[int], *, ssrc: int = 7, late_ns: int = 0) -> list[Packet]:
    """Return packets of these numbers as they arrive in time; each second one so much later."""
    return [
        Packet(
            leg=LEG,
            sequence=number % (1 << 16),
            timestamp=number * TICKS,
            ssrc=ssrc,
            arrival_ns=START_NS + number * PACKET_TIME_NS + (number % 2) * late_ns,
        )
        for number in numbers
    ]


def told(reception: Reception) -> ReportBlock:
    """Return what is told next."""
    block = reception.report(LEG, 0xABCD, 99)
    assert block is not None
    return block


def test_what_has_come_is_told() -> None:
    """Source, highest number, and what the peer needs for the round trip."""
    reception = make()
    reception.observe(batch_of(stream(range(10, 20))))
    assert told(reception) == ReportBlock(7, 0, 0, 19, 0, 0xABCD, 99)
    assert reception.report(0, 0, 0) is None


def test_what_is_lost_is_told_in_all_and_since_the_last_report() -> None:
    """Of the first 20 expected 5 are lost; then 10 of 20: 128/256, and 15 in all."""
    reception = make()
    reception.observe(batch_of(stream([*range(5), *range(10, 20)])))
    first = told(reception)
    assert (first.lost, first.fraction_lost) == (5, 5 * 256 // 20)
    reception.observe(batch_of(stream(range(21, 41, 2))))
    second = told(reception)
    assert (second.lost, second.fraction_lost, second.extended_highest) == (15, 10 * 256 // 20, 39)
    assert told(reception).fraction_lost == 0
    assert reception.missing(LEG) == 15


def test_what_comes_late_is_not_lost() -> None:
    """As long as it comes."""
    reception = make()
    reception.observe(batch_of(stream([0, 1, 3, 4, 2])))
    assert told(reception).lost == 0


def test_the_highest_number_goes_on_where_16_bits_wrap() -> None:
    """Cycles are counted above them."""
    reception = make()
    reception.observe(batch_of(stream(range(65_530, 65_540))))
    assert told(reception).extended_highest == 65_539


def test_jitter_is_told_in_ticks() -> None:
    """Each second packet 10 ms late: |D| is 80 ticks, and so becomes the jitter."""
    reception = make()
    reception.observe(batch_of(stream(range(200), late_ns=10 * MILLISECOND)))
    assert told(reception).jitter == 79


def test_another_source_begins_anew() -> None:
    """What was lost of the one before is not told of it (RFC 3550, 8.2)."""
    reception = make()
    reception.observe(batch_of(stream([0, 1, 5])))
    reception.observe(batch_of(stream(range(50, 60), ssrc=8)))
    block = told(reception)
    assert (block.ssrc, block.lost, block.fraction_lost) == (8, 0, 0)


def test_a_released_leg_has_heard_nothing() -> None:
    """Its number is the next call's."""
    reception = make()
    reception.observe(batch_of(stream([0, 1, 5])))
    reception.release(LEG)
    assert reception.report(LEG, 0, 0) is None
    reception.observe(batch_of(stream(range(3))))
    assert (told(reception).lost, reception.missing(LEG)) == (0, 0)


@given(streams(), batch_sizes())
def test_it_does_not_matter_how_packets_are_split(packets: list[Packet], sizes: list[int]) -> None:
    """Whatever comes, some of it strange: all fields fit, and what is told of loss is the same."""
    whole, split_up = make(), make()
    whole.observe(batch_of(packets))
    for batch in split(packets, sizes):
        split_up.observe(batch)
    for leg in range(3):
        one, other = whole.report(leg, 0, 0), split_up.report(leg, 0, 0)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.ssrc == other.ssrc
            assert one.extended_highest == other.extended_highest
            assert 0 <= one.fraction_lost < 256
            assert 0 <= other.fraction_lost < 256
