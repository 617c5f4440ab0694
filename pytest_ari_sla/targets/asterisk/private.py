"""A real Asterisk of our own: configured, started, watched, and removed without a trace."""

from __future__ import annotations

import http.client
import json
import resource
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_ari_sla.errors import AsteriskCrashed, AsteriskStartFailed
from pytest_ari_sla.targets.asterisk.configuration import MODULES, AsteriskConfiguration, render_configuration
from pytest_ari_sla.targets.asterisk.installation import find_installation
from pytest_ari_sla.targets.guarded_process import GuardedProcess
from pytest_ari_sla.targets.started_target import StartedTarget
from pytest_ari_sla.targets.target import Target, local_address_towards
from pytest_ari_sla.udp.host_limits import host_limit

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["DEFAULT_RTP_PORTS", "PrivateAsterisk"]

# 5,000 channels; below the ports that we lease and below those that the kernel gives out by itself.
DEFAULT_RTP_PORTS = (10_000, 19_999)
_USER = "ari-sla"
# Asterisk's default is 100 (main/http.c): a fleet's connections and handshakes of WebSocket media may be more.
_SESSION_LIMIT = 4096
_POLL_S = 0.05
_PORT_ATTEMPTS = 3
_LINES_SHOWN = 15
_SOUNDS = "sounds"


class _PortTaken(Exception):
    """Another program listens at a port; the argument is the protocol that it was for."""


