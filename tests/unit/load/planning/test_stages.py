from __future__ import annotations

from typing import Any

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.load.planning.profile import Calls, Rate
from pytest_ari_sla.load.planning.stages import hold, profile_of, ramp, rate

S = 1_000_000_000


def test_calls_and_a_duration_are_one_stage() -> None:
    """The shortest way to say it."""
    assert profile_of(calls=5, duration="10s").stages == (Calls("hold", 5, 5, 10 * S),)


def test_a_ramp_comes_before_what_it_leads_to() -> None:
    """``ramp`` starts the calls evenly first; the duration is that of the hold."""
    stages = profile_of(calls=5, duration="10s", ramp_up="2s").stages
    assert stages == (Calls("ramp", 0, 5, 2 * S), Calls("hold", 5, 5, 10 * S))


def test_stages_begin_where_the_last_one_ended() -> None:
    """Nobody repeats a number."""
    stages = profile_of(stages=[ramp(10, over="2s"), hold("5s"), ramp(0, over="1s")]).stages
    assert stages == (Calls("ramp", 0, 10, 2 * S), Calls("hold", 10, 10, 5 * S), Calls("ramp2", 10, 0, S))


def test_a_rate_is_an_open_stage_and_leaves_no_calls_to_hold() -> None:
    """What an open stage began ends by itself."""
    stages = profile_of(stages=[rate(5, duration="10s", holding="3s"), hold("1s", calls=2)]).stages
    assert stages == (Rate("rate", 5, 5, 10 * S, 3 * S), Calls("hold", 2, 2, S))


def test_a_rate_can_grow() -> None:
    """From one rate to another, evenly."""
    (stage,) = profile_of(stages=[rate(1, end=9, duration="8s", holding="1s")]).stages
    assert (stage.start, stage.end) == (1, 9)


def test_a_holding_time_replaces_calls() -> None:
    """A closed model with turnover."""
    assert profile_of(calls=2, duration="1m", holding="5s").holding_ns == 5 * S


@pytest.mark.parametrize("stages", [5, "hold", hold("1s", calls=1)])
def test_stages_that_are_no_list_are_refused(stages: Any) -> None:
    """Also a single one, which is easily written without its brackets."""
    with pytest.raises(UsageError, match="that is a list"):
        profile_of(stages=stages)


@pytest.mark.parametrize(
    "stages",
    [[hold("1s", calls=10**9)], [rate(10**9, duration="1s", holding="1s")], [rate(5000, duration="1h", holding="1h")]],
)
def test_more_calls_than_anything_carries_are_refused_at_once(stages: Any) -> None:
    """To plan them would take hours, before anybody could say that there are no ports for them."""
    with pytest.raises(UsageError, match="at a time; a load can have 1,000,000 at most"):
        profile_of(stages=stages)
    with pytest.raises(UsageError, match="at a time"):
        profile_of(calls=1, duration="1s", calls_override=10**9)


@pytest.mark.parametrize("calls", [1, 3, 50, 999])
def test_the_number_of_calls_on_the_command_line_is_the_peak(calls: int) -> None:
    """Everything else is in proportion."""
    profile = profile_of(stages=[ramp(10, over="2s"), hold("5s"), ramp(5, over="1s")], calls_override=calls)
    assert profile.peak_calls() == calls


def test_a_stage_that_has_calls_keeps_one_when_the_load_is_made_smaller() -> None:
    """Three instead of ten leave 0.3 of the single call behind, and less than one of the rate's two."""
    stages = profile_of(
        stages=[hold("5s", calls=10), hold("5s", calls=1), rate(1, duration="2s", holding="1s"), hold("5s", calls=0)],
        calls_override=3,
    ).stages
    assert [stage.start for stage in stages] == [3, 1, 0.5, 0]
    assert isinstance(stages[2], Rate)
    assert stages[2].calls == 1


