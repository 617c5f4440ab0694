import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.metrics.units import Unit, format_duration_ns, format_quantity, parse_duration_ns, parse_share

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("10s", 10 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1.5 min", 90 * SECOND),
        (" 2h 3m ", 7380 * SECOND),
        ("250ms", SECOND // 4),
        ("3us", 3000),
        ("3µs", 3000),
        ("7ns", 7),
        ("0s", 0),
        ("0.1ms", 100_000),
    ],
)
def test_durations_are_read_exactly(text: str, duration_ns: int) -> None:
    """Durations may have several parts and decimals."""
    assert parse_duration_ns(text) == duration_ns


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), (" 12.5 % ", 0.125), ("0.1", 0.1), ("0", 0), ("0.3%", 0.003)]
)
def test_shares_are_read_exactly(text: str, share: float) -> None:
    """In per cent, or plain."""
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "%", "-5%", "10 per cent", "nan", "1e3%", "5%%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(UsageError, match="write it like 10%"):
        parse_share(text)


@pytest.mark.parametrize("text", ["", "10", "s", "10 apples", "-5s", "1s2", "1..5s", "10S"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A number without a unit is no duration; the message shows how to write one."""
    with pytest.raises(UsageError, match="1m30s"):
        parse_duration_ns(text)


@given(st.integers(0, 10**18))
def test_a_written_duration_reads_back(duration_ns: int) -> None:
    """Writing loses nothing."""
    assert parse_duration_ns(format_duration_ns(duration_ns)) == duration_ns


def test_durations_are_written_like_people_write_them() -> None:
    """The shortest usual form is taken, and nothing negative."""
    assert format_duration_ns(90 * SECOND) == "1m30s"
    assert format_duration_ns(0) == "0s"
    with pytest.raises(ValueError, match="negative"):
        format_duration_ns(-1)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.083, "s", "83 ms"),
        (0.0, "s", "0 s"),
        (0.99996, "s", "1 s"),
        (61.24, "s", "61.2 s"),
        (12345.0, "s", "12,345 s"),
        (3.2e-6, "s", "3.2 µs"),
        (4e-9, "s", "4 ns"),
        (2e-10, "s", "0.2 ns"),
        (-0.0012, "s", "-1.2 ms"),
        (0.00123, "ratio", "0.123 %"),
        (0.0, "ratio", "0 %"),
        (1.0, "ratio", "100 %"),
        (0.99999, "ratio", "99.999 %"),
        (1 - 1e-12, "ratio", "100 %"),
        (12400, "count", "12,400"),
        (1.5, "count", "1.5"),
        (4.313, "mos", "4.31"),
        (28.44, "ppm", "28.4 ppm"),
        (1_234_567, "B", "1.23 MB"),
        (0, "B", "0 B"),
        (999, "B", "999 B"),
    ],
)
def test_values_are_written_with_three_digits_in_the_fitting_unit(value: float, unit: Unit, text: str) -> None:
    """A person reads 83 ms rather than 0.083; only a whole is called 100 %."""
    assert format_quantity(value, unit) == text


def test_more_digits_can_be_asked_for() -> None:
    """Two values that are close to each other can be told apart."""
    assert format_quantity(0.0600123, "s", 5) == "60.012 ms"
    assert format_quantity(4.3129, "mos", 4) == "4.313"


@pytest.mark.parametrize("module", ["metrics.units", "metrics.catalogue", "sla.threshold"])
def test_reading_options_needs_no_numpy(module: str) -> None:
    """What the command line and markers are read with is imported without NumPy: ``pytest --help`` stays fast."""
    program = f"import sys, pytest_ari_sla.{module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_duration_that_overflows_is_a_mistake() -> None:
    """It is told with the words that were written, not as an integer that is too large."""
    assert parse_duration_ns("250000h") == 9 * 10**17
    with pytest.raises(UsageError, match="'99999999999h' is longer than anything here lasts"):
        parse_duration_ns("99999999999h")
