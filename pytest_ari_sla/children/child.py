"""A process of ours that runs one of our modules, and the socket that it is told things over.

Everything that we let run beside us is started and ended here, but for two that are different in kind: programs of
others (an Asterisk, an application: :mod:`pytest_ari_sla.targets.guarded_process`) know of no socket of ours, and the
pump of the event stream (:mod:`pytest_ari_sla.ari_client.event_stream.pump`) sits in a connection and takes no orders.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_ari_sla.children.ending import ending_of
from pytest_ari_sla.children.standstill import stopped_by

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CONTROL_OPTION", "STOP_GRACE_S", "Child", "inherited_control"]

CONTROL_OPTION = "--control-fd"
"""Ends the command line of a child: the number of its end of the socket follows."""

STOP_GRACE_S = 0.08
"""How long a child may take to end by itself before it is killed: with the kill, stopping stays under 100 ms."""


class Child:
    """A running child; it ends when its end of the socket sees the other one closed.

    The kernel closes that when this process ends, whatever the way: there are no orphans.

    Parameters
    ----------
    module
        What ``python -m`` runs; it calls :func:`inherited_control` with the number that ends its command line.
    arguments
        Its command line.
    kind
        ``SOCK_SEQPACKET`` keeps messages apart, and carries descriptors (:class:`~.channel.Channel`); ``SOCK_STREAM``
        has room for messages of any length.
    handles
        Descriptors that it inherits besides.
    grace_s
        How long :meth:`end` waits before it kills: longer only where the child has something to write.
    apart
        Whether it belongs to no terminal and to no process group of ours, and says nothing.

    Attributes
    ----------
    control
        Our end of the socket.

    Raises
    ------
    OSError
        There can be no more processes or files.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        kind: int = socket.SOCK_SEQPACKET,
        handles: Sequence[int] = (),
        grace_s: float = STOP_GRACE_S,
        apart: bool = False,
    ) -> None:
        self._grace_s = grace_s
        self.control, theirs = socket.socketpair(socket.AF_UNIX, kind)
        number = theirs.fileno()
        # -P: a module of the folder that tests run in must not take the place of one that we import.
        command = [sys.executable, "-P", "-m", module, *arguments, CONTROL_OPTION, str(number)]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if apart else {}
        with theirs:  # our copy of its end: while that is open, its death would not end the connection
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, pass_fds=(number, *handles), start_new_session=apart, **quiet
                )
            except BaseException:
                self.control.close()
                raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, by itself or by us."""
        return self._process.poll() is not None

    def ending(self, within_s: float = 0.0) -> str:
        """Say how it ended, as the end of a sentence that begins with its name; waits for that so long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        return ending_of(self._process.poll())

    @property
    def stopped_by(self) -> str:
        """Which signal has stopped it, as the end of a sentence; empty: none has."""
        return stopped_by(self.pid)

    def hang_up(self) -> None:
        """Close the socket, which tells the child to end; twice does no harm."""
        # Duplicates keep a socket open; shutting it down ends the connection for all of them.
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)
        self.control.close()

    def end(self) -> int:
        """End the child, by force where it does not end by itself in its time; twice does no harm.

        Returns
        -------
            Its exit code: 0 says that it ended by itself, in order; a negative one that it had to be killed.
        """
        self.hang_up()
        try:
            return self._process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the child at once; return its exit code."""
        self.hang_up()
        self._process.kill()
        return self._process.wait()


def inherited_control(descriptor: int) -> socket.socket:
    """Return the socket of this (child) process, which from now on leaves Ctrl-C to its parent.

    That is the one to end what is under way, and needs its children for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole process group of the terminal
    return socket.socket(fileno=descriptor)
