from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.rtp.sequence import MAX_DROPOUT, MAX_MISORDER, WINDOW, SequenceAccounting
from tests.unit.batches import Packet, batch_of, batch_sizes, split, streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

COUNTERS = ("missing", "recovered", "duplicates", "reordered", "restarts", "strays")


class SlowAccounting:
    """The same by its definition, for one leg: remembers every number that it has seen."""

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.counts: Counter[str] = Counter()
        self.seen: set[int] = set()
        self.doubted: tuple[int, int, str] | None = None

    def take(self, sequence: int, ssrc: int) -> None:
        """Take in one packet."""
        highest = max(self.seen, default=0)
        number = highest - 32768 + (sequence - highest + 32768) % 65536
        if self.ssrc is None:
            self.ssrc, self.seen = ssrc, {sequence}
        elif ssrc == self.ssrc and highest < number < highest + MAX_DROPOUT:
            self.give_up_doubted()
            self.see(number)
        elif ssrc == self.ssrc and (highest - MAX_MISORDER < number <= highest or self.is_missing(number)):
            self.counts["duplicates" if number in self.seen else "reordered"] += 1
            self.see(number)
        else:
            is_copy = ssrc == self.ssrc and number in self.seen and number > highest - WINDOW
            self.doubt(sequence, ssrc, "duplicates" if is_copy else "strays")

    def doubt(self, sequence: int, ssrc: int, alone: str) -> None:
        """Take in a packet that does not fit."""
        if self.doubted is not None and self.doubted[1] == ssrc:
            apart = min((sequence - self.doubted[0]) % 65536, (self.doubted[0] - sequence) % 65536)
            if apart == 0:
                self.counts["duplicates"] += 1
                return
            if apart < MAX_MISORDER:
                self.counts["restarts"] += 1
                self.ssrc, self.seen, self.doubted = ssrc, {self.doubted[0]}, None
                self.take(sequence, ssrc)
                return
        self.give_up_doubted()
        self.doubted = (sequence, ssrc, alone)

    def give_up_doubted(self) -> None:
        """Nothing went on with the packet that did not fit."""
        if self.doubted is not None:
            self.counts[self.doubted[2]] += 1
            self.doubted = None

    def see(self, number: int) -> None:
        """Take in a number of the stream."""
        missing_before = self.gaps()
        self.seen.add(number)
        newly_missing = self.gaps() - missing_before
        self.counts["missing" if newly_missing > 0 else "recovered"] += abs(newly_missing)

    def is_missing(self, number: int) -> bool:
        """Whether this number belongs to the stream, and has not come."""
        is_within = min(self.seen) < number < max(self.seen) and number > max(self.seen) - WINDOW
        return is_within and number not in self.seen

    def gaps(self) -> int:
        """Return how many numbers between the first and the last one were not seen."""
        return max(self.seen) - min(self.seen) + 1 - len(self.seen)


def totals(batches: Iterable[PacketBatch], legs: int = 1) -> list[Counter[str]]:
    """Return what was counted for each leg over all batches."""
    accounting = SequenceAccounting(legs)
    counts = [Counter[str]() for _ in range(legs)]
    for batch in batches:
        change = accounting.update(batch)
        for name in COUNTERS:
            for leg, value in zip(change.legs.tolist(), getattr(change, name).tolist(), strict=True):
                counts[leg][name] += value
    return [+count for count in counts]


def stream(*numbers: int) -> list[Packet]:
    """Return packets of leg 0 with these sequence numbers."""
    return [Packet(sequence=number) for number in numbers]


