"""The Asterisk process on this host: found by its ARI port, read by psutil, asked by its own control socket."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from pytest_ari_sla.targets.target import is_on_this_machine
from pytest_ari_sla.watch.holdings import server_at

__all__ = ["AsteriskProcess", "Vitals", "parse_channels", "parse_queued_tasks"]

CONTROL_SOCKET = "asterisk.ctl"
CLI_TIMEOUT_S = 0.5  # readings are a second apart, and take two commands each


@dataclass(frozen=True)
class Vitals:
    """One reading.

    Attributes
    ----------
    cpu_s
        CPU time that the process has used since it started.
    rss_bytes
        Memory in RAM.
    open_files, threads
        File descriptors and threads.
    channels
        Active channels; None where Asterisk did not answer on its control socket.
    queued_tasks
        Tasks that wait in all taskprocessors together; None likewise.
    """

    cpu_s: float
    rss_bytes: int
    open_files: int
    threads: int
    channels: int | None
    queued_tasks: int | None


class AsteriskProcess:
    """A running Asterisk.

    Parameters
    ----------
    process
        The process.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._control = _control_socket(process)

    @classmethod
    def listening_at(cls, host: str, port: int) -> Self | None:
        """Find the Asterisk that serves ARI at a port of this host; None if it runs elsewhere or is hidden from us.

        Hidden is also one in a container: at the port that it publishes, another program (docker-proxy) listens.
        """
        # By its port and not by its name: several Asterisks may run here.
        pid = server_at(port) if is_on_this_machine(host) else None
        try:
            return None if pid is None else cls(psutil.Process(pid))
        except psutil.NoSuchProcess:
            return None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def read(self) -> Vitals | None:
        """Take a reading; None when the process is gone."""
        try:
            # /proc is read once for all of them, not once for each.
            with self._process.oneshot():
                times = self._process.cpu_times()
                rss_bytes = self._process.memory_info().rss
                threads = self._process.num_threads()
            open_files = self._process.num_fds()
        except psutil.Error:
            return None
        channels = parse_channels(self.command("core show channels count"))
        queued = parse_queued_tasks(self.command("core show taskprocessors"))
        return Vitals(times.user + times.system, rss_bytes, open_files, threads, channels, queued)

    def command(self, command: str) -> str:
        """Run a command on Asterisk's command line, as ``asterisk -rx`` does; nothing where that is not possible.

        The socket greets with a line, takes one command that ends with a zero byte, and closes after its answer.
        """
        if self._control is None:
            return ""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                # A stalled Asterisk accepts, and never answers.
                connection.settimeout(CLI_TIMEOUT_S)
                connection.connect(str(self._control))
                connection.sendall(f"cli quit after {command}\0".encode())
                with connection.makefile("rb") as answer:
                    # Until it closes: an answer has no length and no end of its own.
                    return answer.read().decode(errors="replace")
        except OSError:
            return ""


def _control_socket(process: psutil.Process) -> Path | None:
    """Return where a process listens for ``asterisk -r``, as we see it; it may live under another root."""
    try:
        paths = {str(connection.laddr) for connection in process.net_connections("unix")}
    except psutil.Error:
        return None
    path = next((path for path in sorted(paths) if path.endswith("/" + CONTROL_SOCKET)), None)
    if path is None:
        return None
    # In a container, the path that the process names is one of its own file system.
    return Path(f"/proc/{process.pid}/root") / path.lstrip("/")


def parse_channels(answer: str) -> int | None:
    """Read ``core show channels count``."""
    match = re.search(r"^(\d+) active channels?\b", answer, re.MULTILINE)
    return int(match[1]) if match else None


def parse_queued_tasks(answer: str) -> int | None:
    """Add up the column "In Queue" of ``core show taskprocessors``."""
    rows = re.findall(r"^\S+ +(\d+) +(\d+) +(\d+) +\d+ +\d+", answer, re.MULTILINE)
    return sum(int(in_queue) for _, in_queue, _ in rows) if rows else None
