"""Starts a media process of ours, and makes sure that it ends: when it is told to, and when its parent dies."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import msgspec

from pytest_ari_sla.children.ending import ending_of
from pytest_ari_sla.errors import MediaLoopFailed
from pytest_ari_sla.far_end.control import decode_reply, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_ari_sla.far_end.control import Request

__all__ = ["CONTROL_OPTION", "MediaProcess", "inherited_control"]

CONTROL_OPTION = "--control-fd"
"""Option that tells a media process the number of its inherited control socket."""

START_TIMEOUT_S = 15.0
REPLY_TIMEOUT_S = 5.0
STOP_GRACE_S = 0.08
"""How long a process may take to end before it is killed: with the kill, stopping stays under 100 ms."""


class MediaProcess:
    """A Python module that runs as a process, with a control connection.

    The child ends when its end of the connection sees the other one close. The kernel closes that when this process
    ends, whatever the way: there are no orphans.

    Parameters
    ----------
    module
        What ``python -m`` runs.
    arguments
        Its command line.
    stop_grace_s
        How long :meth:`stop` waits before it kills: longer only where the child has something to write.
    """

    def __init__(self, module: str, arguments: Sequence[str], stop_grace_s: float = STOP_GRACE_S) -> None:
        self._module = module
        self._arguments = list(arguments)
        self._stop_grace_s = stop_grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._received = b""

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._process.pid if self._process else None

    def launch(self) -> Any:
        """Start the process and wait until it is ready; return what it says of itself.

        Raises
        ------
        MediaLoopFailed
            When it ends or is silent instead.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            command = [sys.executable, "-m", self._module, *self._arguments, CONTROL_OPTION, str(descriptor)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(descriptor,))
        self._control = ours
        try:
            return self._receive(START_TIMEOUT_S)
        except MediaLoopFailed:
            self.stop()
            raise

    def ensure_alive(self, name: str) -> None:
        """Find out whether the process ended by itself.

        Parameters
        ----------
        name
            What the process is called in the error.

        Raises
        ------
        MediaLoopFailed
            When it did; says how.
        """
        if self._process is not None and self._process.poll() is not None:
            raise MediaLoopFailed(f"{name} {ending_of(self._process.returncode)}; its own words, if any, are on stderr")

    def request(self, request: Request) -> Any:
        """Send a request and return its result.

        Raises
        ------
        MediaLoopFailed
            When the process does not run (any more), refuses, or does not answer in time.
        """
        if self._control is None:
            message = f"{self._module} is not running"
            raise MediaLoopFailed(message)
        try:
            self._control.sendall(encode(request))
        except OSError as error:
            raise self._gone() from error
        return self._receive(REPLY_TIMEOUT_S)

    def _receive(self, timeout_s: float) -> Any:
        """Return the result of the next reply."""
        control = self._control
        if control is None:
            raise self._gone()
        control.settimeout(timeout_s)
        while b"\n" not in self._received:
            try:
                data = control.recv(1 << 16)
            except TimeoutError as error:
                message = f"{self._module} did not answer within {timeout_s:g} s"
                raise MediaLoopFailed(message) from error
            except OSError as error:
                raise self._gone() from error
            if not data:
                raise self._gone()
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        try:
            reply = decode_reply(line)
        except msgspec.DecodeError as error:
            message = f"{self._module} answered what is no reply: {error}"
            raise MediaLoopFailed(message) from error
        if reply.error:
            raise MediaLoopFailed(reply.error)
        return reply.result

    def _gone(self) -> MediaLoopFailed:
        code = None
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(STOP_GRACE_S)
        ended = "closed its control connection" if code is None else f"ended with exit code {code}"
        return MediaLoopFailed(f"{self._module} {ended}; its own words are on stderr")

    def share_control(self) -> socket.socket:
        """Return a duplicate of the control connection for a client, which from then on is the only one to read it.

        Raises
        ------
        MediaLoopFailed
            When there is none.
        """
        if self._control is None:
            message = f"{self._module} is not running"
            raise MediaLoopFailed(message)
        return self._control.dup()

    def stop(self) -> int:
        """End the process, within 100 ms unless it was given more; return its exit code.

        A code of 0 says that it ended by itself, in order (or did not run), a negative one that it had to be killed.
        """
        if self._control:
            # Duplicates keep a socket open; shutting it down ends the connection for all of them.
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
            self._control = None
        if self._process is None:
            return 0
        process, self._process = self._process, None
        self._received = b""
        try:
            return process.wait(self._stop_grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def inherited_control(descriptor: int) -> socket.socket:
    """Return the control socket of this (media) process, which from now on leaves Ctrl-C to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return socket.socket(fileno=descriptor)
