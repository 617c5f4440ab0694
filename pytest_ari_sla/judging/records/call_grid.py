"""The heat map's figures: the delay of every call over time, on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.record.run_record import CallGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.load.results.outcome import CallOutcome

__all__ = ["call_grid"]

_NS_PER_S: Final = 10**9
_COLUMNS: Final = 120
_ROWS: Final = 1_000
_DIGITS: Final = 7
"""A tenth of a microsecond: finer than any colour."""


def call_grid(calls: Sequence[CallOutcome], duration_ns: int) -> CallGrid | None:
    """Return the delay of calls over time; None where no call has any.

    Parameters
    ----------
    calls
        All calls; of very many, every n-th is shown.
    duration_ns
        Length of the load; a column of the grid is a whole number of seconds. Where several spans of a call lie in one
        column, the longest delay is shown; a span that is longer than a column fills several.
    """
    heard = sorted((call for call in calls if call.delay_course), key=lambda call: call.started_ns)
    if not heard:
        return None
    # Rounded up, as is the width of a column: never more rows and columns than there is room for.
    shown = heard[:: -(-len(heard) // _ROWS)]
    column_ns = max(1, -(-duration_ns // (_COLUMNS * _NS_PER_S))) * _NS_PER_S
    columns = max(1, -(-duration_ns // column_ns))
    return CallGrid(
        metric=_kind_of_delay(heard),
        stat="mean",
        unit="s",
        t=[column * column_ns / _NS_PER_S for column in range(columns)],
        calls=[call.id for call in shown],
        values=[_row(call, column_ns, columns) for call in shown],
    )


def _kind_of_delay(calls: Sequence[CallOutcome]) -> str:
    """Return which metric the delay of calls is; what is a round trip on one leg and one way on another has no name."""
    found = {name for call in calls for name in ("rtt", "one_way") if f"{name}.max" in call.values}
    return found.pop() if len(found) == 1 else "delay"


def _row(call: CallOutcome, column_ns: int, columns: int) -> list[float | None]:
    row: list[float | None] = [None] * columns
    for start_ns, end_ns, delay_s in call.delay_course:
        # Spans are cut at whole seconds of the clock: the middle tells which second of the load a short one is about.
        first = (start_ns + min(end_ns - start_ns, column_ns) // 2) // column_ns
        width = max(1, (end_ns - start_ns) // column_ns)
        for column in range(max(first, 0), min(first + width, columns)):
            # The worst of a column: a mean would hide a short burst of delay in a long load.
            row[column] = max(row[column] or 0.0, round(delay_s, _DIGITS))
    return row
