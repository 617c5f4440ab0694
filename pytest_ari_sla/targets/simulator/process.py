"""The simulator in a process of its own, as a target."""

from __future__ import annotations

import http.client
import json
import secrets
import sys
import time
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.errors import SimulatorCrashed, SimulatorStartFailed, UsageError
from pytest_ari_sla.targets.guarded_process import GuardedProcess
from pytest_ari_sla.targets.simulator.faults import FAULTS_PATH, Faults
from pytest_ari_sla.targets.simulator.pbx.state import VERSION
from pytest_ari_sla.targets.started_target import StartedTarget
from pytest_ari_sla.targets.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["SimulatorProcess"]

_USER = "ari-sla"
_POLL_S = 0.02
_LINES_SHOWN = 15


class SimulatorProcess(StartedTarget):
    """A simulator for one run.

    It ends by :meth:`stop`, when this interpreter exits, and when this process is killed.

    Parameters
    ----------
    address
        The address that ARI listens on and RTP comes from.
    ari_port
        ARI's port; by default a free one.
    rtp_ports
        First and last port for RTP.
    faults
        What is to go wrong from the beginning.
    start_timeout_s
        How long it may take until ARI answers.

    Attributes
    ----------
    user, password
        ARI's credentials.
    version
        What it says it is.
    """

    name: ClassVar[str] = "simulator"

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        ari_port: int = 0,
        rtp_ports: tuple[int, int] = (30_000, 39_999),
        faults: Mapping[str, float] | None = None,
        start_timeout_s: float = 30.0,
    ) -> None:
        super().__init__()
        self.address = address
        self.media_host = address
        self.rtp_ports = rtp_ports
        self.user = _USER
        self.password = secrets.token_urlsafe(18)
        self.version = VERSION
        self._port = ari_port
        self._faults = Faults().with_values(faults or {})
        self._start_timeout_s = start_timeout_s

    @property
    def url(self) -> str:
        """Where ARI is; complete once it is started."""
        return f"http://{self.address}:{self._port}/ari"

    @property
    def target(self) -> Target:
        """What a load needs to know about it, as plain values."""
        return Target(
            kind="simulator",
            url=self.url,
            user=self.user,
            password=self.password,
            media_host=self.media_host,
            version=self.version,
            rtp_ports=self.rtp_ports,
            pid=self.pid,
        )

    def start(self) -> None:
        """Start it and wait until ARI answers.

        Raises
        ------
        SimulatorStartFailed
            If it ends, or does not answer in time; the error holds what it printed.
        """
        self._ensure_not_started()
        self._process = GuardedProcess("ari-sla-simulator-")
        try:
            self._process.start(self._command(self._process.folder))
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def set_faults(self, **faults: float) -> None:
        """Let things go wrong, or right again, from now on; see ``Faults`` for what there is."""
        Faults().with_values(faults)  # a mistake in a name is told here, not by the server
        status, body = self._request("PUT", FAULTS_PATH, json.dumps(faults))
        if status != http.client.OK:
            raise UsageError(f"the simulator refused the faults: {body}")

    def clear_faults(self) -> None:
        """Let nothing go wrong from now on."""
        self._request("DELETE", FAULTS_PATH)

    def _command(self, folder: Path) -> list[str]:
        low, high = self.rtp_ports
        password_file = folder / "password"  # a command line can be read by everybody, this folder cannot
        password_file.write_text(self.password)
        command = [sys.executable, "-m", "pytest_ari_sla.targets.simulator"]
        command += ["--host", self.address, "--port", str(self._port), "--user", self.user]
        command += ["--password-file", str(password_file), "--rtp-ports", f"{low}-{high}"]
        for name, value in self._faults.describe().items():
            if value != getattr(Faults, name):
                command += ["--fault", f"{name}={value}"]
        return command

    def _crash(self, problem: str) -> SimulatorCrashed:
        printed = self._running().output_path.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
        return SimulatorCrashed("\n".join([problem, *printed]))

    def _wait_until_ready(self, process: GuardedProcess) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        while not self._answers(process):
            output = process.output_path.read_text(errors="replace")
            if not process.alive:
                raise SimulatorStartFailed(f"the simulator {process.ending()} while starting", output)
            if time.monotonic() > deadline_s:
                raise SimulatorStartFailed(f"the simulator did not answer within {self._start_timeout_s:g} s", output)
            time.sleep(_POLL_S)

    def _answers(self, process: GuardedProcess) -> bool:
        """Whether ARI answers at the port that the process says it listens on."""
        for line in process.output_path.read_text(errors="replace").splitlines():
            if line.startswith("ARI:"):
                # Where port 0 was asked for, only the process itself knows which one it got.
                self._port = int(line.rpartition(":")[2].partition("/")[0])
                return self._request("GET", "/ari/asterisk/ping")[0] == http.client.OK
        return False

    def _request(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, self._port, timeout=5.0)
        try:
            connection.request(method, path, body, {"Authorization": self.endpoint.authorization})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()