@given(streams(legs=3), batch_sizes())
def test_batches_of_any_split_count_like_one_packet_after_the_other(packets: list[Packet], sizes: list[int]) -> None:
    """The fast path, the step-through and the definition agree on every count and on the extended number."""
    slow = [SlowAccounting() for _ in range(3)]
    for packet in packets:
        slow[packet.leg].take(packet.sequence, packet.ssrc)
    accounting = SequenceAccounting(3)
    for batch in split(packets, sizes):
        accounting.update(batch)
    assert accounting.extended_highest().tolist() == [max(leg.seen, default=0) for leg in slow]
    assert totals(split(packets, sizes), 3) == [+leg.counts for leg in slow]


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param([5, 6, 7], {}, id="in order"),
        pytest.param([5, 8], {"missing": 2}, id="two missing"),
        pytest.param([65534, 65535, 0, 1], {}, id="wrap-around"),
        pytest.param([65534, 1], {"missing": 2}, id="missing across the wrap-around"),
        pytest.param([5, 6, 6], {"duplicates": 1}, id="duplicate"),
        pytest.param([5, 7, 6], {"missing": 1, "recovered": 1, "reordered": 1}, id="late, not lost"),
        pytest.param([5, 7, 6, 6], {"missing": 1, "recovered": 1, "reordered": 1, "duplicates": 1}, id="late twice"),
        pytest.param([5, 3], {"reordered": 1, "missing": 1}, id="before the first"),
        pytest.param([5, 3, 4], {"reordered": 2, "missing": 1, "recovered": 1}, id="two before the first"),
        pytest.param([0, 65535], {"reordered": 1}, id="late across the wrap-around"),
        pytest.param([0, 2999], {"missing": 2998}, id="widest gap"),
        pytest.param([0, 3000, 3001], {"restarts": 1}, id="too wide for a gap, twice in a row"),
        pytest.param([0, 3000, 3002], {"restarts": 1, "missing": 1}, id="a loss right after the restart"),
        pytest.param([0, 3000, 1], {"strays": 1}, id="a single one too far ahead"),
        pytest.param([0, 3000, 9000, 1], {"strays": 2}, id="two that do not go together"),
        pytest.param([0, 3000, 3000, 1], {"strays": 1, "duplicates": 1}, id="a single one, doubled"),
        pytest.param([200, 101], {"reordered": 1, "missing": 98}, id="latest that is late"),
        pytest.param([200, 100, 201], {"strays": 1}, id="a single one too late for late"),
        pytest.param([300, 100, 101], {"restarts": 1}, id="too late for late, twice in a row"),
        pytest.param(
            [*range(30), *range(31, 101), 30, *range(101, 150)],
            {"missing": 1, "recovered": 1, "reordered": 1},
            id="seventy behind",
        ),
        pytest.param(
            [*range(30), *range(33, 300), 30, 31, 32, *range(300, 310)],
            {"missing": 3, "recovered": 3, "reordered": 3},
            id="three in a row, long missed",
        ),
        pytest.param([*range(300), 5, 300], {"duplicates": 1}, id="an old copy"),
        pytest.param([*range(300), 0, 1, 2], {"restarts": 1}, id="the numbers begin again"),
        pytest.param([65535, *range(3000), 65535, 3000], {"strays": 1}, id="far behind the window"),
    ],
)
def test_what_each_pattern_counts_as(size: int, numbers: list[int], expected: dict[str, int]) -> None:
    """Gaps, duplicates, late packets and restarts are told apart, at their limits too, in any batch size."""
    assert totals(split(stream(*numbers), [size])) == [expected]


def test_an_update_tells_new_events_only() -> None:
    """A drop is told once, by the batch that revealed it, and never again."""
    accounting = SequenceAccounting(1)
    assert accounting.update(batch_of(stream(1, 2, 5))).missing.tolist() == [2]
    assert accounting.update(batch_of(stream(6, 7))).missing.tolist() == [0]


def test_a_change_of_ssrc_restarts_a_stream_without_loss() -> None:
    """The numbers of two sources have nothing to do with each other, within a batch or between two."""
    packets = [Packet(sequence=10), Packet(sequence=500, ssrc=2), Packet(sequence=502, ssrc=2)]
    for sizes in ([1], [2], [3]):
        assert totals(split(packets, sizes)) == [{"restarts": 1, "missing": 1}]


def test_a_new_source_has_no_past() -> None:
    """A number before the new source's first one is late, whatever the old source had sent there."""
    packets = [*stream(10, 11, 12), *(Packet(sequence=number, ssrc=2) for number in (500, 499))]
    for sizes in ([1], [3], [5]):
        assert totals(split(packets, sizes)) == [{"restarts": 1, "reordered": 1}]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_packets_of_a_second_source_in_between_do_not_end_a_stream(size: int) -> None:
    """Two sources that send in turns: the first one is followed, and not one packet of it is missing."""
    packets = [Packet(sequence=number + 7000 * source, ssrc=source) for number in range(50) for source in (1, 2)]
    assert totals(split(packets, [size])) == [{"strays": 49}]


def test_what_was_received_is_told_without_copies_and_strays() -> None:
    """A packet in doubt counts as soon as a second one goes on with it."""
    accounting = SequenceAccounting(1)
    batches = [stream(1, 2, 2), stream(9000), stream(9001), stream(3, 9002)]
    assert [accounting.update(batch_of(batch)).received.tolist() for batch in batches] == [[2], [0], [2], [1]]


def test_a_released_leg_begins_again() -> None:
    """The next call on the same leg owes nothing for the numbers of the last one."""
    accounting = SequenceAccounting(2)
    accounting.update(batch_of([Packet(0, 5), Packet(1, 5)]))
    accounting.reset(np.array([0], np.int32))
    change = accounting.update(batch_of([Packet(0, 9), Packet(1, 9)]))
    assert change.missing.tolist() == [0, 3]
    assert change.restarts.tolist() == [0, 0]


def test_an_empty_batch_changes_nothing() -> None:
    """No packet, no leg, no event."""
    change = SequenceAccounting(1).update(batch_of([]))
    assert len(change.legs) == len(change.missing) == 0
