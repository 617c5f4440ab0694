import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.reporting.wording.values import show, show_change, show_clock


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "-"),
        (math.nan, "s", "-"),
        (0, "s", "0 s"),
        (1.2e-7, "s", "120 ns"),
        (0.0000312, "s", "31.2 µs"),
        (0.0123456, "s", "12.3 ms"),
        (0.99996, "s", "1 s"),
        (-0.002, "s", "-2 ms"),
        (599, "s", "599 s"),
        (12_345, "s", "3:25:45 h"),
        (0.001, "ratio", "0.1 %"),
        (1, "ratio", "100 %"),
        (75_000, "count", "75,000"),
        (2.345, "count", "2.35"),
        (3.5, "dB", "3.5 dB"),
        (7, "", "7"),
        (4.2, "mos", "4.20"),
        (0, "B", "0 B"),
        (10_000_000, "B", "10 MB"),
        (28.123, "ppm", "28.1 ppm"),
    ],
)
def test_a_value_is_shown_with_three_digits_and_a_unit_that_fits(value: float | None, unit: str, text: str) -> None:
    """People read three digits; the unit saves them the zeros."""
    assert show(value, unit) == text


@given(st.floats(min_value=1e-9, max_value=500))
def test_a_shown_time_is_within_half_a_percent_of_the_value(seconds: float) -> None:
    """Three digits lose no more than that, whatever the unit."""
    number, unit = show(seconds, "s").split()
    shown = float(number) * {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1}[unit]
    assert shown == pytest.approx(seconds, rel=0.0051)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.5, "0.5 s"), (12.34, "12 s"), (99.6, "1:40 min"), (185, "3:05 min"), (7_325, "2:02:05 h")],
)
def test_a_moment_is_shown_as_a_clock_would(seconds: float | None, text: str) -> None:
    """Seconds up to a hundred, then minutes, then hours."""
    assert show_clock(seconds) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.2, "+20 %"), (-0.031, "-3.1 %"), (0, "0 %"), (11, "12 times"), (None, "-"), (math.inf, "-")],
)
def test_a_change_is_shown_with_its_sign(change: float | None, text: str) -> None:
    """A change of many times is not a percentage any more."""
    assert show_change(change) == text
