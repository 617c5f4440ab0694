from __future__ import annotations

import tracemalloc
from collections import deque
from dataclasses import replace
from itertools import chain, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.load.planning.profile import Calls, LoadProfile, PlannedCall, Rate

S = 1_000_000_000


def closed_stages(most_calls: int = 60) -> st.SearchStrategy[Calls]:
    """Stages that say how many calls are up."""
    calls = st.integers(0, most_calls)
    return st.builds(Calls, st.just("stage"), calls, calls, st.integers(1, 30).map(lambda seconds: seconds * S))


def open_stages() -> st.SearchStrategy[Rate]:
    """Stages that say how many calls begin a second."""
    rates = st.floats(0, 20, allow_nan=False)
    lengths = st.integers(1, 20).map(lambda seconds: seconds * S)
    return st.builds(Rate, st.just("rate"), rates, rates, lengths, lengths)


def profiles(stages: st.SearchStrategy[Calls] | st.SearchStrategy[Calls | Rate]) -> st.SearchStrategy[LoadProfile]:
    """Profiles of one to four stages, with and without a holding time."""

    def build(parts: list[Calls | Rate], holding_s: int | None) -> LoadProfile | None:
        named = tuple(replace(stage, name=f"{stage.name}{number}") for number, stage in enumerate(parts))
        try:
            return LoadProfile(named, None if holding_s is None else holding_s * S)
        except UsageError:
            return None  # no call at all

    holding = st.none() | st.integers(1, 10)
    built = st.builds(build, st.lists(stages, min_size=1, max_size=4), holding)
    return built.filter(lambda profile: profile is not None)  # type: ignore[return-value]


def up_at(calls: list[PlannedCall], at_ns: int) -> int:
    """Return how many calls are up at a time."""
    return sum(call.start_ns <= at_ns < call.start_ns + call.holding_ns for call in calls)


@given(profiles(closed_stages() | open_stages()), st.integers(1, 7))
def test_shards_make_exactly_the_calls_of_the_whole_plan_and_none_twice(profile: LoadProfile, shards: int) -> None:
    """Whatever the profile and the number of shards: together they are the plan."""
    parts = [list(profile.plan(shard, shards)) for shard in range(shards)]
    assert sorted(chain.from_iterable(parts)) == sorted(profile.plan())


@given(profiles(closed_stages() | open_stages()), st.integers(1, 7))
def test_each_shard_gets_its_calls_in_order_of_time(profile: LoadProfile, shards: int) -> None:
    """A driver starts calls one after the other, so a plan never goes back."""
    starts = [call.start_ns for call in profile.plan(0, shards)]
    assert starts == sorted(starts)


@given(profiles(closed_stages()), st.integers(1, 7), st.floats(0, 1))
def test_calls_that_do_not_divide_evenly_are_spread_by_one(profile: LoadProfile, shards: int, share: float) -> None:
    """At every moment of closed stages, however often calls come and go, no shard has two calls more than another."""
    at_ns = int(share * (profile.duration_ns - 1))
    counts = [up_at(list(profile.plan(shard, shards)), at_ns) for shard in range(shards)]
    assert max(counts) - min(counts) <= 1


@given(profiles(closed_stages()), st.floats(0, 1))
def test_the_calls_that_are_up_follow_the_closed_profile_to_the_nearest_call(
    profile: LoadProfile, share: float
) -> None:
    """A ramp is evenly spread single calls, not steps."""
    at_ns = int(share * (profile.duration_ns - 1))
    assert abs(up_at(list(profile.plan()), at_ns) - profile.target_calls(at_ns)) <= 0.5 + 1e-6


@given(profiles(closed_stages() | open_stages()), st.integers(1, 5))
def test_the_peak_of_a_shard_is_that_of_its_plan(profile: LoadProfile, shards: int) -> None:
    """Leg endpoints are laid out by it: the peak of a shard is what its plan comes to, no call more or less."""
    for shard in range(shards):
        calls = list(profile.plan(shard, shards))
        assert max((up_at(calls, call.start_ns) for call in calls), default=0) == profile.peak_calls(shard, shards)


@given(profiles(closed_stages() | open_stages()))
def test_the_peak_is_that_of_the_plan_wherever_in_a_stage_it_lies(profile: LoadProfile) -> None:
    """Counted call by call; what is wanted as a real number is less than a call per stage away from it."""
    calls = list(profile.plan())
    peak = max(up_at(calls, call.start_ns) for call in calls)
    assert profile.peak_calls() == peak
    assert abs(profile.wanted_peak - peak) < 1 + len(profile.stages)


