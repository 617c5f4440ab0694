import csv
from pathlib import Path

import pytest

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.record.record_file import read_record, write_record
from pytest_ari_sla.reporting.record.run_record import CallRow, RunRecord
from pytest_ari_sla.reporting.report_folder import merge, merged_record, render, write_reports
from tests.unit.reporting.factory import make_record, make_scenario


def run(run_id: str, kind: str = "pass", **changes: object) -> RunRecord:
    """Return a run of one scenario with its own id."""
    record = make_record(make_scenario(kind, calls=5))  # type: ignore[arg-type]
    record.run.id = run_id
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def test_a_folder_holds_every_format(tmp_path: Path) -> None:
    """One call writes all of them."""
    paths = write_reports(run("a", "fail"), tmp_path / "out")
    assert sorted(path.name for path in paths) == ["calls.csv", "report.html", "report.json", "summary.md"]
    assert all(path.stat().st_size for path in paths)


def test_rendering_again_gives_the_same_files(tmp_path: Path) -> None:
    """Everything is made from report.json alone."""
    write_reports(run("a", "fail"), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("report.html", "summary.md", "calls.csv"):
        (tmp_path / name).unlink()
    assert len(render(tmp_path)) == 3
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_rendering_keeps_a_table_of_all_calls(tmp_path: Path) -> None:
    """It holds more than the record does."""
    every = [("t", CallRow(id=f"c{n}", outcome="ended", started_s=n)) for n in range(50)]
    write_reports(run("a"), tmp_path, calls=every)
    render(tmp_path)
    assert len((tmp_path / "calls.csv").read_text().splitlines()) == 51


def test_what_a_crashed_run_left_can_be_rendered(tmp_path: Path) -> None:
    """A soak writes its record every minute, and the rest at the end."""
    write_record(run("a"), tmp_path)
    assert {path.name for path in render(tmp_path)} == {"report.html", "summary.md", "calls.csv"}


def test_merged_runs_keep_their_scenarios_apart_and_the_worst_verdict_counts() -> None:
    """Two jobs that ran the same scenario are told apart by their run."""
    merged = merged_record([run("a"), run("b", "fail"), run("c", "inconclusive", notes=["late"])])
    assert merged.verdict == "fail"
    assert merged.run.id == "a+b+c"
    assert [scenario.nodeid.rpartition(" (")[2] for scenario in merged.scenarios] == ["run a)", "run b)", "run c)"]
    assert merged.notes[-1] == "Run c: late"
    assert merged.run.command_line == run("a").run.command_line, "one command, said once"


def test_a_scenario_that_only_one_run_has_keeps_its_name() -> None:
    """Nothing to confuse it with."""
    other = run("b")
    other.scenarios[0].nodeid = "other.py::test"
    names = [scenario.nodeid for scenario in merged_record([run("a"), other]).scenarios]
    assert names == ["scenarios/test_echo.py::test_echo_calls", "other.py::test"]


def test_captures_move_along_with_the_report(tmp_path: Path) -> None:
    """A link in the merged report leads to the copy; a path out of the folder is not followed."""
    record = run("a", "fail")
    good, bad, gone = record.scenarios[0].worst_calls[:3]
    good.capture, bad.capture, gone.capture = "captures/x.pcapng", "../secret.pcapng", "captures/gone.pcapng"
    good.audio = "captures/x.wav"
    (tmp_path / "secret.pcapng").write_text("secret")
    write_reports(record, tmp_path / "a")
    (tmp_path / "a" / "captures").mkdir()
    (tmp_path / "a" / "captures" / "x.pcapng").write_text("packets")
    (tmp_path / "a" / "captures" / "x.wav").write_text("audio")
    merge([tmp_path / "a"], tmp_path / "out")
    merged = read_record(tmp_path / "out").scenarios[0].worst_calls[0]
    assert merged.capture == "captures/a/x.pcapng"
    assert (tmp_path / "out" / merged.capture).read_text() == "packets"
    assert (tmp_path / "out" / merged.audio).read_text() == "audio"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.pcapng")) == ["x.pcapng"]


def test_evidence_moves_along_with_the_report(tmp_path: Path) -> None:
    """What a stall left beside one report is found from the merged one."""
    record = run("a", "fail")
    record.scenarios[0].evidence = ["evidence/stall.txt"]
    write_reports(record, tmp_path / "a")
    (tmp_path / "a" / "evidence").mkdir()
    (tmp_path / "a" / "evidence" / "stall.txt").write_text("threads")
    merge([tmp_path / "a"], tmp_path / "out")
    (path,) = read_record(tmp_path / "out").scenarios[0].evidence
    assert (tmp_path / "out" / path).read_text() == "threads"


def test_a_merged_table_holds_all_calls_of_all_runs(tmp_path: Path) -> None:
    """Also those that a record leaves out, and of a folder that has lost its table, those that it has."""
    for name in "ab":
        record = run(name)
        rows = [CallRow(id=f"{name}-{number}", outcome="ended", started_s=0.0) for number in range(5)]
        record.scenarios[0].call_table = rows[:1]
        write_reports(record, tmp_path / name, calls=[(record.scenarios[0].nodeid, row) for row in rows])
    (tmp_path / "b" / "calls.csv").unlink()
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    with (tmp_path / "out" / "calls.csv").open(newline="") as file:
        told = [(row["scenario"], row["call"]) for row in csv.DictReader(file)]
    names = [scenario.nodeid for scenario in read_record(tmp_path / "out").scenarios]
    assert told == [(names[0], f"a-{number}") for number in range(5)] + [(names[1], "b-0")]


def test_what_plug_ins_have_added_to_several_runs_is_all_kept() -> None:
    """Named with its run."""
    one, other = run("a"), run("b")
    one.extra, other.extra = {"mine": 1, "only": 2}, {"mine": 3}
    assert merged_record([one, other]).extra == {"mine (run a)": 1, "only": 2, "mine (run b)": 3}


def test_merging_nothing_or_onto_itself_is_refused(tmp_path: Path) -> None:
    """The message says what to do."""
    write_reports(run("a"), tmp_path)
    with pytest.raises(UsageError, match="no report to merge"):
        merge([], tmp_path / "out")
    with pytest.raises(UsageError, match="choose another folder"):
        merge([tmp_path], tmp_path / "sub" / "..")
    with pytest.raises(UsageError, match="cannot read"):
        merge([tmp_path / "none"], tmp_path / "out")
