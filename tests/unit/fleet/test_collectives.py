from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.fleet.controlling.collectives import Broken, Collectives, Met, Patience

PATIENCE = Patience(arrival_s=60, silence_s=30, vacancy_s=15)


def begin(fleet: Collectives, *shards: int, test: str = "a", now_s: float = 0) -> list[Met | Broken]:
    """Let shards come to the beginning of a load; return all that was said."""
    told: list[Met | Broken] = []
    for shard in shards:
        told += fleet.arrive(shard, test, "1 begin", b"", needs_all=True, now_s=now_s)
    return told


def result(fleet: Collectives, *shards: int, test: str = "a", now_s: float = 9) -> list[Met | Broken]:
    """Let shards bring what came of a load."""
    told: list[Met | Broken] = []
    for shard in shards:
        told += fleet.arrive(shard, test, "1 result", str(shard).encode(), needs_all=False, now_s=now_s)
    return told


def told_to(messages: list[Met | Broken]) -> list[int]:
    """Return who was told something."""
    return sorted(message.shard for message in messages)


@given(st.permutations([1, 2, 3, 4]))
def test_a_step_is_over_when_the_last_one_has_come_and_not_before(order: list[int]) -> None:
    """Whatever the order, all hear it at once."""
    fleet = Collectives(4, PATIENCE)
    assert begin(fleet, *order[:-1]) == []
    assert told_to(begin(fleet, order[-1])) == [1, 2, 3, 4]


def test_everybody_gets_what_everybody_brought() -> None:
    """An exchange, not a one-way street."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1, 2)
    messages = result(fleet, 2, 1)
    assert [message for message in messages if isinstance(message, Met)] == messages
    assert all(isinstance(message, Met) and message.payloads == {1: b"1", 2: b"2"} for message in messages)
    assert all(isinstance(message, Met) and not message.missing for message in messages)


def test_tests_and_steps_do_not_mix() -> None:
    """A fast shard may be in the next test already."""
    fleet = Collectives(2, PATIENCE)
    assert begin(fleet, 1, test="a") == []
    assert begin(fleet, 2, test="b") == []
    assert told_to(begin(fleet, 2, test="a")) == [1, 2]


def test_a_worker_s_death_ends_a_barrier_at_once_with_its_name() -> None:
    """Nobody waits for the time-out."""
    fleet = Collectives(3, PATIENCE)
    begin(fleet, 1, 3)
    messages = fleet.lose(2, "its worker died", 5)
    assert told_to(messages) == [1, 3]
    assert {message.reason for message in messages if isinstance(message, Broken)} == {
        "shard 2 of 3 is missing: its worker died"
    }


def test_a_worker_that_dies_at_a_barrier_does_not_count_as_there() -> None:
    """It cannot begin the load that the others would begin."""
    fleet = Collectives(3, PATIENCE)
    begin(fleet, 1, 2)
    assert told_to(fleet.lose(2, "died", 5)) == [1]
    assert told_to(begin(fleet, 3)) == [3]


def test_those_in_the_middle_of_a_load_hear_of_a_death_at_once() -> None:
    """They end the load early; none of them waits at that moment."""
    fleet = Collectives(3, PATIENCE)
    begin(fleet, 1, 2, 3)
    assert told_to(fleet.lose(2, "died", 5)) == [1, 3]


def test_the_survivors_still_exchange_their_results() -> None:
    """What was measured until then is evidence; the missing one is named."""
    fleet = Collectives(3, PATIENCE)
    begin(fleet, 1, 2, 3)
    fleet.lose(2, "died", 5)
    messages = result(fleet, 1, 3)
    assert told_to(messages) == [1, 3]
    assert all(
        isinstance(message, Met)
        and message.payloads == {1: b"1", 3: b"3"}
        and message.missing == {2: "shard 2 of 3 is missing: died"}
        for message in messages
    )


def test_a_result_that_was_brought_before_the_death_counts() -> None:
    """The load was complete; the death is another matter."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1, 2)
    result(fleet, 2)
    assert fleet.lose(2, "died", 9) == []
    (message,) = result(fleet, 1)
    assert isinstance(message, Met)
    assert not message.missing


def test_who_takes_over_does_not_join_the_test_in_which_the_other_one_died() -> None:
    """It gets the tests that follow; whoever comes too late hears why nobody is there."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1)
    fleet.lose(2, "died", 5)
    fleet.take_over(2)
    (late,) = begin(fleet, 2)
    assert late == Broken(2, "a", "shard 2 of 2 is missing: died")
    assert told_to(begin(fleet, 1, 2, test="b")) == [1, 2]


def test_a_shard_whose_test_is_over_is_missed_at_the_next_step() -> None:
    """Its test failed between two loads, or makes fewer of them."""
    fleet = Collectives(2, PATIENCE)
    fleet.leave(2, "a", "AssertionError: assert False", 1)
    (message,) = begin(fleet, 1)
    assert message == Broken(1, "a", "shard 2 of 2 is missing: AssertionError: assert False")


def test_leaving_in_order_disturbs_nobody() -> None:
    """The end of a test in which all were."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1, 2)
    result(fleet, 1, 2)
    assert fleet.leave(1, "a", "", 10) == []
    assert fleet.leave(2, "a", "", 10) == []