def test_a_ramp_starts_its_calls_evenly_and_not_in_bursts() -> None:
    """Ten calls over ten seconds begin one a second, in the middle of each."""
    profile = LoadProfile((Calls("ramp", 0, 10, 10 * S),))
    assert [call.start_ns for call in profile.plan()] == [S // 2 + number * S for number in range(10)]


def test_shards_begin_in_turn_during_a_ramp() -> None:
    """Two shards interleave, so that Asterisk sees one ramp and not two bursts at a time."""
    profile = LoadProfile((Calls("ramp", 0, 6, 6 * S),))
    first, second = (list(profile.plan(shard, 2)) for shard in range(2))
    assert [call.number for call in first] == [0, 2, 4]
    assert [call.number for call in second] == [1, 3, 5]


def test_a_shard_without_calls_has_an_empty_plan() -> None:
    """More workers than calls."""
    profile = LoadProfile((Calls("hold", 2, 2, S),))
    assert list(profile.plan(3, 4)) == []


def test_held_calls_last_until_their_stage_wants_fewer() -> None:
    """The call that came last leaves first."""
    profile = LoadProfile((Calls("hold", 2, 2, 4 * S), Calls("less", 1, 1, 4 * S)))
    assert sorted((call.start_ns, call.holding_ns) for call in profile.plan()) == [(0, 4 * S), (0, 8 * S)]


def test_calls_are_replaced_after_their_holding_time_in_the_same_seat() -> None:
    """The last one is cut short by the end of the profile."""
    profile = LoadProfile((Calls("hold", 1, 1, 5 * S),), holding_ns=2 * S)
    assert [(call.start_ns, call.holding_ns) for call in profile.plan()] == [(0, 2 * S), (2 * S, 2 * S), (4 * S, S)]


def test_a_replacement_is_made_by_the_shard_that_made_the_call() -> None:
    """Otherwise a shard would need room for calls that another one has ended."""
    profile = LoadProfile((Calls("hold", 3, 3, 6 * S),), holding_ns=2 * S)
    assert len(list(profile.plan(1, 2))) == 3


def test_an_open_stage_begins_calls_at_its_rate_whatever_becomes_of_them() -> None:
    """Two a second for three seconds, each for ten seconds."""
    profile = LoadProfile((Rate("rate", 2, 2, 3 * S, 10 * S),))
    calls = list(profile.plan())
    assert [call.start_ns for call in calls] == [S // 4 + number * S // 2 for number in range(6)]
    assert {call.holding_ns for call in calls} == {10 * S}


def test_a_growing_rate_puts_as_many_calls_as_its_integral() -> None:
    """From none to ten a second over ten seconds: fifty calls, closer and closer together."""
    calls = list(LoadProfile((Rate("rate", 0, 10, 10 * S, S),)).plan())
    gaps = [after.start_ns - before.start_ns for before, after in pairwise(calls)]
    assert len(calls) == 50
    assert gaps == sorted(gaps, reverse=True)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ((Calls("up", 0, 10, S), Calls("hold", 10, 10, S)), False),
        ((Calls("up", 0, 10, S), Calls("down", 10, 0, S)), False),
        ((Calls("down", 10, 5, S), Calls("up", 5, 10, S)), True),
        ((Calls("many", 10, 10, S), Calls("few", 1, 1, S), Calls("many2", 10, 10, S)), True),
        ((Rate("rate", 1, 1, S, S),), True),
    ],
)
def test_room_for_calls_that_are_just_ending_is_asked_for_where_others_begin_after_them(
    stages: tuple[Calls | Rate, ...], expected: bool
) -> None:
    """Ending a call takes a while, in which the next one may begin already."""
    assert LoadProfile(stages).replaces_calls is expected


def test_the_peak_of_open_stages_counts_calls_that_outlast_their_stage() -> None:
    """Five a second, each for four seconds, while three others are held."""
    profile = LoadProfile((Rate("rate", 5, 5, 10 * S, 4 * S), Calls("hold", 3, 3, 10 * S)))
    assert profile.peak_calls() == 23


def test_the_peak_of_a_rate_that_rises_and_falls_lies_inside_a_stage() -> None:
    """At 6 s, where the second stage falls: 30 calls of the rise are up still, and 30 of the fall."""
    profile = LoadProfile((Rate("rise", 0, 20, 4 * S, 4 * S), Rate("fall", 20, 0, 4 * S, 4 * S)))
    assert profile.peak_calls() == 60
    assert max(profile.corners(), key=profile.target_calls) == 6 * S


