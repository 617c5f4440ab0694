"""What CI systems show beside the code: one annotation for each scenario that did not pass."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from pytest_ari_sla.reporting.findings import findings
from pytest_ari_sla.reporting.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_ari_sla.reporting.run_record import RunRecord, Scenario

__all__ = [
    "append_job_summary",
    "github_annotations",
    "gitlab_code_quality",
    "job_summary_path",
    "wants_github_annotations",
]

_LEVELS: Final = {"fail": "error", "inconclusive": "warning"}
_SEVERITIES: Final = {"fail": "critical", "inconclusive": "minor"}
_LONGEST: Final = 3_000


def wants_github_annotations(environment: Mapping[str, str]) -> bool:
    """Tell whether this runs under GitHub Actions (or Gitea's and Forgejo's, which say the same)."""
    return environment.get("GITHUB_ACTIONS") == "true"


def job_summary_path(environment: Mapping[str, str]) -> str | None:
    """Return the file that Markdown for the job's summary page is appended to; None where there is none."""
    return environment.get("GITHUB_STEP_SUMMARY") or None


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


def append_job_summary(path: Path, markdown: str) -> None:
    """Append to a job's summary page, below what other steps wrote."""
    with path.open("a", encoding="utf-8") as file:
        file.write(markdown)


def _issue(scenario: Scenario, line: int) -> dict[str, Any] | None:
    if scenario.verdict not in _SEVERITIES:
        return None
    return {
        "description": _message(scenario),
        "check_name": "pytest-ari-sla",
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
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
