import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_ari_sla_vitals.leak import GrowthWatch, growth


@given(rise=st.floats(-1e9, 1e9), outliers=st.integers(0, 10), seed=st.integers(0, 1000))
def test_a_straight_rise_is_found_whatever_a_few_outliers_say(rise: float, outliers: int, seed: int) -> None:
    """A tenth of the readings may be anything."""
    times_s = np.arange(101.0)
    levels = 5e8 + rise * times_s / 100
    random = np.random.default_rng(seed)
    levels[random.choice(101, outliers, replace=False)] += 1e9
    assert growth(times_s, levels) == pytest.approx(rise, abs=max(1.0, abs(rise) * 0.05) + 1e9 * 0.02 * outliers)


def test_the_first_wave_is_no_leak() -> None:
    """Memory that rises with the first calls, and stays, has not grown."""
    watch = GrowthWatch(warm_up_s=20)
    for second in range(100):
        watch.add(float(second), channels=50, level=40e6 + 45e6 * min(second / 15, 1))
    assert watch.growth() == pytest.approx(0)


def test_a_ramp_of_calls_is_no_leak() -> None:
    """Only readings at the usual number of channels are compared."""
    watch = GrowthWatch(warm_up_s=0)
    for second in range(120):
        channels = min(second, 60)
        watch.add(float(second), channels, level=40e6 + 0.9e6 * channels)
    assert watch.growth() == pytest.approx(0, abs=1e6)


def test_a_leak_at_constant_load_is_told_in_bytes() -> None:
    """100 kB a second over 80 s after the warm-up are 8 MB."""
    watch = GrowthWatch(warm_up_s=20)
    for second in range(101):
        watch.add(float(second), channels=50, level=80e6 + 1e5 * second)
    assert watch.growth() == pytest.approx(8e6, rel=0.01)


@pytest.mark.parametrize("readings", [0, 9])
def test_too_few_readings_say_nothing(readings: int) -> None:
    """Under ten readings there is no growth, rather than a growth of 0."""
    watch = GrowthWatch(warm_up_s=0)
    for second in range(readings):
        watch.add(float(second), channels=5, level=1.0)
    assert watch.growth() is None


def test_an_idle_asterisk_says_nothing() -> None:
    """Without a single channel the warm-up never begins."""
    watch = GrowthWatch(warm_up_s=0)
    for second in range(100):
        watch.add(float(second), channels=0, level=float(second))
    assert watch.growth() is None
