"""Faults: what can be asked for, and dice that fall the same way each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.targets.simulator.faults import Dice, Faults


def rolls(dice: Dice, count: int = 200) -> list[bool]:
    """Roll for lost events."""
    return [dice.hits("lost_event_ratio") for _ in range(count)]


def test_nothing_goes_wrong_by_default() -> None:
    """No ratio, no time, no limit is set."""
    dice = Dice(Faults())
    ratios = [name for name in Faults().describe() if name.endswith("_ratio")]
    assert not any(dice.hits(name) for name in ratios for _ in range(100))


@given(st.integers(0, 1 << 32))
def test_the_same_seed_shows_the_same_faults(seed: int) -> None:
    """A run can be repeated, also after reseeding."""
    faults = Faults(seed=seed, lost_event_ratio=0.5)
    dice = Dice(faults)
    first = rolls(dice)
    assert rolls(Dice(faults)) == first
    dice.reseed()
    assert rolls(dice) == first


def test_faults_do_not_depend_on_each_other() -> None:
    """Rolling for one kind changes nothing for another."""
    faults = Faults(lost_event_ratio=0.5, slow_request_ratio=0.5)
    mixed = Dice(faults)
    seen = []
    for _ in range(200):
        mixed.hits("slow_request_ratio")
        seen.append(mixed.hits("lost_event_ratio"))
    assert seen == rolls(Dice(faults))


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.0, 0, 0), (0.1, 60, 140), (1.0, 1000, 1000)])
def test_a_ratio_is_kept(ratio: float, low: int, high: int) -> None:
    """Of a thousand rolls about as many hit as were asked for."""
    assert low <= sum(rolls(Dice(Faults(lost_event_ratio=ratio)), 1000)) <= high


def test_values_may_be_text() -> None:
    """As they come from a command line."""
    faults = Faults().with_values({"lost_event_ratio": "0.25", "seed": "7"})
    assert (faults.lost_event_ratio, faults.seed) == (0.25, 7)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lost_events": 1}, "no fault 'lost_events'"),
        ({"lost_event_ratio": "often"}, "takes a number"),
        ({"lost_event_ratio": 1.5}, "cannot be 1.5"),
        ({"slow_request_s": -1}, "cannot be -1"),
        ({"rtp_delay_s": "nan"}, "cannot be nan"),
        ({"crash_after_s": "inf"}, "cannot be inf"),
        ({"seed": "1.5"}, "takes a number"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, object], words: str) -> None:
    """And the message says what would."""
    with pytest.raises(UsageError, match=words):
        Faults().with_values(values)
