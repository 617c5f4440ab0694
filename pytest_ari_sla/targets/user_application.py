"""The application under test, started for the run: waited for until it has subscribed, ended with the run."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pytest_ari_sla.ari_client.faults import error_of_blocking_failure
from pytest_ari_sla.ari_client.removal.sweep import FAILURES, Sweeper
from pytest_ari_sla.ari_client.tls import tls_context
from pytest_ari_sla.errors import ApplicationCrashed, UsageError
from pytest_ari_sla.settings import TRUST_SYSTEM
from pytest_ari_sla.targets.guarded_process import GuardedProcess
from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    from pytest_ari_sla.ari.endpoint import AriEndpoint
    from pytest_ari_sla.settings import TlsTrust

__all__ = ["UserApplication"]

_POLL_S = 0.05
_LINES_SHOWN = 15


class UserApplication:
    """A program of the user's that serves a Stasis application; a context manager.

    It ends by :meth:`stop`, when this interpreter exits, and when this process is killed.

    Parameters
    ----------
    command
        Its command line, as a shell would split it; it runs in the present folder.
    endpoint
        Where ARI is: given to it as ARI_URL (without user and password, without ``/ari``), ARI_USER and ARI_PASSWORD.
    start_timeout_s
        How long it may take until it has subscribed.
    trust
        How ARI's certificate is checked.

    Attributes
    ----------
    served
        Names of the applications that came up with it.

    Raises
    ------
    UsageError
        The command cannot be split.
    """

    def __init__(
        self, command: str, endpoint: AriEndpoint, start_timeout_s: float = 60.0, trust: TlsTrust = TRUST_SYSTEM
    ) -> None:
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--app {command!r} is not a command line: {error}") from error
        if not self._command:
            raise UsageError(f"--app {command!r} is not a command line: it is empty")
        self._endpoint = endpoint
        self._asterisk = Sweeper(endpoint, tls_context(trust))
        self._start_timeout_s = start_timeout_s
        self._process: GuardedProcess | None = None
        self.served: set[str] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id; 0 while it is not started."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it, and wait until it serves an application that nobody served before.

        Raises
        ------
        ApplicationCrashed
            It cannot be run, ends, or does not subscribe in time; the error holds what it printed last.
        """
        before = self._served_now()
        self._process = GuardedProcess("ari-sla-app-")
        try:
            self._run(self._process)
            self._wait_until_it_serves(self._process, before)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it (asked first, killed after 5 s); twice does no harm."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def ensure_alive(self) -> None:
        """Find out whether it still runs.

        Raises
        ------
        ApplicationCrashed
            It ended by itself.
        """
        if self._process is not None and not self._process.alive:
            raise self._failure(self._process, self._process.ending())

    def _run(self, process: GuardedProcess) -> None:
        endpoint = self._endpoint
        ari = {
            # Client libraries (ari-py, node-ari-client) append ``/ari`` themselves.
            "ARI_URL": endpoint.base_url.removesuffix("/ari"),
            "ARI_USER": endpoint.user,
            "ARI_PASSWORD": endpoint.password,
        }
        try:
            process.start(self._command, environment={**os.environ, **ari}, folder=Path.cwd())
        except OSError as error:
            problem = f"the application {shlex.join(self._command)!r} cannot be run: {error.strerror}"
            raise host_limit(error) or ApplicationCrashed(problem) from error

    def _wait_until_it_serves(self, process: GuardedProcess, before: set[str]) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        while not (served := self._served_now() - before):
            if not process.alive:
                raise self._failure(process, f"{process.ending()} before it had subscribed")
            if time.monotonic() > deadline_s:
                problem = f"did not subscribe to any events within {self._start_timeout_s:g} s"
                raise self._failure(process, problem + _of_before(before))
            time.sleep(_POLL_S)
        self.served = served

    def _served_now(self) -> set[str]:
        """Return the names of the Stasis applications that are served now."""
        asked = self._asterisk
        try:
            return set(asked.applications())
        except FAILURES as failure:
            raise error_of_blocking_failure(failure, asked.endpoint, asked.asked, asked.timeout_s) from failure

    def _failure(self, process: GuardedProcess, problem: str) -> ApplicationCrashed:
        lines = process.output_path.read_text(errors="replace").splitlines()
        return ApplicationCrashed(
            f"the application {shlex.join(self._command)!r} {problem}", "\n".join(lines[-_LINES_SHOWN:])
        )


def _of_before(before: set[str]) -> str:
    """Return what may be the reason where Asterisk listed applications already."""
    if not before:
        return ""
    # An application that died stays in the list as long as a bridge or channel of its is there.
    names = ", ".join(sorted(before))
    return f", or is one that Asterisk listed before ({names}): then remove what it has left there, or who serves it"
