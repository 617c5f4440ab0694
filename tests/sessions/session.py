"""A small project of scenarios, pytest sessions in it, and what comes out of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_ari_sla.targets.started_target import StartedTarget

__all__ = ["Finished", "Running", "Session"]

_INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
_OUTCOME = re.compile(r"^\[gw\d+\] \[ *\d+%\] (PASSED|FAILED|SKIPPED|ERROR) (\S+::.*?) *$", re.MULTILINE)
_TIMEOUT_S = 110.0


@dataclass(frozen=True)
class Finished:
    """A session that is over.

    Attributes
    ----------
    output
        Everything that it printed.
    exit_code
        Of pytest.
    report
        The run record; None where none was written.
    """

    output: str
    exit_code: int
    report: dict[str, Any] | None

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Outcome and node id of each finished test, in order of finishing; needs ``-v`` and xdist."""
        return [(match[1], match[2]) for match in _OUTCOME.finditer(self.output)]

    def count(self, outcome: str) -> int:
        """Return the number in pytest's last line: ``3 passed``."""
        found = re.search(rf"(\d+) {outcome}", self.output.strip().splitlines()[-1])
        return int(found[1]) if found else 0

    @property
    def scenarios(self) -> dict[str, dict[str, Any]]:
        """The scenarios of the report, by the name of their test."""
        assert self.report is not None, self.output
        return {scenario["nodeid"].partition("::")[2]: scenario for scenario in self.report["scenarios"]}


class Running:
    """A session that runs in a process group of its own, like one in a terminal."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._output = (folder / "output.txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, name: str, timeout_s: float = 60.0) -> str:
        """Wait until a test has written a file of that name; return what is in it."""
        path = self._folder / name
        self.wait_until(lambda: path.exists() and bool(path.read_text()), timeout_s)
        return path.read_text()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until something has come true, while the session runs."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, self.finish().output
            assert time.monotonic() < deadline_s, f"what was waited for did not come true within {timeout_s} s"
            time.sleep(0.05)

    def signal(self, number: signal.Signals, *, everybody: bool) -> None:
        """Send a signal to pytest alone, or to all processes of its group, as Ctrl-C does."""
        if everybody:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def finish(self, timeout_s: float = _TIMEOUT_S) -> Finished:
        """Wait for the end and read what came out."""
        try:
            exit_code = self.process.wait(timeout_s)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self._output.seek(0)
            output = self._output.read()
            self._output.close()
        report = self._folder / "report" / "report.json"
        return Finished(output, exit_code, json.loads(report.read_text()) if report.exists() else None)


class Session:
    """A folder with scenarios.

    Parameters
    ----------
    folder
        Where.
    asterisk
        The target; None: a simulator of its own.
    """

    def __init__(self, folder: Path, asterisk: StartedTarget | None = None) -> None:
        self.folder = folder
        self.asterisk = asterisk
        (folder / "pytest.ini").write_text(_INI)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.folder / name
        path.write_text(dedent(text))
        # Python takes bytecode for that of a file of the same size and second.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def start(self, *arguments: str) -> Running:
        """Start pytest."""
        # Not what xdist tells the worker that this test may run in: the session has workers of its own, or none.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
        environment = {**inherited, "PYTHONUNBUFFERED": "1"}
        # What is tested here is who meets whom, not how punctual a busy machine is.
        options = ["--sla-report", "report", "--sla-pacing-limit", "1m", "-v"]
        # What is installed for our own tests: Hypothesis alone takes longer to import than all of pytest.
        options += [option for name in ("hypothesispytest", "pytest_cov") for option in ("-p", f"no:{name}")]
        command = [sys.executable, "-m", "pytest", *options, *arguments]
        if self.asterisk is not None:
            endpoint = self.asterisk.endpoint
            environment["ARI_PASSWORD"] = endpoint.password
            command += ["--ari-url", endpoint.base_url, "--ari-user", endpoint.user]
        return Running(command, self.folder, environment)

    def run(self, *arguments: str) -> Finished:
        """Run pytest to its end."""
        return self.start(*arguments).finish()

    def channels_left(self) -> list[str]:
        """Return the channels that the real Asterisk still has."""
        assert self.asterisk is not None
        endpoint = self.asterisk.endpoint
        request = urllib.request.Request(f"{endpoint.base_url}/channels")
        request.add_header("Authorization", endpoint.authorization)
        with urllib.request.urlopen(request, timeout=5) as response:
            return [channel["id"] for channel in json.load(response)]
