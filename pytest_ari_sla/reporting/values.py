"""Values as people read them: three significant digits and a unit that fits."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["NO_VALUE", "share", "show", "show_change", "show_clock"]

NO_VALUE: Final = "-"

_ROUNDS_UP: Final = 0.9995  # from here on three digits show the next power of ten
_TIME_STEPS: Final = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (math.inf, 1.0, "s"))
_BYTE_STEPS: Final = ((2**10, 1.0, "B"), (2**20, 2**-10, "KiB"), (2**30, 2**-20, "MiB"), (math.inf, 2**-30, "GiB"))


def show(value: float | None, unit: str = "") -> str:
    """Return a value for people.

    Parameters
    ----------
    value
        The value in ``unit``; None and NaN are shown as a dash.
    unit
        Unit of the catalogue: ``s``, ``ratio``, ``count``, ``mos``, ``ppm``, ``B``; any other is written behind.

    Examples
    --------
    >>> show(0.0123456, "s"), show(0.001, "ratio"), show(75000, "count"), show(None, "s")
    ('12.3 ms', '0.1 %', '75,000', '-')
    """
    if value is None or math.isnan(value):
        return NO_VALUE
    match unit:
        case "s":
            return _show_seconds(value)
        case "ratio":
            return f"{_three_digits(value * 100)} %"
        case "count" | "":
            return f"{value:,.0f}" if float(value).is_integer() else _three_digits(value)
        case "mos":
            return f"{value:.2f}"
        case "B":
            return _scaled(value, _BYTE_STEPS, "B")
        case _:
            return f"{_three_digits(value)} {unit}"


def show_clock(seconds: float | None) -> str:
    """Return a moment within a load: ``12 s``, ``3:05 min``, ``2:00:00 h``."""
    if seconds is None or math.isnan(seconds):
        return NO_VALUE
    whole = round(seconds)
    if whole < 100:
        return f"{seconds:.1f} s" if seconds < 10 and not float(seconds).is_integer() else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def show_change(change: float | None) -> str:
    """Return a relative change with its sign: ``+20 %``, ``-3.1 %``; ``12 times`` where it is that much."""
    if change is None or not math.isfinite(change):
        return NO_VALUE
    if change >= 9:
        return f"{_three_digits(change + 1)} times"
    return f"{'+' if change > 0 else ''}{_three_digits(change * 100)} %"


def share(part: float, whole: float) -> float | None:
    """Return ``part / whole``; None of nothing."""
    return part / whole if whole else None


def _show_seconds(value: float) -> str:
    return _scaled(value, _TIME_STEPS, "s") if abs(value) < 600 else show_clock(value)


def _scaled(value: float, steps: tuple[tuple[float, float, str], ...], unit: str) -> str:
    """Return a value in the first unit of ``steps`` (below this size, multiply by that, name) that it fits."""
    if value == 0:
        return f"0 {unit}"
    factor, name = next((factor, name) for below, factor, name in steps if abs(value) < below * _ROUNDS_UP)
    return f"{_three_digits(value * factor)} {name}"


def _three_digits(value: float) -> str:
    """Return a number with three significant digits, without an exponent and without trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
