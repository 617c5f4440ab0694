"""Starts an echo server as a process of its own, and stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pytest_ari_sla.children.child import STOP_GRACE_S
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.metrics.snapshot import Snapshot
from pytest_ari_sla.peers.control import TakeSnapshot
from pytest_ari_sla.peers.echo.impairment import Impairment
from pytest_ari_sla.peers.media_process import MediaProcess

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_ari_sla.arguments import Address

__all__ = ["EchoServerProcess"]

_LOG_GRACE_S = 10.0  # a full log is 172 MB: 4 million records of 43 bytes


class EchoServerProcess:
    """An echo server on this machine.

    Parameters
    ----------
    host, port
        Where it listens; port 0: a free one.
    impairment
        What it does to packets; None: nothing.
    log
        Where it writes what it did to each packet, when it is stopped; see
        :func:`~pytest_ari_sla.peers.echo.impairment_log.load_log`.
    realtime
        Whether it may run under SCHED_FIFO.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        impairment: Impairment | None = None,
        log: Path | None = None,
        *,
        realtime: bool = True,
    ) -> None:
        arguments = ["--host", host, "--port", str(port), *_options(impairment or Impairment())]
        arguments += ["--realtime", "auto" if realtime else "off"]
        if log:
            arguments += ["--log", str(log)]
        self._log = log
        self._process = MediaProcess(
            "pytest_ari_sla.peers.echo.echo_server",
            arguments,
            "the echo server",
            stop_grace_s=_LOG_GRACE_S if log else STOP_GRACE_S,
        )
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """Where it listens.

        Raises
        ------
        MediaLoopFailed
            When it was not started.
        """
        if self._address is None:
            message = "the echo server was not started"
            raise MediaLoopFailed(message)
        return self._address

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._process.pid

    def start(self) -> Address:
        """Start it; return where it listens.

        Raises
        ------
        MediaLoopFailed
            When it cannot listen there, or does not start.
        """
        host, port = self._process.launch()
        self._address = (host, port)
        return self._address

    def snapshot(self) -> Snapshot:
        """Return its figures so far: :data:`~pytest_ari_sla.peers.echo.echo_server.ECHO_METRICS`.

        Raises
        ------
        MediaLoopFailed
            When it does not run any more.
        """
        return Snapshot.from_plain(self._process.request(TakeSnapshot()))

    def ensure_alive(self) -> None:
        """Raise MediaLoopFailed if it ended by itself, with the signal or exit code."""
        self._process.ensure_alive()

    def stop(self) -> None:
        """End it, within 100 ms; with a log, once that is written.

        Raises
        ------
        MediaLoopFailed
            When the log was not written.
        """
        exit_code = self._process.stop()
        if self._log and exit_code:
            message = f"the echo server ended with exit code {exit_code} before it had written {self._log}"
            raise MediaLoopFailed(message)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _options(impairment: Impairment) -> list[str]:
    """Return the command line of an impairment; exact, since floats are written so that they read back equal."""
    options = {
        "--loss": impairment.loss,
        "--delay": f"{impairment.delay_ns}ns",
        "--jitter": f"{impairment.jitter_ns}ns",
        "--duplicate": impairment.duplicate,
        "--reorder": impairment.reorder,
        "--seed": impairment.seed,
        "--packet-time": f"{impairment.packet_ns}ns",
    }
    if impairment.loss_burst is not None:
        options["--loss-burst"] = impairment.loss_burst
    if impairment.loss_every is not None:
        options["--loss-every"] = impairment.loss_every
    # One word each: a seed may be negative.
    return [f"{name}={value!s}" for name, value in options.items()]
