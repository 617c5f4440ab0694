"""What is known of frames that are sent and received one by one."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pytest_ari_sla.media.frame_log import FrameLog, FrameQueue
from pytest_ari_sla.rtp import probe
from tests.unit.media.callers import plan_for

MS = 1_000_000
FRAME_NS = 20 * MS
START_NS = 1_700_000_000_000_000_000
WINDOW = 8
NONCE = 0x5EED


@pytest.fixture
def log() -> FrameLog:
    """Two legs; the first one has begun."""
    log = FrameLog(2, WINDOW, FRAME_NS)
    log.begin(0, START_NS)
    return log


def legs(*numbers: int) -> np.ndarray:
    """Return numbers of legs as trackers give them."""
    return np.array(numbers, np.int32)


def frames(*numbers: int) -> np.ndarray:
    """Return numbers of frames as trackers give them."""
    return np.array(numbers, np.int64)


def test_a_frame_is_due_a_frame_time_after_the_one_before(log: FrameLog) -> None:
    """Whenever it was sent."""
    for late_ns in (0, 3 * MS, 0):
        log.note(0, START_NS + late_ns)
    number, sent_ns, due_ns = log.times_of(legs(0, 0, 0, 0), frames(0, 1, 2, 3))
    assert number.tolist() == [0, 1, 2, -1]
    assert (due_ns[:3] - START_NS).tolist() == [0, FRAME_NS, 2 * FRAME_NS]
    assert (sent_ns[:3] - START_NS).tolist() == [0, 3 * MS, 0]


def test_a_frame_that_was_not_sent_is_due_and_not_sent(log: FrameLog) -> None:
    """And nobody can have lost it."""
    for sent_ns in (START_NS, 0, START_NS):
        log.note(0, sent_ns)
    assert (log.due_by([0]).tolist(), log.sent_by([0]).tolist()) == ([3], [2])
    assert log.was_sent(legs(0, 0, 0), frames(0, 1, 2)).tolist() == [True, False, True]
    departures = log.departures(START_NS + 10 * FRAME_NS)
    assert departures.not_sent == 1
    assert len(departures.late_ns) == 2


def test_a_departure_is_told_once_and_not_before_its_time(log: FrameLog) -> None:
    """What is due later belongs to a later second."""
    for number in range(3):
        log.note(0, START_NS + number * FRAME_NS + MS)
    assert log.departures(START_NS + FRAME_NS).late_ns.tolist() == [MS]
    assert log.departures(START_NS + 9 * FRAME_NS).late_ns.tolist() == [MS, MS]
    assert log.departures(START_NS + 9 * FRAME_NS).late_ns.tolist() == []


def test_what_is_older_than_the_window_has_no_times_any_more(log: FrameLog) -> None:
    """It still has its number, and counts as sent where its leg has sent all."""
    for _ in range(WINDOW + 1):
        log.note(0, START_NS)
    number, sent_ns, due_ns = log.times_of(legs(0), frames(0))
    assert (number.tolist(), sent_ns.tolist(), due_ns.tolist()) == ([0], [0], [0])
    assert log.was_sent(legs(0), frames(0)).tolist() == [True]


def test_frames_are_settled_by_age(log: FrameLog) -> None:
    """As many as were due so long ago, and never more than were due."""
    for _ in range(4):
        log.note(0, START_NS)
    assert log.settled(START_NS + 2 * FRAME_NS, FRAME_NS).tolist() == [2, 0]
    assert log.settled(START_NS + 100 * FRAME_NS, 0).tolist() == [4, 0]


def test_a_leg_that_is_hidden_has_no_counts_until_it_begins_again(log: FrameLog) -> None:
    """The next call of that number inherits nothing."""
    log.note(0, START_NS)
    log.close(legs(0))
    log.hide(legs(0))
    assert (log.due().tolist(), log.sent().tolist()) == ([0, 0], [0, 0])
    log.begin(0, START_NS + FRAME_NS)
    assert not log.closed()[0]
    log.note(0, START_NS + FRAME_NS)
    assert log.due().tolist() == [1, 0]


def test_withdrawn_frames_were_never_due(log: FrameLog) -> None:
    """Their call had been ended by then."""
    for _ in range(3):
        log.note(0, START_NS)
    log.withdraw([0], frames(1))
    assert (log.due_by([0]).tolist(), log.sent_by([0]).tolist()) == ([1], [1])


def test_a_frame_that_seems_to_come_in_an_hour_holds_up_nothing(log: FrameLog) -> None:
    """Whoever dates frames by a clock that is set must not stop all that is measured."""
    queue = FrameQueue(log, plan_for(2), NONCE)
    now_ns = time.time_ns()
    queue.put(1, b"\xff" * 160, now_ns + 3_600_000 * MS)
    queue.put(1, b"\xff" * 160, now_ns)
    queue.present(now_ns + 1_000 * MS)
    queue.look()
    assert [len(batch) for batch in queue.batches(now_ns + 1_000 * MS)] == [2]


def test_a_batch_holds_what_arrived_before_a_time(log: FrameLog) -> None:
    """In the time of the frames: who reads late reads the same."""
    queue = FrameQueue(log, plan_for(2), NONCE)
    log.note(0, START_NS)
    frame = np.zeros((1, 160), np.uint8)
    probe.write(frame, NONCE, 0, 0)
    queue.put(1, frame.tobytes(), START_NS + 5 * MS)
    queue.put(1, b"\xff" * 160, START_NS + 25 * MS)
    queue.present(START_NS + 30 * MS)
    queue.look()
    assert queue.knows(START_NS + 30 * MS)
    assert not queue.knows(START_NS + 31 * MS)
    (first,) = queue.batches(START_NS + 20 * MS)
    assert (first.leg.tolist(), first.source_leg.tolist(), first.probe.tolist()) == ([1], [0], [0])
    assert first.sent_ns.tolist() == [START_NS]
    (second,) = queue.batches(START_NS + 40 * MS)
    assert (second.sequence.tolist(), second.timestamp.tolist(), second.probe.tolist()) == ([1], [160], [-1])
    assert queue.read == 2
