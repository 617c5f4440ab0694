from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.rtp_media.memory import BURST_PART
from pytest_ari_sla.rtp_media.send_log import MediaSendLog
from tests.unit.rtp_media.memories import CYCLE, ORIGIN_NS, PART_NS, WINDOW, Schedule, make_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LIMIT_NS = 3_000_000_000
CYCLE_NS = CYCLE * 1_000_000


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    """A memory without legs."""
    memory = make_memory()
    yield Schedule(memory)
    memory.close()


@pytest.fixture
def log(schedule: Schedule) -> MediaSendLog:
    """The log of that memory."""
    return MediaSendLog(schedule.memory)


def test_due_and_sent_follow_from_turns(schedule: Schedule, log: MediaSendLog) -> None:
    """A leg's packets are the turns of its slot since it began; what failed to leave is due, and not sent."""
    schedule.turns(0, 3)
    schedule.start(1, first_turn=3)
    schedule.start(2, slot=1)
    assert log.due().tolist() == [0] * 6
    schedule.turn(0)
    schedule.turn(0, unsent=(1,))
    schedule.turn(1)
    assert log.due().tolist() == [0, 2, 1, 0, 0, 0]
    assert log.sent().tolist() == [0, 1, 1, 0, 0, 0]
    assert log.due_by([2, 1]).tolist() == [1, 2]
    assert log.sent_by([2, 1]).tolist() == [1, 1]


def test_a_leg_that_begins_later_is_not_due_yet(schedule: Schedule, log: MediaSendLog) -> None:
    """A first turn in the future is no negative number of packets."""
    schedule.start(0, first_turn=5)
    schedule.turns(0, 2)
    assert log.due()[0] == 0


def test_a_stopped_leg_stays_where_it_was(schedule: Schedule, log: MediaSendLog) -> None:
    """Its slot goes on having turns, which are others'."""
    schedule.start(0)
    schedule.turns(0, 3)
    schedule.stop(0)
    schedule.turns(0, 4)
    assert log.due()[0] == log.sent()[0] == 3


def test_a_released_leg_has_no_counts_until_its_number_is_given_out_again(
    schedule: Schedule, log: MediaSendLog
) -> None:
    """A call of the same number must not inherit them."""
    schedule.start(0)
    schedule.turn(0)
    schedule.turn(0, unsent=(0,))
    log.hide(np.array([0], np.int32))
    assert log.due()[0] == log.sent()[0] == log.settled(ORIGIN_NS + 10**12, LIMIT_NS)[0] == 0
    schedule.start(0, first_turn=2)
    log.show(0)
    schedule.turn(0)
    assert log.due()[0] == log.sent()[0] == 1


def test_a_probe_is_settled_when_it_was_due_long_enough_ago(schedule: Schedule, log: MediaSendLog) -> None:
    """To the nanosecond, by the schedule's own times; never more than were due at all."""
    schedule.start(0, slot=2, first_turn=1)
    schedule.turns(2, 4)
    for number in range(3):
        due_ns = schedule.due_ns(2, 1 + number)
        assert log.settled(due_ns + LIMIT_NS - 1, LIMIT_NS)[0] == number
        assert log.settled(due_ns + LIMIT_NS, LIMIT_NS)[0] == number + 1
    assert log.settled(ORIGIN_NS + 10 * LIMIT_NS, LIMIT_NS)[0] == 3
    assert log.settled(ORIGIN_NS, LIMIT_NS)[0] == 0


def test_a_leg_that_ends_is_marked_until_its_number_is_given_out_again(schedule: Schedule, log: MediaSendLog) -> None:
    """Trackers settle all that it has sent; the next call of that number begins anew."""
    for leg in (0, 1):
        schedule.start(leg)
    schedule.turns(0, 3)
    log.close(np.array([1], np.int32))
    assert log.closed().tolist()[:2] == [False, True]
    log.hide(np.array([1], np.int32))
    assert log.due()[1] == 0
    schedule.start(1, first_turn=3)
    log.show(1)
    schedule.turn(0)
    assert (log.closed()[1], log.due()[1]) == (False, 1)


def test_whether_a_probe_was_sent_is_known_for_the_window(schedule: Schedule, log: MediaSendLog) -> None:
    """By the probe's number among its leg's, also when the turns have wrapped around the window."""
    schedule.turns(0, WINDOW + 3)
    schedule.start(1, first_turn=WINDOW + 3)
    for number in range(WINDOW):
        schedule.turn(0, unsent=(1,) if number % 3 == 0 else ())
    numbers = np.arange(WINDOW)
    assert log.was_sent(np.full(WINDOW, 1, np.int32), numbers).tolist() == (numbers % 3 != 0).tolist()


def test_a_probe_that_is_back_finds_its_times(schedule: Schedule, log: MediaSendLog) -> None:
    """Number, time of sending and time it was due; the turn that it carries is not its number."""
    schedule.turns(1, 5)
    schedule.start(3, slot=1, first_turn=5)
    schedule.turn(1, late_ns=70)
    due_ns = schedule.turn(1, late_ns=900)
    numbers, sent_ns, intended_ns = log.times_of(np.array([3], np.int32), np.array([6]))
    assert (numbers[0], sent_ns[0], intended_ns[0]) == (1, due_ns + 900, due_ns)


