"""Units: how durations, shares and counts are read and written, everywhere in this tool.

Reading is exact (decimal), so that a limit of ``60ms`` equals a measured 60,000,000 ns.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from pytest_ari_sla.errors import UsageError

__all__ = [
    "UNIT_SUFFIXES",
    "Unit",
    "counted",
    "format_duration_ns",
    "format_quantity",
    "parse_duration_ns",
    "parse_duration_range_ns",
    "parse_share",
]

Unit = Literal["s", "ratio", "count", "mos", "ppm", "B"]

UNIT_SUFFIXES: dict[Unit, dict[str, Decimal]] = {
    "s": {
        "ns": Decimal("1e-9"),
        "us": Decimal("1e-6"),
        "µs": Decimal("1e-6"),
        "ms": Decimal("1e-3"),
        "s": Decimal(1),
    },
    "ratio": {"%": Decimal("0.01"), "": Decimal(1)},
    "count": {"": Decimal(1)},
    "mos": {"": Decimal(1)},
    "ppm": {"ppm": Decimal(1), "": Decimal(1)},
    "B": {"B": Decimal(1), "kB": Decimal(1000), "MB": Decimal(10**6), "GB": Decimal(10**9)},
}
"""What may follow a number, and what it multiplies it by, for each unit that a metric can have."""

_DURATION_NS = {
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "µs": 10**3,
    "ns": 1,
}
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)")
# min and ms stand before m, since the first one that fits is taken.
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|min|ms|m|s|us|µs|ns)")
_TIME_SCALE = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
_BYTE_SCALE = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))
_DIGITS = 3
# Shares close to 100 % get more digits than asked for, up to this number, rather than to be called 100 %.
_MOST_DIGITS = 9


def counted(number: float, noun: str, plural: str = "") -> str:
    """Return a number of things: ``1 call``, ``1,200 calls``; ``plural`` where that is not the noun with an s."""
    return f"{number:,.0f} {noun if number == 1 else plural or noun + 's'}"


_LONGEST_NS = 10**18
"""31 years: a number that is a mistake is told as one, before it overflows 64 bits (292 years)."""


def parse_duration_ns(text: object) -> int:
    """Read a duration such as ``10s``, ``1m30s``, ``250ms``, ``8h`` or ``1.5 min`` as nanoseconds.

    Parts may be separated by blanks; a number without unit is not a duration. What is below a nanosecond is rounded.

    Raises
    ------
    UsageError
        When the text is not a duration.
    """
    compact = "".join(str(text).split())
    parts = _DURATION_PART.findall(compact)
    # findall passes over what it does not know: put together again, nothing may be missing.
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        message = f"{text!r} is not a duration; write it like 30s, 10m, 1m30s or 250ms"
        raise UsageError(message)
    total = sum(Decimal(number) * _DURATION_NS[unit] for number, unit in parts)
    if total > _LONGEST_NS:
        raise UsageError(f"{text!r} is longer than anything here lasts")
    return int(Decimal(total).to_integral_value(ROUND_HALF_EVEN))


def parse_duration_range_ns(text: object) -> tuple[int, int]:
    """Read ``20ms..2s`` as the least and the most of durations in nanoseconds; one duration is both.

    Raises
    ------
    UsageError
        When the text is neither, or the range is upside down.
    """
    least, dots, most = str(text).partition("..")
    low = parse_duration_ns(least)
    high = parse_duration_ns(most) if dots else low
    if low > high:
        raise UsageError(f"{text!r} is not a range: its first duration is the longer one")
    return low, high


def parse_share(text: str) -> float:
    """Read a share such as ``10%`` or ``0.1``.

    Raises
    ------
    UsageError
        When the text is not a share.
    """
    found = _SHARE.fullmatch("".join(text.split()))
    if found is None:
        message = f"{text!r} is not a share; write it like 10%"
        raise UsageError(message)
    return float(Decimal(found[1]) / (100 if found[2] else 1))


def format_duration_ns(duration_ns: int) -> str:
    """Write a duration exactly, such that :func:`parse_duration_ns` gives it back: ``1m30s``, ``250ms``, ``0s``.

    Raises
    ------
    ValueError
        For a negative duration.
    """
    if duration_ns < 0:
        message = f"a duration cannot be negative: {duration_ns} ns"
        raise ValueError(message)
    parts = []
    rest = duration_ns
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _DURATION_NS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_quantity(value: float, unit: Unit, digits: int = _DIGITS) -> str:
    """Write a value for a person: ``83 ms``, ``0.12 %``, ``12,400``, ``4.31``.

    Parameters
    ----------
    value
        In ``unit``.
    unit
        A metric's unit.
    digits
        Significant digits to round to; digits before the decimal point are always kept.
    """
    if unit == "s":
        return _scaled(value, _TIME_SCALE, digits) if value else "0 s"
    if unit == "B":
        return _scaled(value, _BYTE_SCALE, digits)
    if unit == "ratio":
        return f"{_share(value, digits)} %"
    if unit == "mos":
        return f"{value:.{digits - 1}f}"
    if unit == "ppm":
        return f"{_rounded(value, digits)} ppm"
    return _rounded(value, digits)


def _share(value: float, digits: int) -> str:
    """Write a share in per cent; only a whole is called 100."""
    text = _rounded(value * 100, digits)
    while text == "100" and value != 1 and digits < _MOST_DIGITS:
        digits += 1
        text = _rounded(value * 100, digits)
    return text


def _scaled(value: float, scale: tuple[tuple[str, float], ...], digits: int) -> str:
    """Write a value in the largest unit that leaves at least 1, or else in the smallest one."""
    # The rounded value decides, so that 999.96 ms is written as 1 s.
    fitting = (pair for pair in scale if abs(float(_rounded(value / pair[1], digits).replace(",", ""))) >= 1)
    name, factor = next(fitting, scale[-1])
    return f"{_rounded(value / factor, digits)} {name}"


def _rounded(value: float, digits: int) -> str:
    """Write a number with that many significant digits, but whole ones always, and without an exponent."""
    if value == 0:
        return "0"
    places = max(digits - 1 - Decimal(value).adjusted(), 0)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
