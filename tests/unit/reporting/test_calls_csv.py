import csv
from io import StringIO

from pytest_ari_sla.reporting.formats.calls_csv import calls_csv
from pytest_ari_sla.reporting.record.run_record import CallRow


def parsed(*calls: CallRow) -> list[dict[str, str]]:
    """Return the table as a reader of CSV sees it."""
    return list(csv.DictReader(StringIO(calls_csv(("t.py::t", call) for call in calls))))


def test_every_call_is_a_line_with_its_figures_in_columns() -> None:
    """What one call lacks stays empty."""
    first = CallRow(id="c1", outcome="ended", started_s=0.5, setup_s=0.1, values={"rtt.p99": 0.02})
    second = CallRow(id="c2", outcome="failed", started_s=1, reason='said "no", twice', values={"mos": 4.1})
    rows = parsed(first, second)
    assert rows[0] | {"call": "c1", "setup_s": "0.1", "rtt.p99": "0.02", "mos": ""} == rows[0]
    assert rows[1] | {"reason": 'said "no", twice', "setup_s": "", "mos": "4.1"} == rows[1]


def test_a_hostile_name_is_no_formula_and_no_second_line() -> None:
    """A spreadsheet shall not run what a caller is named."""
    (row,) = parsed(CallRow(id="=HYPERLINK(1)", outcome="failed", started_s=0, reason="a\r\n\x1b[2Jb"))
    assert row["call"] == "'=HYPERLINK(1)"
    assert row["reason"] == "a  ␛[2Jb"


def test_without_calls_there_is_a_header() -> None:
    """The file can be read by the same program."""
    assert calls_csv([]).startswith("scenario,call,shard,outcome,")
