from __future__ import annotations

import numpy as np
from hypothesis import given

from pytest_ari_sla.trackers.packets.sequence import SequenceTracker
from tests.unit.batches import Packet, batch_of, batch_sizes, split, streams
from tests.unit.rtp.test_sequence import totals
from tests.unit.trackers.loads import FixedLog, context_of


@given(streams(), batch_sizes())
def test_counts_add_up_over_legs_and_batches(packets: list[Packet], sizes: list[int]) -> None:
    """The tracker's totals are those of all legs, packet by packet."""
    tracker = SequenceTracker()
    tracker.begin(context_of(FixedLog([0, 0, 0]), [0, 1, 2]))
    for batch in split(packets, sizes):
        tracker.observe(batch)
        tracker.advance(int(batch.arrival_ns.max(initial=0)))
    legs = totals(split(packets, [1]), 3)
    names = {
        "reordered": "reordered",
        "sequence.drops": "missing",
        "sequence.recovered": "recovered",
        "sequence.duplicates": "duplicates",
        "sequence.restarts": "restarts",
        "sequence.strays": "strays",
    }
    assert tracker.snapshot() == {name: sum(leg[part] for leg in legs) for name, part in names.items()}
    assert tracker.per_leg() == {}


def test_a_later_call_on_a_leg_owes_nothing() -> None:
    """Between two calls no number is missing, and no stream has restarted."""
    tracker = SequenceTracker()
    tracker.begin(context_of(FixedLog([0]), [0]))
    tracker.observe(batch_of([Packet(sequence=5)]))
    tracker.release(np.array([0], np.int32))
    tracker.observe(batch_of([Packet(sequence=900, ssrc=7)]))
    assert set(tracker.snapshot().values()) == {0}
