from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given

from pytest_ari_sla.rtp.sequence import MAX_DROPOUT, WINDOW, SequenceAccounting
from tests.unit.batches import Packet, batch_of, batch_sizes, split, streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_ari_sla.rtp.packet_batch import PacketBatch

COUNTERS = ("missing", "recovered", "duplicates", "reordered", "restarts")


class SlowAccounting:
    """The same by its definition, for one leg: remembers every number that it has seen."""

    def __init__(self) -> None:
        self.ssrc: int | None = None
        self.counts: Counter[str] = Counter()
        self.seen: set[int] = set()
        self.missing_at_last = 0

    def take(self, sequence: int, ssrc: int) -> None:
        """Take in one packet."""
        number = self.extend(sequence)
        if ssrc != self.ssrc or number is None:
            self.counts["restarts"] += self.ssrc is not None
            self.ssrc, self.seen = ssrc, {sequence}
            return
        missing_before = self.gaps()
        if number in self.seen:
            self.counts["duplicates"] += 1
        elif number < max(self.seen):
            self.counts["reordered"] += 1
        self.seen.add(number)
        newly_missing = self.gaps() - missing_before
        self.counts["missing" if newly_missing > 0 else "recovered"] += abs(newly_missing)

    def extend(self, sequence: int) -> int | None:
        """Return the candidate near enough to the highest number so far."""
        highest = max(self.seen, default=0)
        for cycle in (-1, 0, 1):
            number = (highest & ~0xFFFF) + cycle * 0x10000 + sequence
            if -WINDOW < number - highest < MAX_DROPOUT:
                return number
        return None

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
        pytest.param([0, 3000], {"restarts": 1}, id="too wide for a gap"),
        pytest.param([100, 37], {"reordered": 1, "missing": 62}, id="latest that is late"),
        pytest.param([100, 36], {"restarts": 1}, id="too late for late"),
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


def test_a_duplicate_is_known_to_the_windows_end() -> None:
    """The oldest number of the window is a duplicate when seen before, and late when not."""
    assert totals(split(stream(0, 63, 0), [1])) == [{"missing": 62, "duplicates": 1}]
    assert totals(split(stream(0, 1, 64, 1), [1])) == [{"missing": 62, "duplicates": 1}]
    assert totals(split(stream(0, 1, 65, 2), [1])) == [{"missing": 63, "reordered": 1, "recovered": 1}]


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
