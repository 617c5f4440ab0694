"""Values as people read them: three significant digits and a unit that fits."""

from __future__ import annotations

import math
from typing import Final, get_args

from pytest_ari_sla.metrics.hdr_layout import HIGHEST
from pytest_ari_sla.metrics.units import Unit, format_quantity

__all__ = ["NO_VALUE", "show", "show_change", "show_clock"]

NO_VALUE: Final = "-"
_LONG_S: Final = 600
_NEVER_S: Final = HIGHEST / 1e9
"""How distributions hold what never happened."""


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
    if unit == "s" and value == _NEVER_S:
        return "never"
    if unit == "s" and abs(value) >= _LONG_S:
        return show_clock(value)
    if unit in get_args(Unit):
        return format_quantity(value, unit)  # type: ignore[arg-type]  # narrowed in the line above
    return f"{format_quantity(value, 'count')} {unit}".rstrip()


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
        return f"{format_quantity(change + 1, 'count')} times"
    return f"{'+' if change > 0 else ''}{format_quantity(change, 'ratio')}"
