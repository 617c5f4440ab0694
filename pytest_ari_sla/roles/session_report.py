"""From judged scenarios to files and to what the terminal says at the end."""

from __future__ import annotations

import os
import platform
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ari_sla import __version__
from pytest_ari_sla.ari.endpoint import redact
from pytest_ari_sla.reporting import run_record as record
from pytest_ari_sla.reporting.record_file import write_record
from pytest_ari_sla.reporting.terminal_summary import summary_text
from pytest_ari_sla.sla.verdict import Verdict, worst_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_ari_sla.roles.controller import Controller
    from pytest_ari_sla.roles.standalone import Standalone

__all__ = ["report_session"]

_PACKAGES = ("pytest", "pytest-xdist", "aiohttp", "numpy", "cffi", "msgspec")
_REPORTS = Path("reports")


def report_session(config: pytest.Config, role: Standalone | Controller, scenarios: list[dict[str, Any]]) -> str:
    """Write all reports of a session; return what the terminal is to show."""
    run = _build_record(
        role, msgspec.convert(scenarios, list[record.Scenario]), ["pytest", *config.invocation_params.args]
    )
    folder = _write_reports(run, role)
    terminal = config.get_terminal_writer()
    return summary_text(run, width=terminal.fullwidth, colour=terminal.hasmarkup, report=str(folder))


def _build_record(
    role: Standalone | Controller, scenarios: list[record.Scenario], command_line: Sequence[object]
) -> record.RunRecord:
    """Return the record of a session."""
    target = role.target()
    return record.RunRecord(
        run=record.Run(
            id=role.run_id,
            started=role.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            duration_s=role.seconds_since_start(),
            target=record.Target(kind=target.kind, version=target.version, url=target.url),
            host=socket.gethostname(),
            shards=role.shards,
            command_line=_without_secrets(command_line, role.settings.ari_password),
            tool_version=__version__,
        ),
        verdict=worst_of(Verdict(scenario.verdict) for scenario in scenarios).value,
        scenarios=scenarios,
        environment=_environment(),
        simulated=target.kind == "simulator",
    )


def _without_secrets(command_line: Sequence[object], password: str | None) -> str:
    """Return the command line with user and password taken out of every URL."""
    words = []
    for word in map(str, command_line):
        name, equals, value = word.partition("=")
        safe = f"{name}={redact(value)}" if equals and "://" in value else redact(word) if "://" in word else word
        words.append(safe.replace(password, "…") if password else safe)
    return " ".join(words)


def _environment() -> record.Environment:
    return record.Environment(
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()}",
        cpu=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        packages={name: version(name) for name in _PACKAGES},
    )


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _write_reports(run: record.RunRecord, role: Standalone | Controller) -> Path:
    """Write all reports of a run and return their folder; ``reports/latest`` points to it."""
    chosen = role.settings.report_folder
    folder = Path(chosen) if chosen else _REPORTS / f"{role.started:%Y%m%dT%H%M%SZ}-{role.run_id}"
    write_record(run, folder)
    if chosen is None:
        _point_latest_to(folder)
    return folder


def _point_latest_to(folder: Path) -> None:
    link = folder.parent / "latest"
    fresh = folder.parent / f".latest-{folder.name}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
