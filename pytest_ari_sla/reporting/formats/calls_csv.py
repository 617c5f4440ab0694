"""All calls of a run as a table for spreadsheets and data frames: ``calls.csv``."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Final

from pytest_ari_sla.reporting.wording.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_ari_sla.reporting.record.run_record import CallRow

__all__ = ["calls_csv", "merged_calls_csv"]

_COLUMNS: Final = (
    "scenario",
    "call",
    "shard",
    "outcome",
    "started_s",
    "setup_s",
    "first_packet_s",
    "ended_s",
    "reason",
    "blame",
)
# A tab or line break begins one as well in some programs; clean() leaves none.
_FORMULA_STARTS: Final = ("=", "+", "-", "@")


def calls_csv(calls: Iterable[tuple[str, CallRow]]) -> str:
    """Return calls as CSV (RFC 4180), one a line; what was measured of them follows in columns by metric.

    Parameters
    ----------
    calls
        Each call with the name of its scenario.
    """
    rows = list(calls)
    metrics = sorted({name for _, row in rows for name in row.values})
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *(_cell(name) for name in metrics)])
    writer.writerows(_row(scenario, row, metrics) for scenario, row in rows)
    return text.getvalue()


def merged_calls_csv(tables: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Return one table of several, each with the names that its scenarios have now by those that they had."""
    rows: list[dict[str, str]] = []
    for text, names in tables:
        renamed = {_cell(old): _cell(new) for old, new in names.items()}
        table = csv.DictReader(StringIO(text, newline=""))
        rows += [{**row, "scenario": renamed.get(row["scenario"], row["scenario"])} for row in table]
    metrics = sorted({name for row in rows for name in row} - set(_COLUMNS))
    merged = StringIO()
    writer = csv.DictWriter(merged, [*_COLUMNS, *metrics], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return merged.getvalue()


def _row(scenario: str, row: CallRow, metrics: Sequence[str]) -> list[object]:
    return [
        _cell(scenario),
        _cell(row.id),
        row.shard,
        row.outcome,
        row.started_s,
        row.setup_s,
        row.first_packet_s,
        row.ended_s,
        _cell(row.reason),
        _cell(row.blame),
        *(row.values.get(name) for name in metrics),
    ]


def _cell(text: str) -> str:
    """Return a text that a spreadsheet takes as text, not as a formula."""
    cleaned = clean(text)
    return f"'{cleaned}" if cleaned.startswith(_FORMULA_STARTS) else cleaned
