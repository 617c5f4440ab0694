"""The folder of a report: writing all its files, rendering them again, and merging several reports into one."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from pytest_ari_sla.errors import UsageError
from pytest_ari_sla.reporting.formats.calls_csv import calls_csv, merged_calls_csv
from pytest_ari_sla.reporting.formats.html import render_html
from pytest_ari_sla.reporting.formats.markdown import render_markdown
from pytest_ari_sla.reporting.places import (
    CALLS_NAME,
    CAPTURES_NAME,
    EVIDENCE_NAME,
    HTML_NAME,
    MARKDOWN_NAME,
    RECORD_NAME,
    check_folder,
)
from pytest_ari_sla.reporting.record.record_file import (
    decode_record,
    encode_record,
    read_record,
    write_atomically,
    write_record,
)
from pytest_ari_sla.reporting.record.run_record import RunRecord, Scenario, WorstCall
from pytest_ari_sla.reporting.run_comparison import compare_all, target_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_ari_sla.reporting.record.run_record import CallRow, Verdict

__all__ = ["CALLS_NAME", "HTML_NAME", "MARKDOWN_NAME", "merge", "merged_record", "render", "write_reports", "writers"]


def write_reports(
    record: RunRecord,
    folder: Path,
    *,
    calls: Iterable[tuple[str, CallRow]] | None = None,
    templates_folder: Path | None = None,
) -> list[Path]:
    """Write ``report.json`` and everything that is made from it; return the paths.

    Parameters
    ----------
    record
        The run.
    folder
        Where to; made if need be.
    calls
        All calls, each with its scenario's nodeid, where the record holds a part of them only.
    templates_folder
        A team's own templates (see :mod:`pytest_ari_sla.reporting.formats.html`).
    """
    formats = writers(record, folder, calls=calls, templates_folder=templates_folder)
    for write in formats.values():
        write()
    return [folder / name for name in formats]


def writers(
    record: RunRecord,
    folder: Path,
    *,
    calls: Iterable[tuple[str, CallRow]] | None = None,
    templates_folder: Path | None = None,
) -> dict[str, Callable[[], object]]:
    """Return what writes each file of a report, by its name; parameters as in :func:`write_reports`.

    None needs another: whoever must not lose all formats to the fault of one calls them one by one.
    """

    def put(name: str, text: str) -> None:
        write_atomically(folder / name, text.encode())

    def plain() -> RunRecord:
        # As it is read from report.json: plain, cleaned, and the same as when it is rendered anew.
        return decode_record(encode_record(record))

    return {
        RECORD_NAME: lambda: write_record(record, folder),
        CALLS_NAME: lambda: put(CALLS_NAME, calls_csv(calls or _recorded_calls(record))),
        HTML_NAME: lambda: put(HTML_NAME, render_html(plain(), templates_folder)),
        MARKDOWN_NAME: lambda: put(MARKDOWN_NAME, render_markdown(plain())),
    }


def render(folder: Path, templates_folder: Path | None = None) -> list[Path]:
    """Make the HTML and Markdown reports anew from a folder's ``report.json`` alone; return the paths.

    ``calls.csv`` is made where it is missing; one that is there may hold more calls than the record, and stays.
    """
    record = read_record(folder)
    paths = _render(record, folder, templates_folder)
    if not (folder / CALLS_NAME).exists():
        write_atomically(folder / CALLS_NAME, calls_csv(_recorded_calls(record)).encode())
        paths.append(folder / CALLS_NAME)
    return paths


def merge(folders: Sequence[Path], output: Path, templates_folder: Path | None = None) -> list[Path]:
    """Write one report of several runs, such as the jobs of a CI matrix, with their captures; return the paths.

    Raises
    ------
    UsageError
        No folder is given, the output is one of them or cannot be written, one holds no report, or the templates
        cannot be used.
    """
    # By real paths: ``latest`` is a link to one of the reports.
    if output.resolve() in {folder.resolve() for folder in folders}:
        raise UsageError(f"{output} is one of the reports to merge; choose another folder for the result")
    records = [read_record(folder) for folder in folders]
    merged = merged_record(records)
    render_html(merged, templates_folder)  # what cannot be shown is found before anything is written
    check_folder(output)
    for folder, record in zip(folders, records, strict=True):
        calls = [call for scenario in record.scenarios for call in scenario.worst_calls]
        for path in {path for call in calls for path in (call.capture, call.audio) if path}:
            _copy_file(folder, path, output / CAPTURES_NAME / record.run.id)
        for path in {path for scenario in record.scenarios for path in scenario.evidence}:
            _copy_file(folder, path, output / EVIDENCE_NAME / record.run.id)
    paths = write_reports(merged, output, templates_folder=templates_folder)
    # Not from the records: they hold so many calls at most, the tables beside them all.
    write_atomically(output / CALLS_NAME, merged_calls_csv(_tables(folders, records, merged)).encode())
    return paths


def _tables(
    folders: Sequence[Path], records: Sequence[RunRecord], merged: RunRecord
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each folder's table of calls, made from its record where it is missing, and its scenarios' names now."""
    scenarios = iter(merged.scenarios)
    for folder, record in zip(folders, records, strict=True):
        names = {scenario.nodeid: next(scenarios).nodeid for scenario in record.scenarios}
        try:
            yield (folder / CALLS_NAME).read_text(encoding="utf-8"), names
        except FileNotFoundError:
            yield calls_csv(_recorded_calls(record)), names


