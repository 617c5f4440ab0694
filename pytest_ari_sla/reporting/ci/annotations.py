"""What CI systems show beside the code: one annotation for each scenario that did not pass."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_ari_sla.reporting.findings import findings
from pytest_ari_sla.reporting.formats.markdown import render_markdown
from pytest_ari_sla.reporting.record.record_file import write_atomically
from pytest_ari_sla.reporting.wording.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_ari_sla.reporting.record.run_record import RunRecord, Scenario

__all__ = ["CODE_QUALITY_NAME", "announce", "github_annotations", "gitlab_code_quality"]

CODE_QUALITY_NAME: Final = "gl-code-quality-report.json"
_LEVELS: Final = {"fail": "error", "inconclusive": "warning"}
_SEVERITIES: Final = {"fail": "critical", "inconclusive": "minor"}
_LONGEST: Final = 3_000


def announce(
    record: RunRecord, folder: Path, environment: Mapping[str, str], lines: Mapping[str, int] | None = None
) -> list[str]:
    """Tell the CI system that this runs under, if any, what came of a run.

    GitHub (and Gitea and Forgejo, which say the same of themselves) gets the Markdown summary on the job's page, GitLab
    a code quality report in the report's folder.

    Parameters
    ----------
    record
        The run.
    folder
        Where its reports are.
    environment
        The process's environment variables.
    lines
        Line numbers of the tests, from 1, by nodeid.

    Returns
    -------
    Lines to be printed as they are, for annotations beside the code.
    """
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        # Other steps of the job may have written there before.
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render_markdown(record))
    if environment.get("GITLAB_CI") == "true":
        write_atomically(folder / CODE_QUALITY_NAME, gitlab_code_quality(record, lines).encode())
    return github_annotations(record, lines) if environment.get("GITHUB_ACTIONS") == "true" else []


def github_annotations(record: RunRecord, lines: Mapping[str, int] | None = None) -> list[str]:
    """Return one workflow command for each scenario that did not pass, to be printed at the start of a line.

    Parameters
    ----------
    record
        The run.
    lines
        Line numbers of the tests, from 1, by nodeid.
    """
    return [
        f"::{_LEVELS[scenario.verdict]} {_properties(scenario, (lines or {}).get(scenario.nodeid))}"
        f"::{_data(_message(scenario))}"
        for scenario in record.scenarios
        if scenario.verdict in _LEVELS
    ]


def gitlab_code_quality(record: RunRecord, lines: Mapping[str, int] | None = None) -> str:
    """Return the scenarios that did not pass as GitLab's code quality report (JSON); ``lines`` as above."""
    issues = [_issue(scenario, (lines or {}).get(scenario.nodeid, 1)) for scenario in record.scenarios]
    return json.dumps([issue for issue in issues if issue], indent=1) + "\n"


def _issue(scenario: Scenario, line: int) -> dict[str, Any] | None:
    if scenario.verdict not in _SEVERITIES:
        return None
    return {
        "description": _message(scenario),
        "check_name": "pytest-ari-sla",
        # By it GitLab knows the same fault again in the next pipeline: no figure may be part of it.
        "fingerprint": hashlib.sha256(f"{scenario.nodeid}\n{scenario.verdict}".encode()).hexdigest(),
        "severity": _SEVERITIES[scenario.verdict],
        "location": {"path": clean(_file(scenario)), "lines": {"begin": line}},
    }


def _message(scenario: Scenario) -> str:
    """Return the reason and where to look next, as lines of cleaned text."""
    lines = [scenario.reason, *(f"- {hint}" for hint in findings(scenario))]
    return "\n".join(clean(line) for line in lines if line)[:_LONGEST]


def _file(scenario: Scenario) -> str:
    return scenario.nodeid.partition("::")[0]


def _properties(scenario: Scenario, line: int | None) -> str:
    properties = {
        "file": _file(scenario),
        "line": str(line) if line else "",
        "title": f"SLA {scenario.verdict}: {scenario.nodeid.rpartition('::')[2]}",
    }
    return ",".join(f"{name}={_property(clean(value))}" for name, value in properties.items() if value)


def _data(text: str) -> str:
    """Escape the text of a workflow command."""
    # The percent sign first: all other escapes hold one.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    # A comma ends a property, and two colons end them all.
    return _data(text).replace(":", "%3A").replace(",", "%2C")
