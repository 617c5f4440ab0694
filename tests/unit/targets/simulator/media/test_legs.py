"""Legs: what becomes of RTP headers, by the rules measured on Asterisk."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.targets.simulator.media.legs import LegTable, Mode, Packets

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEQUENCES = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=30)


def table(legs: int = 4) -> LegTable:
    """Return a table with open mu-law legs."""
    made = LegTable(legs, np.random.default_rng(1))
    for leg in range(legs):
        made.open(leg, "ulaw", 0x7F000001, 4000 + leg)
    return made


def packets(sequences: Sequence[int], timestamps: Sequence[int] | None = None) -> Packets:
    """Return packets with these numbers."""
    made = Packets(np.zeros((len(sequences), 172), np.uint8), np.full(len(sequences), 172, np.uint32))
    made.first[:] = 0x80
    made.sequence[:] = sequences
    made.timestamp[:] = timestamps if timestamps is not None else np.arange(len(sequences)) * 160
    made.ssrc[:] = 0x1111
    return made


def rewritten(legs: LegTable, sequences: Sequence[int], out: Sequence[int] | None = None) -> list[int]:
    """Return the sequence numbers that packets go out with."""
    made, count = packets(sequences), len(sequences)
    target = np.array(out if out is not None else [0] * count, np.int64)
    legs.rewrite(made, np.arange(count), target, np.zeros(count, bool))
    return [int(number) for number in made.sequence]


def steps(numbers: Sequence[int]) -> list[int]:
    """Return how far each number is from the one before, modulo 2^16, as a signed number."""
    return [((after - before + 0x8000) & 0xFFFF) - 0x8000 for before, after in pairwise(numbers)]


def test_small_steps_are_carried_over() -> None:
    """Loss, duplicates and disorder are seen on the other side."""
    assert steps(rewritten(table(), [10, 11, 14, 14, 13, 15])) == [1, 3, 0, -1, 2]


def test_steps_up_to_101_are_carried_over_and_larger_ones_are_not() -> None:
    """A far jump is a new source: its numbers go on one by one."""
    assert steps(rewritten(table(), [0, 101, 203, 102, 103])) == [101, 1, 1, 1]


def test_the_wrap_is_one_step() -> None:
    """From 65535 to 0."""
    assert steps(rewritten(table(), [65_534, 65_535, 0, 1])) == [1, 1, 1]


@given(_SEQUENCES, st.integers(0, 29))
def test_batches_do_not_matter(sequences: list[int], cut: int) -> None:
    """Packets in one batch get the numbers that they would get one after the other."""
    at_once = rewritten(table(), sequences)
    legs = table()
    assert rewritten(legs, sequences[:cut]) + rewritten(legs, sequences[cut:]) == at_once


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 0xFFFF)), min_size=1, max_size=40))
def test_legs_do_not_disturb_each_other(arrivals: list[tuple[int, int]]) -> None:
    """A leg's numbers are those that it would have alone."""
    together = rewritten(table(), [number for _, number in arrivals], [leg for leg, _ in arrivals])
    for leg in range(4):
        mine = [number for owner, number in arrivals if owner == leg]
        got = [number for (owner, _), number in zip(arrivals, together, strict=True) if owner == leg]
        assert got == (rewritten(table(), mine, [leg] * len(mine)) if mine else [])


@given(st.integers(0, 0xFFFFFFFF))
def test_time_stamps_are_cut_to_milliseconds(timestamp: int) -> None:
    """Eight ticks are one."""
    legs, made = table(), packets([1], [timestamp])
    legs.rewrite(made, np.arange(1), np.zeros(1, np.int64), np.zeros(1, bool))
    assert int(made.timestamp[0]) == timestamp - timestamp % 8


def test_a_leg_speaks_with_its_own_ssrc_and_payload_type() -> None:
    """Whatever came in."""
    legs, made = table(), packets([1, 2])
    legs.open(1, "alaw", 0x7F000001, 5000)
    legs.rewrite(made, np.arange(2), np.array([0, 1]), np.array([True, False]))
    assert made.second.tolist() == [0x80, 8]
    assert made.ssrc.tolist() == [legs.ssrc[0], legs.ssrc[1]]
    assert 0x1111 not in made.ssrc


def test_packets_that_are_made_follow_the_last_one() -> None:
    """Sequence and time stamp go on where the last packet was."""
    legs = table()
    passed = packets([7], [16_000])
    legs.rewrite(passed, np.arange(1), np.zeros(1, np.int64), np.zeros(1, bool))
    made = packets([0])
    legs.make_headers(made, np.zeros(1, np.int64), 160, np.zeros(1, bool))
    assert steps([int(passed.sequence[0]), int(made.sequence[0])]) == [1]
    assert int(made.timestamp[0]) == 16_160


def test_where_packets_go() -> None:
    """Echo goes back, a pair goes across, all else goes nowhere; mutes are heeded."""
    legs = table()
    legs.mode[:] = [Mode.ECHO, Mode.PAIR, Mode.PAIR, Mode.IDLE]
    legs.peer[1], legs.peer[2] = 2, 1
    everyone = np.arange(4)
    assert legs.destinations(everyone).tolist() == [0, 2, 1, -1]
    legs.muted_in[0] = True
    legs.muted_out[1] = True
    assert legs.destinations(everyone).tolist() == [-1, 2, -1, -1]


def test_a_pause_ends_with_the_first_packet_after_it() -> None:
    """The first packet ever ends none."""
    legs, leg = table(), np.zeros(1, np.int64)
    millisecond = 1_000_000
    seen = [bool(legs.pauses(leg, at * millisecond)[0]) for at in (1000, 1020, 1300, 1320)]
    assert seen == [False, False, True, False]


def test_only_plain_rtp_is_taken() -> None:
    """Other versions, extensions and empty packets are dropped, as are unknown payload types."""
    made = packets([1, 2, 3, 4])
    made.first[1] = 0x90  # with an extension
    made.second[2] = 101
    made.lengths[3] = 12
    assert table().received_formats(made).tolist() == [0, 255, 255, 255]
