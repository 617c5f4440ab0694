from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp.packet_batch import PacketBatch
from tests.unit.batches import Packet, batch_of, batch_sizes, split, streams


def same(first: PacketBatch, second: PacketBatch) -> bool:
    """Whether two batches hold the same packets."""
    names = [field.name for field in fields(PacketBatch)]
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


@given(st.lists(st.integers(0, 5), max_size=50))
def test_packets_are_grouped_by_leg_in_order_of_arrival(legs: list[int]) -> None:
    """Each run of the grouping is one leg's packets, none missing, first come first."""
    groups = batch_of([Packet(leg=leg) for leg in legs]).by_leg
    runs = {
        leg: groups.order[start : start + count].tolist()
        for leg, start, count in zip(groups.legs.tolist(), groups.starts, groups.counts, strict=True)
    }
    assert list(runs) == sorted(set(legs))
    assert runs == {leg: [row for row, other in enumerate(legs) if other == leg] for leg in runs}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 4)), max_size=8))
def test_probes_that_ascend_are_known(packets: list[tuple[int, int]]) -> None:
    """Leg by leg: one copy, or one that was overtaken, is enough to be told otherwise."""
    batch = batch_of([Packet(leg=leg, probe=probe) for leg, probe in packets])
    own = [[probe for of, probe in packets if of == leg] for leg in range(3)]
    assert batch.probes_ascend == all(sorted(set(probes)) == probes for probes in own)


@given(streams(), batch_sizes())
def test_batches_put_together_again_are_the_whole(packets: list[Packet], sizes: list[int]) -> None:
    """Nothing is lost or moved."""
    parts = list(split(packets, sizes)) or [batch_of([])]
    assert same(PacketBatch.concatenate(parts), batch_of(packets))


def test_a_selection_holds_the_chosen_rows_in_the_order_asked_for() -> None:
    """By mask, by row numbers or by slice, payload included."""
    batch = batch_of([Packet(sequence=number, payload=bytes([number])) for number in range(4)])
    assert batch.select(np.array([3, 1])).payload.tolist() == [[3], [1]]
    assert batch.select(batch.sequence > 2).sequence.tolist() == [3]
    assert len(batch.select(slice(1, 3))) == 2
