"""From judged loads to files, to what CI systems show, and to what the terminal says at the end."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_ari_sla import __version__
from pytest_ari_sla.judging.judged_load import JudgedLoad
from pytest_ari_sla.reporting.ci.annotations import announce
from pytest_ari_sla.reporting.formats.terminal_summary import sections_text, summary_text
from pytest_ari_sla.reporting.record.record_file import RECORD_NAME, write_record
from pytest_ari_sla.reporting.record.run_record import ReportSection, Run, RunRecord, Target
from pytest_ari_sla.reporting.run_comparison import compare_all, target_name
from pytest_ari_sla.reporting.wording.text import clean
from pytest_ari_sla.session.machine.environment import describe_environment, reproducing_command
from pytest_ari_sla.session.plugins.hook_calls import HookCalls
from pytest_ari_sla.session.reports.places import REPORTS
from pytest_ari_sla.sla.verdict import Verdict, worst_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from pytest_ari_sla.hookspecs.codec import Codec
    from pytest_ari_sla.judging.judged_load import JudgedLoad
    from pytest_ari_sla.judging.judged_tests import JudgedTests
    from pytest_ari_sla.reporting.record.run_record import CallRow
    from pytest_ari_sla.session.reports.run_facts import RunFacts

__all__ = ["SessionReport", "build_record", "report_folder_of", "unreported"]


class SessionReport:
    """The report of a session: first what the terminal is to show, then the files.

    The verdict needs no file and nobody else's code, so it is shown before either: a disk that hangs cannot keep it.

    Parameters
    ----------
    config, facts
        Of the session.
    judged
        The loads, and their verdicts.
    """

    def __init__(self, config: pytest.Config, facts: RunFacts, judged: JudgedTests) -> None:
        self._config = config
        self._settings = facts.settings
        self._loads = judged.loads()
        self._folder = report_folder_of(facts)
        self._run = build_record(facts, self._loads, config.invocation_params.args)
        self._run.notes += judged.notes()
        self._shown: frozenset[str] = frozenset()
        self.is_written = False

    def summary(self) -> str:
        """Return what the terminal is to show before :meth:`write`."""
        self._shown = frozenset(self._run.notes)
        terminal = self._config.get_terminal_writer()
        return summary_text(self._run, width=terminal.fullwidth, colour=terminal.hasmarkup)

    def _added(self) -> str:
        """Return what plug-ins have added since then; nothing where there is no terminal (``-p no:terminal``)."""
        if not self._config.pluginmanager.hasplugin("terminalreporter"):
            return ""
        terminal = self._config.get_terminal_writer()
        return sections_text(self._run, width=terminal.fullwidth, colour=terminal.hasmarkup)

    def _write_audio(self, hooks: HookCalls) -> None:
        """Write what the worst calls sounded like, before anything points to it."""
        from pytest_ari_sla.session.reports.audio import write_audio

        codecs: dict[str, Codec] = {}
        hooks.gather("register_codecs", lambda answer: codecs.update((codec.name, codec) for codec in answer))
        for load in self._loads:
            self._run.notes += write_audio(load, codecs, self._folder)

    def write(self) -> str:
        """Let plug-ins amend the record, write all files, tell the CI system; return what is to be shown after that."""
        self.is_written = True  # first: what fails below is not to be tried again
        run, lines = self._run, {load.scenario.nodeid: load.line for load in self._loads if load.line is not None}
        hooks = HookCalls(self._config.hook)
        hooks.tell("update_run_record", record=run)
        hooks.gather("register_report_sections", lambda answer: run.sections.extend(_sections(answer)), record=run)
        run.notes += hooks.remarks()
        _attempt(run, "the calls' audio", lambda: self._write_audio(hooks))
        page = _write_reports(run, self._loads, self._folder, self._settings.templates)
        told: list[str] = []
        _attempt(run, "what the CI system shows", lambda: told.extend(announce(run, self._folder, os.environ, lines)))
        fresh = [f"Note: {note}" for note in run.notes if note not in self._shown]
        where = [f"Report: {page}"] if page else []
        return self._added() + "".join(f"{line}\n" for line in [*map(clean, [*fresh, *where]), *told])


def unreported(judged: JudgedTests, error: Exception) -> str:
    """Return what the terminal is to show of a session whose report could not even be begun: its verdict."""
    reason = str(error) or type(error).__name__
    return f"SLA verdict: {_verdict_of(judged.loads()).upper()}\nNote: There is no report: {clean(reason)}\n"


def _sections(answer: object) -> list[ReportSection]:
    """Check what a plug-in adds to the reports."""
    if not isinstance(answer, list | tuple) or not all(isinstance(part, ReportSection) for part in answer):
        message = f"it must return a list of ReportSections, not {answer!r}"
        raise TypeError(message)
    return [part.checked() for part in answer]


def build_record(facts: RunFacts, loads: Sequence[JudgedLoad], arguments: Sequence[object]) -> RunRecord:
    """Return the record of a session."""
    target = facts.target()
    tested = Target(kind=target.kind, version=target.version, url=target.url)
    scenarios = [load.scenario for load in loads]
    return RunRecord(
        run=Run(
            id=facts.run_id,
            started=facts.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            duration_s=facts.seconds_since_start(),
            target=tested,
            host=socket.gethostname(),
            shards=facts.shards,
            command_line=reproducing_command(arguments, facts.settings.ari_password),
            tool_version=__version__,
        ),
        verdict=_verdict_of(loads),
        scenarios=scenarios,
        environment=describe_environment(),
        simulated=target.kind == "simulator",
        comparison=compare_all(scenarios, target_name(tested)),
    )


def _verdict_of(loads: Sequence[JudgedLoad]) -> Literal["pass", "fail", "inconclusive"]:
    return worst_of(Verdict(load.scenario.verdict) for load in loads if load.scenario.verdict != "xfail").value


def report_folder_of(facts: RunFacts) -> Path:
    """Return where the reports of a session go."""
    chosen = facts.settings.report_folder
    return Path(chosen) if chosen else REPORTS / f"{facts.started:%Y%m%dT%H%M%SZ}-{facts.run_id}"


def _write_reports(run: RunRecord, loads: Sequence[JudgedLoad], folder: Path, templates: str | None) -> Path | None:
    """Write all files of a run; return the one to look at first, None where none could be written.

    The record comes first and needs nothing but the standard library of this tool: what is missing or wrong later on
    (a rendering library, a team's template, a full disk) is said in the report's notes and costs neither what else can
    be written nor the verdict.
    """
    written = [folder / RECORD_NAME] if _attempt(run, RECORD_NAME, lambda: write_record(run, folder)) else []
    _attempt(run, "captures", lambda: _write_captures(loads, folder))
    _attempt(run, "evidence", lambda: _write_evidence(loads, folder))
    try:
        from pytest_ari_sla.reporting import report_folder
    except ImportError as error:
        run.notes.append(f"The reports are not complete: {error}")
    else:
        calls, own = _all_calls(loads), Path(templates) if templates else None
        formats = report_folder.writers(run, folder, calls=calls, templates_folder=own)
        del formats[RECORD_NAME]  # written already
        names = [name for name, write in formats.items() if _attempt(run, name, write)]
        written[:0] = [folder / report_folder.HTML_NAME] if report_folder.HTML_NAME in names else []
    if folder.parent == REPORTS:  # --sla-report names a folder that is known
        _attempt(run, "the link reports/latest", lambda: _point_latest_to(folder))
    if run.notes and written:  # notes have come since
        _attempt(run, RECORD_NAME, lambda: write_record(run, folder))
    return written[0] if written else None


def _attempt(run: RunRecord, what: str, write: Callable[[], object]) -> bool:
    """Write one part of a report; where that fails, for whatever reason, say so in the notes and return False."""
    try:
        write()
    except Exception as error:  # a team's template or hook may raise anything: it must not cost the verdict
        reason = str(error) or type(error).__name__
        run.notes.append(f"The reports are not complete: {reason} ({what})")
        return False
    return True


def _write_captures(loads: Sequence[JudgedLoad], folder: Path) -> None:
    captures = [capture for load in loads for capture in load.captures if capture.path]
    if not captures:
        return
    from pytest_ari_sla.capture.pcapng import write_capture

    for capture in captures:
        streams = [packed.unpacked() for packed in capture.streams if packed.is_rtp]
        write_capture(folder / capture.path, streams, capture.comment)


def _write_evidence(loads: Sequence[JudgedLoad], folder: Path) -> None:
    for file in (file for load in loads for file in load.texts):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{clean(line)}\n" for line in file.text.splitlines()), encoding="utf-8")


def _all_calls(loads: Sequence[JudgedLoad]) -> list[tuple[str, CallRow]]:
    return [(load.scenario.nodeid, row) for load in loads for row in load.calls or load.scenario.call_table]


def _point_latest_to(folder: Path) -> None:
    """Let the link point to a report; what is there and no link is somebody's own (a copy of CI's, say), and stays."""
    link = folder.parent / "latest"
    if link.exists() and not link.is_symlink():
        message = f"{link} is not a link, and was left as it is"
        raise FileExistsError(message)
    fresh = folder.parent / f".latest-{folder.name}"
    fresh.symlink_to(folder.name)  # relative: it leads there from a copy of the folder as well
    fresh.replace(link)  # at once (rename(2)): no moment without a link