@pytest.mark.parametrize("calls", [7, 33, 100])
def test_the_number_of_calls_on_the_command_line_is_the_peak_of_rates_too(calls: int) -> None:
    """Where it lies inside of a stage, and where starts and ends of calls fall together."""
    rise_and_fall = [rate(0, end=20, duration="4s", holding="4s"), rate(20, end=0, duration="4s", holding="4s")]
    assert profile_of(stages=rise_and_fall, calls_override=calls).peak_calls() == calls
    steady = [rate(5, duration="10s", holding="4s")]
    assert profile_of(stages=steady, calls_override=calls).peak_calls() == calls


def test_stages_of_one_name_never_get_a_name_that_is_taken() -> None:
    """A threshold on ``@ramp2`` speaks of one stage only."""
    stages = profile_of(stages=[hold("1s", calls=1, name=name) for name in ("ramp", "ramp2", "ramp", "ramp")]).stages
    assert [stage.name for stage in stages] == ["ramp", "ramp2", "ramp3", "ramp4"]


def test_the_duration_on_the_command_line_is_that_of_all_stages() -> None:
    """All stages are stretched alike; how long a call is held stays as it was."""
    profile = profile_of(
        stages=[rate(2, duration="10s", holding="3s"), hold("30s", calls=1)], duration_override_ns=400 * S
    )
    assert [stage.duration_ns for stage in profile.stages] == [100 * S, 300 * S]
    assert isinstance(profile.stages[0], Rate)
    assert profile.stages[0].holding_ns == 3 * S


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"calls": 5},
        {"duration": "5s"},
        {"calls": 5, "duration": "5s", "stages": [hold("1s", calls=1)]},
        {"ramp_up": "5s", "stages": [hold("1s", calls=1)]},
        {"stages": []},
        {"stages": ["5s"]},
        {"calls": 0, "duration": "5s"},
        {"calls": 5, "duration": "0s"},
        {"calls": 5, "duration": 10},
        {"calls": 2.5, "duration": "5s"},
        {"calls": True, "duration": "5s"},
        {"calls": "5", "duration": "5s"},
        {"calls": 5, "duration": "5s", "holding": "0s"},
        {"stages": [ramp(3.5, over="5s")]},  # type: ignore[arg-type]
        {"stages": [ramp(3, over="5s", start=0.5)]},  # type: ignore[arg-type]
        {"stages": [hold("5s", calls=3.5)]},  # type: ignore[arg-type]
        {"stages": [hold("5s")]},
        {"stages": [rate(float("nan"), duration="5s", holding="1s")]},
        {"stages": [rate(5, duration="5s", holding="1s", end=float("inf"))]},
        {"stages": [rate("5", duration="5s", holding="1s")]},  # type: ignore[arg-type]
        {"stages": [rate(0.1, duration="2s", holding="1s")]},
        {"stages": [rate(0.1, duration="2s", holding="1s"), hold("5s", calls=1)]},
        {"calls": 1, "duration": "5s", "duration_override_ns": 0},
        {"stages": [rate(1, duration="10s", holding="1s")], "duration_override_ns": S // 10},
    ],
)
def test_words_that_do_not_go_together_are_the_test_s_fault(words: dict[str, Any]) -> None:
    """Too little, too much, nothing to do."""
    with pytest.raises(UsageError):
        profile_of(**words)


def test_holding_and_hang_up_take_ranges() -> None:
    """In closed stages, in open ones, and for hang-ups; with or without the words that make it plain."""
    profile = profile_of(calls=2, duration="1m", holding="5s..20s", hang_up="0ms..20ms after request")
    assert (profile.least_holding_ns, profile.holding_ns, profile.hang_up_ns) == (5 * S, 20 * S, (0, 20_000_000))
    assert profile_of(calls=2, duration="1m", hang_up="3ms").hang_up_ns == (3_000_000, 3_000_000)
    (stage,) = profile_of(stages=[rate(5, duration="1m", holding="0s..50ms")]).stages
    assert isinstance(stage, Rate)
    assert (stage.least_holding_ns, stage.holding_ns) == (0, 50_000_000)


@pytest.mark.parametrize("text", ["5s..1s", "1s..", "..", "1s..2", "1s...2s"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    """Before the load begins, in words."""
    with pytest.raises(UsageError, match=r"range|duration"):
        profile_of(calls=2, duration="1m", holding=text)
