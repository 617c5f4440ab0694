from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.rtp.source_validation import MAX_MISORDER, MIN_SEQUENTIAL, SourceValidator
from tests.unit.batches import Packet, batch_of, batch_sizes, split, streams


class SlowSource:
    """A.1 of RFC 3550 for one leg, line by line."""

    def __init__(self) -> None:
        self.ssrc: int | None = None

    def begin(self, seq: int) -> None:
        """Start the counts anew: init_seq."""
        self.base_seq = self.max_seq = seq
        self.bad_seq = 65537
        self.cycles = self.received = 0

    def take(self, seq: int, ssrc: int) -> bool:
        """Take in one packet: update_seq."""
        if ssrc != self.ssrc:
            self.ssrc, self.probation = ssrc, MIN_SEQUENTIAL
            self.begin(seq)
            self.max_seq = (seq - 1) % 65536
        udelta = (seq - self.max_seq) % 65536
        if self.probation:
            self.max_seq = seq
            self.probation = self.probation - 1 if udelta == 1 else MIN_SEQUENTIAL - 1
            if self.probation:
                return False
            self.begin(seq)
        elif udelta < 3000:
            self.cycles += 65536 * (seq < self.max_seq)
            self.max_seq = seq
        elif udelta <= 65536 - MAX_MISORDER:
            if seq != self.bad_seq:
                self.bad_seq = (seq + 1) % 65536
                return False
            self.begin(seq)
        self.received += 1
        return True

    def totals(self) -> tuple[int, int]:
        """Return packets expected and received."""
        if self.ssrc is None or self.probation:
            return 0, 0
        return self.cycles + self.max_seq - self.base_seq + 1, self.received


def stream(*numbers: int) -> list[Packet]:
    """Return packets of leg 0 with these sequence numbers."""
    return [Packet(sequence=number) for number in numbers]


@given(streams(legs=3), batch_sizes())
def test_batches_of_any_split_agree_with_the_rfcs_code(packets: list[Packet], sizes: list[int]) -> None:
    """Each packet's validity and each leg's totals are those of A.1, packet by packet."""
    slow = [SlowSource() for _ in range(3)]
    expected = [slow[packet.leg].take(packet.sequence, packet.ssrc) for packet in packets]
    validator = SourceValidator(3)
    valid = [bool(flag) for batch in split(packets, sizes) for flag in validator.update(batch)]
    assert valid == expected
    totals = validator.totals()
    assert list(zip(totals.expected.tolist(), totals.received.tolist(), strict=True)) == [leg.totals() for leg in slow]


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    ("numbers", "valid", "expected", "lost"),
    [
        pytest.param([65533, 65534, 65535, 0, 1, 2], [0, 1, 1, 1, 1, 1], 5, 0, id="wrap-around"),
        pytest.param([10, 11, 13, 12, 14], [0, 1, 1, 1, 1], 4, 0, id="reordered"),
        pytest.param([10, 11, 12, 12, 13], [0, 1, 1, 1, 1], 3, -1, id="a duplicate makes loss negative"),
        pytest.param([100, 101, 102, 3101, 3102], [0, 1, 1, 1, 1], 3002, 2998, id="widest gap"),
        pytest.param([10, 11, 12, 4000, 4001, 4002], [0, 1, 1, 0, 1, 1], 2, 0, id="restart"),
        pytest.param([101, 102, 103, 4], [0, 1, 1, 1], 2, -1, id="99 behind is late"),
        pytest.param([101, 102, 103, 3], [0, 1, 1, 0], 2, 0, id="100 behind has jumped"),
        pytest.param([7, 9, 10], [0, 0, 1], 1, 0, id="probation begins again"),
        pytest.param([65535, 0], [0, 1], 1, 0, id="probation across the wrap-around"),
    ],
)
def test_vectors_of_a1_and_a3(size: int, numbers: list[int], valid: list[int], expected: int, lost: int) -> None:
    """The state machine and the loss count give the known results in any batch size."""
    validator = SourceValidator(1)
    found = [int(flag) for batch in split(stream(*numbers), [size]) for flag in validator.update(batch)]
    totals = validator.totals()
    assert (found, totals.expected.tolist(), totals.lost.tolist()) == (valid, [expected], [lost])


def test_the_extended_highest_number_counts_cycles() -> None:
    """The upper bits hold how often the 16 bits have wrapped around."""
    validator = SourceValidator(1)
    validator.update(batch_of(stream(65534, 65535, 0, 1)))
    assert validator.totals().extended_highest.tolist() == [65536 + 1]


def lossy_stream(expected: int, lost: int) -> list[Packet]:
    """Return so many packets without some in the middle, after the one that probation takes."""
    numbers = [0, *range(1, 5), *range(5 + lost, expected + 1)]
    return stream(*numbers)


def test_the_fraction_lost_is_of_the_interval() -> None:
    """Ten of 250 are 10/256; the next interval starts from nothing."""
    validator = SourceValidator(1)
    validator.update(batch_of(lossy_stream(250, 10)))
    assert validator.end_interval().tolist() == [10]
    validator.update(batch_of(stream(251, 252)))
    assert validator.end_interval().tolist() == [0]
    assert validator.end_interval().tolist() == [0]


def test_more_duplicates_than_losses_are_no_negative_fraction() -> None:
    """A.3 reports 0 then."""
    validator = SourceValidator(1)
    validator.update(batch_of(stream(1, 2, 3, 3, 3)))
    assert validator.end_interval().tolist() == [0]


def test_the_cumulative_loss_stays_within_24_bits() -> None:
    """A report's field cannot hold more, so the count sticks at its end."""
    validator = SourceValidator(1)
    validator.update(batch_of(stream(0, 1)))
    number = 1
    for _ in range(2_800):
        number += 2_999
        validator.update(batch_of(stream(number % 65536)))
    assert validator.totals().lost.tolist() == [0x7FFFFF]


def test_a_released_leg_is_in_probation_again() -> None:
    """The next call's first packet is not taken for one of the last call's."""
    validator = SourceValidator(2)
    batch = batch_of([Packet(leg, number) for number in (1, 2, 3) for leg in (0, 1)])
    validator.update(batch)
    validator.reset(np.array([1], np.int32))
    assert validator.update(batch_of([Packet(0, 4), Packet(1, 4)])).tolist() == [True, False]
    assert validator.totals().received.tolist() == [3, 0]


def test_an_empty_batch_is_valid() -> None:
    """No packet, no verdict."""
    assert len(SourceValidator(1).update(batch_of([]))) == 0