def test_what_is_wanted_only_rises_or_only_falls_between_corners() -> None:
    """So that straight lines between corners show where the peak is."""
    profile = LoadProfile((Rate("rise", 0, 20, 4 * S, 4 * S), Rate("fall", 20, 0, 4 * S, 4 * S)))
    for begin, end in pairwise(profile.corners()):
        wanted = [profile.target_calls(begin + (end - begin) * step // 20) for step in range(21)]
        assert wanted in (sorted(wanted), sorted(wanted, reverse=True))


def test_a_rate_that_hardly_changes_begins_its_calls_as_evenly_as_one_that_does_not() -> None:
    """The root of the quadratic equation must not lose its digits."""
    even, uneven = (LoadProfile((Rate("rate", 20, end, 10 * S, S),)) for end in (20, 20 + 1e-11))
    assert [call.start_ns for call in uneven.plan()] == [call.start_ns for call in even.plan()]


def test_the_plan_of_a_day_takes_no_more_memory_than_that_of_a_minute() -> None:
    """Calls that replace others are made out when they are due: only the seats are known before."""

    def peak_bytes(profile: LoadProfile) -> int:
        tracemalloc.start()
        try:
            deque(islice(profile.plan(), 50_000), maxlen=0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(LoadProfile((Calls("hold", 500, 500, 24 * 3600 * S),), 5 * S)) < 2_000_000
    assert peak_bytes(LoadProfile((Rate("rate", 100, 100, 24 * 3600 * S, 5 * S),))) < 20_000_000


@pytest.mark.parametrize(
    "profile",
    [
        LoadProfile((Calls("short", 3, 3, S // 100),)),
        LoadProfile((Calls("hold", 3, 3, 10 * S),), holding_ns=S // 100),
        LoadProfile((Calls("hold", 3, 3, 10 * S), Rate("rate", 5, 5, S, S // 100))),
    ],
)
def test_calls_that_end_before_their_first_packet_are_refused(profile: LoadProfile) -> None:
    """10 ms of 20 ms packets: nothing would be sent, and nothing measured."""
    profile.check_packet_time(S // 100)
    with pytest.raises(UsageError, match="would send no packet: they need 20ms at least"):
        profile.check_packet_time(S // 50)


def test_stages_lie_end_to_end() -> None:
    """Boundaries are what time series and thresholds on stages go by."""
    profile = LoadProfile((Calls("a", 1, 1, S), Calls("b", 1, 1, 2 * S)))
    assert profile.boundaries() == [("a", 0, S), ("b", S, 3 * S)]
    assert [profile.stage_at(at) for at in (0, S - 1, S, 5 * S)] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    "stages",
    [
        (),
        (Calls("none", 0, 0, S),),
        (Calls("short", 1, 1, 0),),
        (Calls("negative", -1, 1, S),),
        (Rate("still", 1, 1, S, 0),),
        (Rate("rare", 0.1, 0.1, 2 * S, S),),
        (Rate("none", 0, 0, 2 * S, S),),
        (Rate("endless", 1, float("inf"), S, S),),
        (Rate("no number", float("nan"), 1, S, S),),
    ],
)
def test_a_profile_with_nothing_to_do_is_refused(stages: tuple[Calls | Rate, ...]) -> None:
    """No stage, no call, no duration, no holding time, fewer than no calls."""
    with pytest.raises(UsageError):
        LoadProfile(stages)


def test_calls_last_differently_long_and_alike_in_every_run_and_shard() -> None:
    """Evenly from a range; how it falls out does not depend on who makes the calls."""
    profile = LoadProfile((Rate("rate", 50, 50, 10 * S, 2 * S, S // 2),))
    calls = list(profile.plan())
    lasts = [call.holding_ns for call in calls]
    assert S // 2 <= min(lasts) < 0.6 * S
    assert 1.9 * S < max(lasts) <= 2 * S
    assert sum(lasts) / len(lasts) == pytest.approx(1.25 * S, rel=0.1)
    assert sorted([*profile.plan(0, 2), *profile.plan(1, 2)]) == calls == list(profile.plan())
    assert profile.peak_calls() >= max(up_at(calls, call.start_ns) for call in calls)


def test_a_seat_is_taken_by_calls_of_different_length_one_after_the_other() -> None:
    """Each begins when the last one has ended; they fill the stage, also where they last no time."""
    calls = list(LoadProfile((Calls("hold", 1, 1, 5 * S),), S, 0).plan())
    assert all(before.start_ns + before.holding_ns <= after.start_ns for before, after in pairwise(calls))
    assert calls[-1].start_ns + calls[-1].holding_ns == 5 * S
    assert len({call.holding_ns for call in calls}) > 3


def test_calls_are_hung_up_at_times_from_a_range() -> None:
    """Drawn by their number, so that shards agree; none where none was asked for."""
    profile = LoadProfile((Rate("rate", 50, 50, 2 * S, S),), hang_up_ns=(0, 20_000_000))
    hang_ups = [call.hang_up_ns for call in profile.plan()]
    assert len(set(hang_ups)) > 50
    assert all(at is not None and 0 <= at <= 20_000_000 for at in hang_ups)
    assert [
        call.hang_up_ns for call in sorted([*profile.plan(0, 3), *profile.plan(1, 3), *profile.plan(2, 3)])
    ] == hang_ups
    assert {call.hang_up_ns for call in LoadProfile((Rate("rate", 5, 5, S, S),)).plan()} == {None}


def test_calls_that_come_and_go_fast_have_room_to_leave() -> None:
    """A call takes its time to be set up and to end, however short it lasts."""
    assert LoadProfile((Rate("rate", 100, 40, S, S // 20, 0),)).most_begun_per_s == 100
    assert LoadProfile((Calls("hold", 4, 4, 9 * S),), 2 * S, S).most_begun_per_s == pytest.approx(4 / 1.5)
    assert LoadProfile((Calls("hold", 4, 4, 9 * S),)).most_begun_per_s == 0