def test_what_nobody_sent_is_no_probe(schedule: Schedule, log: MediaSendLog) -> None:
    """No probe at all, a turn before the leg began, one after it ended, one that has not come yet."""
    schedule.turns(0, 2)
    schedule.start(2, first_turn=2, packets=2)
    schedule.turns(0, 4)
    legs = np.array([-1, 2, 2, 2, 2, 2], np.int32)
    turns = np.array([-1, 1, 2, 3, 4, 6])
    numbers, sent_ns, intended_ns = log.times_of(legs, turns)
    assert numbers.tolist() == [-1, -1, 0, 1, -1, -1]
    assert np.flatnonzero(sent_ns).tolist() == np.flatnonzero(intended_ns).tolist() == [2, 3]


def test_an_old_probe_is_known_by_number_but_not_by_time(schedule: Schedule, log: MediaSendLog) -> None:
    """Its place in the window belongs to a later packet, whose times are not its own."""
    schedule.start(0)
    schedule.turns(0, 2 * WINDOW + 1)
    numbers, sent_ns, intended_ns = log.times_of(np.array([0, 0, 0], np.int32), np.array([0, 1, 2]))
    assert numbers.tolist() == [0, 1, 2]
    assert np.flatnonzero(sent_ns).tolist() == np.flatnonzero(intended_ns).tolist() == [1, 2]


def test_what_was_not_sent_longer_ago_than_the_window_is_not_taken_for_sent(
    schedule: Schedule, log: MediaSendLog
) -> None:
    """After a long stall: nobody shall be blamed for packets that the generator never sent, and all are told."""
    schedule.start(0)
    for _ in range(3 * WINDOW):
        schedule.turn(0, unsent=(0,))
    assert not log.was_sent(np.zeros(3 * WINDOW, np.int32), np.arange(3 * WINDOW)).any()
    assert log.sent()[0] == 0
    assert log.departures().not_sent == 3 * WINDOW


def last_sent(log: MediaSendLog, leg: int) -> tuple[int, NDArray[np.int64]]:
    """Return the first turn of those that the window holds for certain, and when each packet left."""
    last = log.last_sent(leg, WINDOW - 1)
    return last.first_turn, last.sent_ns


def test_packets_of_a_group_that_is_forgotten_left_when_they_were_due(schedule: Schedule, log: MediaSendLog) -> None:
    """A leg that has said several things was in several groups; who did not fail to send has sent all the same."""
    schedule.start(0)
    schedule.turns(0, 3 * WINDOW)
    last = log.last_sent(0, 3 * WINDOW)
    assert (last.first_turn, len(last.sent_ns)) == (0, 3 * WINDOW)
    assert last.sent_ns[:WINDOW].tolist() == last.due_ns[:WINDOW].tolist()
    assert last.due_ns.tolist() == [schedule.due_ns(0, turn) for turn in range(3 * WINDOW)]


def test_what_a_leg_has_sent_is_remembered_while_its_group_goes_on(schedule: Schedule, log: MediaSendLog) -> None:
    """A call that ends waits for its last packets, while others send; its own sends are asked for then."""
    schedule.start(0)
    schedule.start(1, place=1)
    schedule.turns(0, WINDOW - 1)
    schedule.stop(0)
    schedule.turns(0, WINDOW)
    first, sent_ns = last_sent(log, 0)
    assert (first, len(sent_ns)) == (0, WINDOW - 1)
    assert sent_ns.all()


def test_audio_begins_where_turn_0_would_have_been(schedule: Schedule, log: MediaSendLog) -> None:
    """Frames are counted by turns, so that all legs of a slot send the same one; unknown before the first packet."""
    schedule.turns(2, 3)
    schedule.start(1, slot=2, first_turn=3)
    assert log.audio_start_ns()[1] == 0
    schedule.turn(2)
    assert log.audio_start_ns().tolist() == [0, schedule.due_ns(2, 0), 0, 0, 0, 0]


def test_departures_are_told_once(schedule: Schedule, log: MediaSendLog) -> None:
    """How late each packet left, and how many did not; next time only what is new."""
    schedule.start(0)
    schedule.start(1, slot=1)
    schedule.turn(0, late_ns=10)
    schedule.turn(0, unsent=(0,))
    schedule.turn(1, late_ns=30)
    departures = log.departures()
    assert sorted(departures.late_ns.tolist()) == [10, 30]
    assert departures.not_sent == 1
    schedule.turn(1, late_ns=40)
    departures = log.departures()
    assert departures.late_ns.tolist() == [40]
    assert departures.not_sent == 0
    assert log.departures().late_ns.tolist() == []