def merged_record(records: Sequence[RunRecord]) -> RunRecord:
    """Return one record that holds the scenarios of all; what they share is taken from the first.

    Scenarios of the same name stay apart, each named with its run: runs that were not started together were not one
    load, and their percentiles together would describe neither.

    Raises
    ------
    UsageError
        No record is given.
    """
    if not records:
        raise UsageError("there is no report to merge")
    names = [scenario.nodeid for record in records for scenario in record.scenarios]
    first = records[0]
    scenarios = [
        _of_run(scenario, record.run.id, named=names.count(scenario.nodeid) > 1)
        for record in records
        for scenario in record.scenarios
    ]
    return RunRecord(
        run=replace(
            first.run,
            id="+".join(record.run.id for record in records),
            started=min(record.run.started for record in records),
            duration_s=sum(record.run.duration_s for record in records),
            command_line="\n".join(dict.fromkeys(record.run.command_line for record in records)),
        ),
        verdict=_worst([record.verdict for record in records]),
        scenarios=scenarios,
        environment=first.environment,
        simulated=any(record.simulated for record in records),
        comparison=compare_all(scenarios, target_name(first.run.target)),
        notes=[f"Run {record.run.id}: {_origin(record)}" for record in records]
        + [f"Run {record.run.id}: {note}" for record in records for note in record.notes],
        sections=[
            replace(section, title=f"{section.title} (run {record.run.id})")
            for record in records
            for section in record.sections
        ],
        extra=_extras(records),
    )


def _extras(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return what plug-ins have added, named with its run where several runs have it."""
    times = Counter(name for record in records for name in record.extra)
    return {
        f"{name} (run {record.run.id})" if times[name] > 1 else name: value
        for record in records
        for name, value in record.extra.items()
    }


def _render(record: RunRecord, folder: Path, templates_folder: Path | None) -> list[Path]:
    contents = {HTML_NAME: render_html(record, templates_folder), MARKDOWN_NAME: render_markdown(record)}
    for name, content in contents.items():
        write_atomically(folder / name, content.encode())
    return [folder / name for name in contents]


def _recorded_calls(record: RunRecord) -> list[tuple[str, CallRow]]:
    return [(scenario.nodeid, call) for scenario in record.scenarios for call in scenario.call_table]


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return max(verdicts, key=("pass", "inconclusive", "fail").index)


def _of_run(scenario: Scenario, run_id: str, *, named: bool) -> Scenario:
    """Return a scenario that points to its files where merging puts them, ``named`` with its run."""
    return replace(
        scenario,
        nodeid=f"{scenario.nodeid} (run {run_id})" if named else scenario.nodeid,
        worst_calls=[_moved(call, run_id) for call in scenario.worst_calls],
        evidence=[f"{EVIDENCE_NAME}/{run_id}/{_file_name(path)}" for path in scenario.evidence],
    )


def _moved(call: WorstCall, run_id: str) -> WorstCall:
    moved = {
        name: f"{CAPTURES_NAME}/{run_id}/{_file_name(path)}"
        for name, path in (("capture", call.capture), ("audio", call.audio))
        if path
    }
    return replace(call, **moved)


def _origin(record: RunRecord) -> str:
    run = record.run
    return f"{run.started}, {run.target.kind} {run.target.version} at {run.target.url}, from {run.host or 'one host'}"


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _copy_file(folder: Path, path: str, target: Path) -> None:
    """Copy a file of a report; a path that leads out of its folder is not followed, a file that is gone is left out."""
    source = (folder / path).resolve()
    if source.is_relative_to(folder.resolve()) and source.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / _file_name(path))
