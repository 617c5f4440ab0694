from __future__ import annotations

import pytest

from pytest_ari_sla.watch.probes import Gap, Lane, Probes

MS, S = 1_000_000, 1_000_000_000


@pytest.fixture
def probes() -> Probes:
    """Return the probes of a load that begins."""
    return Probes()


def ask(probes: Probes, lane: Lane, at_ns: int, took_ns: int = MS) -> None:
    """Let a probe be answered."""
    probes.sent(lane, at_ns)
    probes.answered(lane, at_ns + took_ns)


def looked(probes: Probes, *seconds: int) -> None:
    """Look once a second, as whoever is awake does."""
    for second in seconds:
        probes.look(second * S)


def test_an_asterisk_that_answers_has_times_and_no_gap(probes: Probes) -> None:
    """A threshold on them has samples where nothing went wrong."""
    for second in range(1, 6):
        probes.look(second * S)
        ask(probes, Lane.CHANNEL, second * S, 3 * MS)
        ask(probes, Lane.CACHE, second * S)
    probes.end(6 * S)
    values = dict(probes.values())
    assert (values["target.stall"].count, values["target.stopped_answering"].count, probes.worst) == (5, 5, None)
    assert probes.stall.max < 4 * MS


def test_channels_are_stuck_where_only_their_requests_hang(probes: Probes) -> None:
    """From the first attempt on, however often it was tried again."""
    probes.sent(Lane.CHANNEL, S)
    for second in range(1, 8):
        probes.look(second * S)
        ask(probes, Lane.CACHE, second * S)
        probes.sent(Lane.CHANNEL, second * S)
    probes.answered(Lane.CHANNEL, 8 * S)
    assert probes.worst == Gap(Lane.CHANNEL, S, 7 * S, 7)
    assert probes.stall.max > 6 * S


def test_what_we_could_not_ask_is_no_silence_of_asterisks(probes: Probes) -> None:
    """An attempt that never left this machine is taken back; one that did, before it, still waits."""
    probes.sent(Lane.CACHE, S)
    probes.sent(Lane.CACHE, 2 * S)
    probes.withdraw(Lane.CACHE, 2 * S)
    looked(probes, 1, 2, 3, 4, 5)
    assert probes.stuck(5 * S) is Lane.CACHE
    probes.answered(Lane.CACHE, 5 * S)
    probes.sent(Lane.CACHE, 6 * S)
    probes.withdraw(Lane.CACHE, 6 * S)
    looked(probes, 6, 7, 8, 9, 10, 11)
    probes.end(12 * S)
    assert [gap.since_ns for gap in probes.gaps] == [S]


def test_an_asterisk_that_stands_still_is_silent_and_not_stuck(probes: Probes) -> None:
    """Both hang; what was stuck cannot be told."""
    ask(probes, Lane.CACHE, S)
    for lane in Lane:
        probes.sent(lane, 2 * S)
    looked(probes, 2, 3, 4, 5, 6)
    for lane in (Lane.CHANNEL, Lane.CACHE):
        probes.answered(lane, 7 * S)
    assert probes.worst == Gap(Lane.CACHE, 2 * S, 5 * S)
    assert probes.stall.count == 0


def test_what_still_hangs_at_the_end_counts(probes: Probes) -> None:
    """An Asterisk that never answers again has no answer to be timed by."""
    probes.sent(Lane.CACHE, S)
    looked(probes, 1, 2, 3, 4, 5)
    probes.end(6 * S)
    assert probes.worst == Gap(Lane.CACHE, S, 5 * S)


def test_a_probe_that_was_just_sent_at_the_end_is_nothing(probes: Probes) -> None:
    """It would have been answered."""
    probes.sent(Lane.CACHE, 5 * S)
    probes.end(5 * S + MS)
    assert (probes.worst, probes.silence.count) == (None, 0)


def test_what_we_slept_through_is_not_asterisks(probes: Probes) -> None:
    """This process was stopped for 20 s; the answer may have been there all the time."""
    looked(probes, 1, 2)
    for lane in Lane:
        probes.sent(lane, 2 * S)
    looked(probes, 22)
    probes.end(22 * S)
    assert probes.worst is None


def test_the_longest_gap_is_told(probes: Probes) -> None:
    """One sentence, of the worst."""
    for since, lasted in ((1, 4), (10, 6), (20, 3)):
        ask(probes, Lane.CACHE, since * S, lasted * S)
    assert probes.worst == Gap(Lane.CACHE, 10 * S, 6 * S)


def test_a_lane_is_stuck_while_its_answer_does_not_come(probes: Probes) -> None:
    """It is told while it lasts: what hangs is gone a minute later."""
    probes.sent(Lane.CHANNEL, 0)
    ask(probes, Lane.CACHE, 0)
    ask(probes, Lane.CACHE, 1 * S)
    assert probes.stuck(1 * S) is None
    assert probes.stuck(2 * S) is Lane.CHANNEL
    probes.answered(Lane.CHANNEL, 3 * S)
    assert probes.stuck(4 * S) is None
    probes.sent(Lane.CACHE, 4 * S)
    assert probes.stuck(7 * S) is Lane.CACHE


def test_a_target_that_we_stop_ourselves_is_not_silent(probes: Probes) -> None:
    """A debugger takes seconds; what was stuck before it is told all the same."""
    probes.sent(Lane.CHANNEL, 0)
    ask(probes, Lane.CACHE, 0)
    ask(probes, Lane.CACHE, 1 * S)
    probes.sent(Lane.CACHE, 2 * S)
    probes.pause(True, 2 * S)
    probes.answered(Lane.CACHE, 9 * S)
    probes.sent(Lane.CACHE, 9 * S)
    probes.pause(False, 10 * S)
    probes.answered(Lane.CACHE, 10 * S + MS)
    probes.answered(Lane.CHANNEL, 11 * S)
    assert probes.worst == Gap(Lane.CHANNEL, 0, 11 * S, others=3)
    assert probes.silence.max < S