def test_departures_know_when_a_leg_began_and_ended(schedule: Schedule, log: MediaSendLog) -> None:
    """Turns of the slot before and after are no packets of it."""
    schedule.turns(0, 2)
    schedule.start(0, first_turn=3)
    schedule.turns(0, 3)
    schedule.stop(0)
    schedule.turns(0, 1)
    departures = log.departures()
    assert len(departures.late_ns) == 2
    assert departures.not_sent == 0


def test_what_left_together_left_one_after_the_other(schedule: Schedule, log: MediaSendLog) -> None:
    """Each packet has the time of its place; where some did not leave, as many fewer are told."""
    for leg in range(3):
        schedule.start(leg, place=leg)
    due_ns = schedule.turn(0, late_ns=100, pace_ns=7)
    _, sent_ns, _ = log.times_of(np.array([0, 1, 2], np.int32), np.zeros(3, np.int64))
    assert (sent_ns - due_ns).tolist() == [100, 107, 114]
    assert log.departures().late_ns.tolist() == [100, 107, 114]
    schedule.turn(0, late_ns=100, pace_ns=7, unsent=(1,))
    _, sent_ns, _ = log.times_of(np.array([0, 1, 2], np.int32), np.ones(3, np.int64))
    assert np.flatnonzero(sent_ns).tolist() == [0, 2]
    departures = log.departures()
    assert (len(departures.late_ns), departures.not_sent) == (2, 1)


def test_a_leg_that_moved_up_keeps_the_times_of_its_old_place(schedule: Schedule, log: MediaSendLog) -> None:
    """It takes the place of one that ended; packets from before are still on their way."""
    schedule.start(0, place=3)
    schedule.turn(0, pace_ns=10)
    record = schedule.memory.legs[0]
    record["old_place"], record["moved_turn"], record["place"] = 3, 1, 0
    schedule.turn(0, pace_ns=10)
    _, sent_ns, due_ns = log.times_of(np.zeros(2, np.int32), np.arange(2))
    assert (sent_ns - due_ns).tolist() == [30, 0]


def test_what_left_by_another_system_call_has_its_time(schedule: Schedule, log: MediaSendLog) -> None:
    """The clock was read before each."""
    schedule.start(0, place=BURST_PART - 1)
    schedule.start(1, place=BURST_PART + 1)
    due_ns = schedule.turn(0, pace_ns=10)
    _, sent_ns, _ = log.times_of(np.array([0, 1], np.int32), np.zeros(2, np.int64))
    assert (sent_ns - due_ns).tolist() == [10 * (BURST_PART - 1), PART_NS + 10]


def test_the_last_packets_of_a_leg_can_be_told(schedule: Schedule, log: MediaSendLog) -> None:
    """The turns of the window, as far as they are the leg's own, and when each left: 0 where it did not."""
    schedule.turns(0, 2)
    schedule.start(0, first_turn=2)
    schedule.turn(0, late_ns=5)
    schedule.turn(0, unsent=(0,))
    first, sent_ns = last_sent(log, 0)
    assert first == 2
    assert sent_ns.tolist() == [schedule.due_ns(0, 2) + 5, 0]
    schedule.turns(0, 2 * WINDOW)
    schedule.stop(0)
    schedule.turns(0, 1)
    first, sent_ns = last_sent(log, 0)
    assert first + len(sent_ns) == 4 + 2 * WINDOW
    assert len(sent_ns) == WINDOW - 1


@given(turns=st.lists(st.tuples(st.integers(0, CYCLE - 1), st.booleans(), st.booleans()), max_size=60))
def test_packets_departed_are_those_that_were_sent(turns: list[tuple[int, bool, bool]]) -> None:
    """However often one looks, as long as it is within the window: sent and unsent add up to what was due."""
    memory = make_memory()
    schedule, log = Schedule(memory), MediaSendLog(memory)
    for leg in range(6):
        schedule.start(leg, slot=leg % CYCLE)
    departed = not_sent = waiting = 0
    for slot, fails, looks in turns:
        schedule.turn(slot, unsent=(0, 1) if fails else ())
        waiting += 1
        if looks or waiting == WINDOW - 1:
            departures = log.departures()
            departed, not_sent, waiting = departed + len(departures.late_ns), not_sent + departures.not_sent, 0
    departures = log.departures()
    departed, not_sent = departed + len(departures.late_ns), not_sent + departures.not_sent
    assert departed == log.sent().sum()
    assert departed + not_sent == log.due().sum()
    memory.close()


def test_the_last_sends_of_a_leg_can_be_read_back(schedule: Schedule, log: MediaSendLog) -> None:
    """From the first turn on, or as far back as the log remembers; what did not leave is 0."""
    schedule.start(1, first_turn=0)
    schedule.turn(0)
    schedule.turn(0, unsent=(1,))
    schedule.turn(0)
    first, sent_ns = last_sent(log, 1)
    assert (first, (sent_ns > 0).tolist()) == (0, [True, False, True])
    schedule.turns(0, 3 * WINDOW)
    first, sent_ns = last_sent(log, 1)
    assert (first + len(sent_ns), len(sent_ns)) == (3 + 3 * WINDOW, WINDOW - 1)
