from __future__ import annotations

from typing import Any

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.load.profile import Calls, Rate
from pytest_ari_sla.load.stages import hold, profile_of, ramp, rate

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


@pytest.mark.parametrize("calls", [1, 3, 50, 999])
def test_the_number_of_calls_on_the_command_line_is_the_peak(calls: int) -> None:
    """Everything else is in proportion."""
    profile = profile_of(stages=[ramp(10, over="2s"), hold("5s"), ramp(5, over="1s")], calls_override=calls)
    assert profile.peak_calls() == calls


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
    ],
)
def test_words_that_do_not_go_together_are_the_test_s_fault(words: dict[str, Any]) -> None:
    """Too little, too much, nothing to do."""
    with pytest.raises(UsageError):
        profile_of(**words)