class PrivateAsterisk(StartedTarget):
    """An Asterisk process with a minimal configuration, for one run; a context manager.

    It listens on one address only, with a random password, and writes into one temporary folder only. That folder is
    removed and the process ended by :meth:`stop`, when this interpreter exits, and when this process is killed.

    Parameters
    ----------
    path
        An Asterisk binary, or the root folder of a file system that holds one.
    rtp_ports
        First and last port for RTP: two per channel. Asterisk crashes when they run out, so be generous.
    address
        The address that ARI listens on.
    ari_port
        ARI's port; by default a free one.
    sip_port
        SIP's port, UDP and TCP; by default a free one.
    workdir
        Folder in which its temporary folder is made; by default the system's place.
    command_prefix
        What to put before the command, for example ``["ip", "netns", "exec", "pbx"]``. It must become Asterisk by exec,
        as that one does, so that the process watched is Asterisk itself.
    extra_modules, without_modules
        Names of modules to load besides ours, and of those not to load.
    files
        More configuration files, by name; they replace ours of the same name.
    configuration_folder
        Likewise, as a folder; prompts in its folder ``sounds`` are found by their paths below that.
    start_timeout_s
        How long it may take until ARI answers.
    """

    name: ClassVar[str] = "private Asterisk"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rtp_ports: tuple[int, int] = DEFAULT_RTP_PORTS,
        address: str = "127.0.0.1",
        ari_port: int | None = None,
        sip_port: int | None = None,
        workdir: Path | None = None,
        command_prefix: Sequence[str] = (),
        extra_modules: Iterable[str] = (),
        without_modules: Iterable[str] = (),
        files: Mapping[str, str] | None = None,
        configuration_folder: Path | None = None,
        start_timeout_s: float = 30.0,
    ) -> None:
        super().__init__()
        self.rtp_ports = rtp_ports
        self.address = address
        self.session_limit = _SESSION_LIMIT
        self.user = _USER
        # URL-safe characters: a ``;`` would begin a comment in ari.conf.
        self.password = secrets.token_urlsafe(18)
        self.version = ""
        self._asked_ports = {"ARI": ari_port, "SIP": sip_port}
        self._port = ari_port or 0
        self.sip_port = sip_port or 0
        self._workdir = workdir
        self._prefix = tuple(command_prefix)
        refused = set(without_modules)
        self._modules = [name for name in dict.fromkeys([*MODULES, *extra_modules]) if name not in refused]
        self._files = dict(files or {})
        self._configuration_folder = configuration_folder
        self._start_timeout_s = start_timeout_s
        self._installation = find_installation(Path(path))
        self._last_log: list[str] = []

    @property
    def url(self) -> str:
        """Where ARI is; complete once it is started."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self._port}/ari"

    @property
    def media_host(self) -> str:
        """The local address that Asterisk sends RTP to: its own, unless it is in a network namespace."""
        return local_address_towards(self.address)

    @property
    def target(self) -> Target:
        """What a load needs to know about it, as plain values."""
        return Target(
            kind="private",
            url=self.url,
            user=self.user,
            password=self.password,
            media_host=self.media_host,
            version=self.version,
            session_limit=self.session_limit,
            rtp_ports=self.rtp_ports,
            sip_port=self.sip_port,
            pid=self.pid,
        )

    @property
    def log_path(self) -> Path:
        """Asterisk's log of notices, warnings and errors; gone after :meth:`stop`."""
        return self._running().folder / "log" / "messages.log"

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of the log, and of what the process printed; also after :meth:`stop`."""
        log = self._last_log if self._process is None else self._read_log()
        return "\n".join(log[-lines:])

    def start(self) -> None:
        """Start it and wait until ARI answers.

        Raises
        ------
        AsteriskStartFailed
            If it ends, or does not answer in time; the error holds the end of the log.
        """
        self._ensure_not_started()
        self.version = self._installation.version()
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._start_once()
            except _PortTaken as taken:
                self.stop()
                protocol = str(taken)
                # A port that was asked for stays taken; of free ones another may do.
                if self._asked_ports[protocol] or attempt == _PORT_ATTEMPTS - 1:
                    raise AsteriskStartFailed(self._taken(protocol), self.log_tail()) from None
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """End it (asked first, killed after 5 s) and remove its folder; twice does no harm."""
        if self._process is not None:
            # Before its folder goes: errors are often told after the end.
            self._last_log = self._read_log()
        super().stop()

    def cli(self, command: str, *, timeout_s: float = 10.0) -> str:
        """Run a command on Asterisk's own console (``asterisk -rx``) and return what it prints.

        Raises
        ------
        AsteriskCrashed
            If the process does not run any more, or its console does not answer.
        """
        self.ensure_alive()
        # The file names the run folder, and so the console's socket.
        call = [*self._installation.command, "-C", self._main_file(), "-rx", command]
        try:
            result = subprocess.run(call, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise AsteriskCrashed(f"Asterisk did not answer '{command}' in {timeout_s:g} s", self.log_tail()) from error
        if result.returncode != 0:
            # It may have died of the command: then its signal and its last words are what matters.
            self.ensure_alive()
            raise AsteriskCrashed(f"Asterisk's console did not take '{command}'", result.stdout + result.stderr)
        return result.stdout

    def _taken(self, protocol: str) -> str:
        port = self._port if protocol == "ARI" else self.sip_port
        return f"port {port} on {self.address}, where its {protocol} should listen, is taken by another program"

    def _crash(self, problem: str) -> AsteriskCrashed:
        return AsteriskCrashed(problem, self.log_tail(_LINES_SHOWN))

    def _start_once(self) -> None:
        self._port = self._asked_ports["ARI"] or _free_port()
        self.sip_port = self._asked_ports["SIP"] or _free_port(socket.SOCK_DGRAM)
        self._process = GuardedProcess("ari-sla-asterisk-", self._workdir)
        self._write_configuration(self._process.folder)
        try:
            # ``-f``: in the foreground, else it would fork away and we would watch, and end, the wrong process.
            self._process.start([*self._prefix, *self._installation.command, "-f", "-C", self._main_file()])
        except OSError as error:
            raise host_limit(error) or AsteriskStartFailed(f"cannot run {error.filename}: {error.strerror}") from error
        self._wait_until_ready(self._process)

    def _write_configuration(self, folder: Path) -> None:
        for name in ("etc", "var", "run", "log", "spool/recording", "spool/tmp"):
            (folder / name).mkdir(parents=True)
        modules_folder = self._installation.modules
        configuration = AsteriskConfiguration(
            work_folder=folder,
            modules_folder=modules_folder,
            data_folder=self._data_folder(folder),
            address=self.address,
            ari_port=self._port,
            sip_port=self.sip_port,
            user=self.user,
            password=self.password,
            rtp_ports=self.rtp_ports,
            session_limit=self.session_limit,
            # The hard limit: at 3 to 4 descriptors a channel the usual soft one of 1,024 ends near 250.
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            modules=[name for name in self._modules if (modules_folder / f"{name}.so").exists()],
            files=self._files,
        )
        for name, text in render_configuration(configuration).items():
            (folder / "etc" / name).write_text(text)
        if self._configuration_folder is not None:
            ignored = shutil.ignore_patterns(_SOUNDS)
            shutil.copytree(self._configuration_folder, folder / "etc", dirs_exist_ok=True, ignore=ignored)

    def _data_folder(self, folder: Path) -> Path:
        """Return the installation's data, or a folder that shows the same with the user's sounds among them."""
        installed = self._installation.data
        if self._configuration_folder is None or not (self._configuration_folder / _SOUNDS).is_dir():
            return installed
        data = folder / "data"
        data.mkdir()
        for entry in installed.iterdir():
            if entry.name != _SOUNDS:
                (data / entry.name).symlink_to(entry)
        # The user's come last: of two with one path theirs is heard.
        for source in (installed / _SOUNDS, self._configuration_folder / _SOUNDS):
            if source.is_dir():
                shutil.copytree(
                    source, data / _SOUNDS, dirs_exist_ok=True, copy_function=_link, ignore_dangling_symlinks=True
                )
        return data

    def _wait_until_ready(self, process: GuardedProcess) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        while not self._answers():
            self._check_ports()
            if not process.alive:
                raise AsteriskStartFailed(f"the private Asterisk {process.ending()} while starting", self.log_tail())
            if time.monotonic() > deadline_s:
                problem = f"the private Asterisk did not answer at {self.url} within {self._start_timeout_s:g} s"
                raise AsteriskStartFailed(problem, self.log_tail())
            time.sleep(_POLL_S)
        # ARI of older versions answers before all modules are there.
        self.cli("core waitfullybooted", timeout_s=self._start_timeout_s)
        # Once more: res_pjsip may have come to its port only after ARI had answered.
        self._check_ports()

    def _check_ports(self) -> None:
        """Find out whether ports were taken: Asterisk itself goes on without."""
        for line in self._read_log():
            if "Address already in use" in line:
                raise _PortTaken("SIP" if "pjsip" in line else "ARI")

    def _answers(self) -> bool:
        """Ask ARI who it is; ours is the only one that takes our password."""
        connection = http.client.HTTPConnection(self.address, self._port, timeout=2.0)
        try:
            connection.request("GET", "/ari/asterisk/info", headers={"Authorization": self.endpoint.authorization})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            if (limit := host_limit(error)) is not None:
                raise limit from error
            return False
        finally:
            connection.close()
        return response.status == http.client.OK and "system" in json.loads(body)

    def _read_log(self) -> list[str]:
        process = self._running()
        return _lines(process.folder / "log" / "messages.log") + _lines(process.output_path)

    def _main_file(self) -> str:
        return str(self._running().folder / "etc" / "asterisk.conf")


def _free_port(*besides: socket.SocketKind) -> int:
    """Return a TCP port that is free now, for other kinds too; bound a moment later, so a failure is tried again."""
    with ExitStack() as stack:
        port = 0
        for kind in (socket.SOCK_STREAM, *besides):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            probe.bind(("127.0.0.1", port))
            port = probe.getsockname()[1]
        return port


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def _link(source: str, target: str) -> None:
    """Let a file be found at another place too; what was there is replaced."""
    Path(target).unlink(missing_ok=True)
    Path(target).symlink_to(Path(source).resolve())