def test_a_shard_that_gives_its_load_up_is_not_waited_for() -> None:
    """A time-out of the test's own cancelled the load on one shard only."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1, 2)
    assert told_to(fleet.leave(2, "a", "TimeoutError", 3)) == [1]
    assert told_to(result(fleet, 1)) == [1]


def test_a_session_that_has_ended_is_missed_in_every_test() -> None:
    """With ``-x`` the worker that saw the failure ends first."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 2, test="next")
    (message,) = fleet.finish(1, "stopping after 1 failures", 5)
    assert message == Broken(2, "next", "shard 1 of 2 is gone: stopping after 1 failures")
    assert told_to(begin(fleet, 2, test="the one after that")) == [2]


def test_nobody_waits_longer_at_a_barrier_than_patience_lasts() -> None:
    """The sentence names the missing shard, the step and the time; its worker seems to hang."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1, now_s=100)
    assert fleet.expire(160) == ([], set())
    messages, hanging = fleet.expire(160.5)
    assert messages == [Broken(1, "a", "shard 2 of 2 is missing: it did not come to '1 begin' within 60 s")]
    assert hanging == {2}


def test_a_load_may_last_as_long_as_it_is_heard_of() -> None:
    """One shard's calls are over early; the others go on for hours."""
    fleet = Collectives(2, PATIENCE)
    begin(fleet, 1, 2, now_s=0)
    result(fleet, 1, now_s=10)
    for second in range(10, 7200, 20):
        fleet.heard(2, "a", second)
        assert fleet.expire(second + 19) == ([], set())


def test_a_shard_that_falls_silent_in_a_load_is_given_up() -> None:
    """Whether or not somebody waits for it already."""
    fleet = Collectives(3, PATIENCE)
    begin(fleet, 1, 2, 3, now_s=0)
    result(fleet, 3, now_s=10)
    fleet.heard(1, "a", 25)
    messages, hanging = fleet.expire(31)
    assert hanging == {2}
    assert messages == [Broken(1, "a", "shard 2 of 3 is missing: it was not heard of for 30 s")]
    assert told_to(result(fleet, 1)) == [1, 3]


def test_nobody_waits_long_for_a_worker_that_nobody_replaces() -> None:
    """After so many crashes xdist starts no more workers."""
    fleet = Collectives(2, PATIENCE)
    fleet.lose(2, "died", 100)
    begin(fleet, 1, now_s=102)
    assert fleet.expire(114) == ([], set())
    messages, hanging = fleet.expire(116)
    assert told_to(messages) == [1]
    assert hanging == set()


@given(st.data())
def test_whatever_happens_everybody_who_waits_is_told_exactly_once(data: st.DataObject) -> None:
    """No shard is left waiting, and none hears twice of one step."""
    shards = data.draw(st.integers(1, 4))
    fleet = Collectives(shards, PATIENCE)
    waiting: set[tuple[int, str]] = set()
    dead: set[int] = set()
    where = dict.fromkeys(range(1, shards + 1), 0)
    steps = ["1 begin", "1 result"]

    def settle(messages: list[Met | Broken]) -> None:
        for message in messages:
            if isinstance(message, Met):
                assert (message.shard, message.step) in waiting
                waiting.discard((message.shard, message.step))
            elif (message.shard, steps[0]) in waiting:
                waiting.discard((message.shard, steps[0]))
                where[message.shard] = len(steps)  # its load has not begun, so there is no result to bring

    for _ in range(data.draw(st.integers(0, 12))):
        shard = data.draw(st.integers(1, shards))
        busy = any(who == shard for who, _ in waiting)
        if shard in dead or where[shard] >= 2:
            continue
        if data.draw(st.booleans()) and not busy:
            step = steps[where[shard]]
            where[shard] += 1
            waiting.add((shard, step))
            settle(fleet.arrive(shard, "a", step, b"", needs_all=step == steps[0], now_s=0))
        elif data.draw(st.integers(0, 3)) == 0:
            dead.add(shard)
            waiting = {(who, step) for who, step in waiting if who != shard}
            settle(fleet.lose(shard, "died", 0))
    messages, _ = fleet.expire(1000)
    settle(messages)
    assert {who for who, _ in waiting if who not in dead} == set()


@pytest.mark.parametrize("shards", [1, 2, 9])
def test_a_shard_is_called_by_its_number_and_the_fleet_s_size(shards: int) -> None:
    """As in the names of tests."""
    assert Collectives(shards).name_of(1) == f"shard 1 of {shards}"
